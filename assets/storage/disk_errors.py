"""Disk errors: whether an error of any library says that a disk is full or cannot be written, and what a user does about it."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

from assets.errors import DiskError
from assets.storage.error_chain import causes
from assets.storage.home import Home

FULL = re.compile(r"No space left on device|disk is full|Disk quota exceeded|ENOSPC", re.IGNORECASE)
READ_ONLY = re.compile(r"Read-only file system|attempt to write a readonly database", re.IGNORECASE)
NO_SCRATCH = re.compile(r"No usable temporary directory found in")
"""What Python says where each folder for temporary files is full or read-only."""
PERHAPS = re.compile(r"disk I/O error|unable to open database file|Input/output error", re.IGNORECASE)
"""What SQLite and DuckDB also say when they find no room; then the disk itself is asked."""
FEW_BYTES, FEW_FILES = 4 << 20, 256
"""With less room than that a disk counts as full; what failed may have freed some of it since."""


def disk_error(home: Home, error: BaseException) -> DiskError | None:
    """The error as a user is told it; None if it has nothing to do with a disk.

    Parameters
    ----------
    home : Home
        Where was written.
    error : BaseException
        What was raised; what it was raised from counts as well, and what other processes printed.
    """
    for cause in causes(error):
        if isinstance(cause, DiskError):
            return cause
        code, text = getattr(cause, "errno", None), "\n".join([str(cause), *getattr(cause, "__notes__", ())])
        if code in (errno.ENOSPC, errno.EDQUOT) or FULL.search(text) or (PERHAPS.search(text) and _is_full(home.root)):
            return _full(home, cause)
        if NO_SCRATCH.search(text):
            return DiskError(
                f"no folder for temporary files can be written ({text.splitlines()[0]}): each is full or read-only. What was "
                "published is unchanged. Free space, or set TMPDIR to a folder that can be written, and run the command again."
            )
        if code == errno.EROFS or READ_ONLY.search(text):
            return DiskError(
                f"{_named(home, cause)} cannot be written: it is on a file system, or in a folder, that is read-only. What was "
                "published is unchanged. Make it writable, or point LOOPLINE_HOME at another folder, and run the command again."
            )
    return None


def _full(home: Home, cause: BaseException) -> DiskError:
    scratch = _scratch()
    place = next((path for path in (home.root, scratch) if path is not None and _is_full(path)), None)
    if place is None:  # what failed has freed its room since
        said = f"{getattr(cause, 'filename', None)}\n{cause}"
        place = scratch if scratch is not None and str(scratch) in said and str(home.root) not in said else home.root
    room = _room(place)
    what = f"LOOPLINE_HOME={place}" if place == home.root else f"the folder for temporary files, {place},"
    first = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
    return DiskError(
        f"{what} is on a disk that is full ({room.f_bavail * room.f_frsize:,} bytes and {room.f_favail:,} files are left; "
        f"{first[:200]}). What was published is unchanged, and is still served. Free space there and run the command again."
    )


def _scratch() -> Path | None:
    """The folder for temporary files; None where none can be written."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return None


def _is_full(place: Path) -> bool:
    room = _room(place)
    # file systems that make inodes as they need them say that they have none
    return room.f_bavail * room.f_frsize < FEW_BYTES or (room.f_files > 0 and room.f_favail < FEW_FILES)


def _room(place: Path) -> os.statvfs_result:
    """Of the disk that a folder is on, or will be."""
    return os.statvfs(next(folder for folder in (place, *place.parents) if folder.exists()))


def _named(home: Home, cause: BaseException) -> str:
    name = getattr(cause, "filename", None)
    return str(name) if name else f"LOOPLINE_HOME={home.root}"

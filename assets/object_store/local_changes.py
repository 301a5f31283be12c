"""Local changes: the files of a home that are others than the store holds, found without reading what did not change.

What the manifest names is compared by the manifest's digests. Databases and logs are compared by their stamps, and copied as of
one moment where those differ.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from assets.object_store import listing, running_parts, sync_state
from assets.object_store.sync_state import State
from assets.storage import manifest, manifest_lines
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.home_files import MANIFEST, PUBLISHED, unrecorded
from assets.storage.manifest_lines import Manifest

LEDGER = "ledger/ledger.db"
"""Its entries are published one by one; the file goes along with whatever else is published."""
LOGS = "served/*.sqlite"
"""What services log. What is published of it is lines: whoever took blocks would have to write into another machine's file."""
SQLITE = b"SQLite format 3\0"
FOLDERS = sorted({pattern.split("/")[0] for pattern in PUBLISHED if "/" in pattern})


@dataclass(frozen=True)
class LocalFile:
    """A file that is to be published.

    Parameters
    ----------
    source : Path
        Where its bytes are read: the file itself, or a copy.
    digest : str
        SHA-256 of them.
    size, mode : int
        How many there are, and the file's permissions.
    """

    source: Path
    digest: str
    size: int
    mode: int


@dataclass
class LocalChanges:
    """What differs from the store.

    Parameters
    ----------
    changed : dict of str to LocalFile
        Files that are new or other ones, by relative path.
    gone : set of str
        Files that are there no more.
    stamps : dict of str to list
        The stamps of databases and logs, as of when they were looked at.
    """

    changed: dict[str, LocalFile] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    stamps: dict[str, sync_state.Stamp] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything to publish; the ledger's file alone is not."""
        return bool((self.changed.keys() | self.gone) - {LEDGER})


def look(
    home: Home,
    state: State,
    scratch: Path,
    chosen: Callable[[str], bool] = lambda _: True,
    rewritten: Callable[[str], bool] = lambda _: False,
    *,
    is_read_only: bool = False,
) -> LocalChanges:
    """Find what differs from what the store holds, but for what services of this machine still write.

    Parameters
    ----------
    home, state : Home, State
        The home, and what is known of its store.
    scratch : Path
        A folder for copies of databases and logs.
    chosen : callable
        Whether a path is looked at.
    rewritten : callable
        Whether what lies in an object of the store is published again although it did not change.
    is_read_only : bool
        Write nothing in the home: what a killed process left is not ended, and blocks of logs become lines in copies only.
    """
    found = LocalChanges(stamps=dict(state.stamps))
    known, lines = _manifest(home, is_read_only=is_read_only)
    present = dict(_unrecorded(home))

    def differs(path: str, digest: str) -> bool:
        item = state.listing.get(path)
        return item is None or item.digest != digest or rewritten(item.object)

    for path, recorded in known.files.items():
        if chosen(path) and differs(path, recorded.digest):
            with suppress(FileNotFoundError):
                mode = (home.root / path).stat().st_mode & 0o777
                found.changed[path] = LocalFile(home.root / path, recorded.digest, recorded.size, mode)
    now = datetime.now(UTC)
    for number, (path, file) in enumerate(present.items()):
        if not chosen(path) or running_parts.is_written_to(home, path, now):
            continue
        with suppress(FileNotFoundError):
            stamp = sync_state.stamp(file)
            item = state.listing.get(path)
            if item is not None and state.stamps.get(path) == stamp and not rewritten(item.object):
                continue
            copy = scratch / f"{len(list(scratch.iterdir()))}-{number}"
            copied(file, copy, is_log=fnmatchcase(path, LOGS), is_read_only=is_read_only)
            digest = file_digest(copy)
            found.stamps[path] = stamp
            if differs(path, digest):
                found.changed[path] = LocalFile(copy, digest, copy.stat().st_size, file.stat().st_mode & 0o777)
    if lines and chosen(MANIFEST):
        copy = scratch / f"{len(list(scratch.iterdir()))}-manifest"
        copy.write_bytes(lines)
        if differs(MANIFEST, digest := file_digest(copy)):
            found.changed[MANIFEST] = LocalFile(copy, digest, len(lines), 0o644)
    for path in state.listing:
        held = path in present if unrecorded(path) is not None else path in known.files
        if path not in (MANIFEST, LEDGER) and not held and chosen(path) and listing.is_within(path, state.only):
            found.gone.add(path)
    return found


def copied(file: Path, copy: Path, *, is_log: bool = False, is_read_only: bool = False) -> None:
    """Copy a file that others may be writing to; a database as of one moment, and a log in lines."""
    from bentos.log_blocks import complete

    if is_database(file):
        if is_log and not is_read_only:  # here too, so that nothing changes here once it is published
            complete(file)
        (sync_state.copy_unopened_database if is_read_only else sync_state.copy_database)(file, copy)
        if is_log:  # a service may have written since
            complete(copy)
    else:
        shutil.copyfile(file, copy)


def is_database(file: Path) -> bool:
    """Whether a file is a SQLite database."""
    with file.open("rb") as stream:
        return stream.read(len(SQLITE)) == SQLITE


def is_empty(home: Home) -> bool:
    """Whether nothing was made in a home yet."""
    return not any(
        path.is_file() and path.parent.name != "store" and path.suffix != ".lock"
        for folder in home.root.glob("*")
        if folder.is_dir() and folder not in (home.temporary, home.root / "store")
        for path in folder.rglob("*")
    )


def _manifest(home: Home, *, is_read_only: bool) -> tuple[Manifest, bytes]:
    """What is recorded, and its lines as of the same moment."""
    if not (home.root / MANIFEST).exists():
        return Manifest(), b""
    if not is_read_only:
        manifest.settle(home.root)
    with manifest_lines.locked(home.root, fcntl.LOCK_SH) as stream:
        known = manifest_lines.up_to_date(home.root, stream)
        stream.seek(0)
        return known, stream.read(known.offset)


def _unrecorded(home: Home) -> Iterator[tuple[str, Path]]:
    """The databases and logs that are published."""
    for name in FOLDERS:
        for folder, _, files in os.walk(home.root / name):
            for file in files:
                path = Path(folder) / file
                relative = home.relative(path)
                if any(fnmatchcase(relative, pattern) for pattern in PUBLISHED):
                    yield relative, path

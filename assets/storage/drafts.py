"""Drafts: folders for what is being made, and what a killed process left of them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from assets.storage.home import Home


@contextlib.contextmanager
def draft_folder(home: Home) -> Iterator[Path]:
    """A new folder in the home's folder for drafts; it names its process, and goes with the block."""
    home.temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}@{_host()}-", dir=home.temporary) as folder:
        yield Path(folder)


def sweep(home: Home, older_than_seconds: float = 3600.0) -> list[Path]:
    """Remove drafts whose process has ended; those that name none on this machine, when nothing in them is recent.

    Returns
    -------
    list of Path
        What was removed.
    """
    latest = time.time() - older_than_seconds
    removed = []
    for path in sorted(home.temporary.glob("*")):
        with contextlib.suppress(FileNotFoundError):  # its own process removed it meanwhile
            if _is_abandoned(path) or max(item.lstat().st_mtime for item in (path, *path.rglob("*"))) < latest:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                removed.append(path)
    return removed


def _is_abandoned(path: Path) -> bool:
    named = re.match(rf"(\d+)@{re.escape(_host())}-", path.name)
    if named is None:
        return False
    try:
        os.kill(int(named[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's process has its number
        return False
    return False


def _host() -> str:
    """This machine or container: process numbers are its own."""
    return re.sub(r"\W", "_", socket.gethostname())

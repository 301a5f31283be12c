"""Drafts: folders for what is being made, and what a killed process left of them."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from assets.storage import manifest
from assets.storage.draft_names import is_alive, prefix
from assets.storage.file_tree import remove
from assets.storage.home import Home


@contextlib.contextmanager
def draft_folder(home: Home) -> Iterator[Path]:
    """A new folder in the home's folder for drafts; it names its process, and goes with the block."""
    home.temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=prefix(), dir=home.temporary) as folder:
        yield Path(folder)


def sweep(home: Home, older_than_seconds: float = 3600.0) -> list[Path]:
    """Remove drafts whose process has ended; those that name none on this machine, when nothing in them is recent.

    What a living process makes stays however old it seems: a clock may have been set.

    Returns
    -------
    list of Path
        What was removed.
    """
    latest = time.time() - older_than_seconds
    removed: list[Path] = []
    if next(home.temporary.glob("*"), None) is None:
        return removed
    with manifest.settled(home.root):  # a publication that was cut off may still need a draft
        for path in sorted(home.temporary.glob("*")):
            with contextlib.suppress(FileNotFoundError):  # its own process removed it meanwhile
                alive = is_alive(path)
                if alive is None:
                    alive = max(item.lstat().st_mtime for item in (path, *path.rglob("*"))) >= latest
                if not alive:
                    remove(path)
                    removed.append(path)
    return removed

"""Leftovers: drafts that a killed process left in the home's folder for them."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from assets.storage import Home


def sweep(home: Home, older_than_seconds: float = 3600.0) -> list[Path]:
    """Remove drafts that a killed process left behind; what may still be in use is younger.

    Returns
    -------
    list of Path
        What was removed.
    """
    latest = time.time() - older_than_seconds
    removed = []
    for path in home.temporary.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # its own process removed it meanwhile
            newest = max(item.lstat().st_mtime for item in (path, *path.rglob("*")))
            if newest < latest:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                removed.append(path)
    return removed

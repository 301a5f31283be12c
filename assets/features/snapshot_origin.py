"""Origin: which landed files a snapshot rests on, in a record beside it."""

from __future__ import annotations

from pathlib import Path

from assets.storage.home import Home


def origin(home: Home, product: str, digest: str) -> Path:
    """The file that says which landed files a snapshot rests on."""
    return home.snapshots / product / f"{digest}.json"

"""What is made once for an environment and copied from there: databases whose migrations take seconds in every new home.

It lies in the virtual environment and goes with it; a name says of which versions it is. Where that cannot be written, or
there is no virtual environment, everything is made where it is needed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from assets.storage.drafts import draft_folder, sweep
from assets.storage.durability import sync
from assets.storage.home import Home


def folder() -> Path | None:
    """Where something is or can be kept; None where nothing can be."""
    place = Path(sys.prefix) / "var" / "loopline"
    if sys.prefix == sys.base_prefix:
        return None
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return place


def copied(name: str, make: Callable[[Path], None], target: Path) -> None:
    """Copy what was made once under this name, or make it now.

    Parameters
    ----------
    name : str
        What it is, with the versions of what makes it.
    make : callable
        Makes it: a file or a folder at the path that it is given, which does not exist.
    target : Path
        Where to copy it; it does not exist.
    """
    place = folder()
    if place is None or not ((place / name).exists() or os.access(place, os.W_OK)):
        make(target)
        return
    kept = place / name
    if not kept.exists():
        here = Home(place)
        sweep(here)
        with draft_folder(here) as scratch:
            draft = scratch / name
            make(draft)
            for path in (draft, *draft.rglob("*")):
                sync(path)
            try:
                draft.rename(kept)
            except OSError:
                if not kept.exists():  # otherwise another process was faster, and its folder is not empty
                    raise
    _copy(kept, target)


def _copy(kept: Path, target: Path) -> None:
    """The copy has the permissions of who makes it, not those of who made the original."""
    if not kept.is_dir():
        shutil.copyfile(kept, target)
        return
    target.mkdir()
    for path in kept.iterdir():
        _copy(path, target / path.name)

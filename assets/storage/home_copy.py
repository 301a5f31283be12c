"""Copies of a home to try something in: the home itself stays as it is.

What is named by its digest is linked, as nobody writes to it; everything else is copied, and so are databases and logs,
whatever their names.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from fnmatch import fnmatch
from pathlib import Path

from assets.storage.backup import LEFT_OUT, SQLITE, copy_database
from assets.storage.home import Home
from assets.storage.home_files import STORE, unrecorded
from assets.storage.locks import warehouse_lock

NOT_COPIED = {
    **LEFT_OUT,
    f"{STORE}/*": "which store the home is published to: a copy is published nowhere",
    "replays/*": "replays, whose links lead to the home itself",
    "keys/*": "who may ask a service: a copy serves nobody",
    "earlier/*": "what an earlier version of Loopline recorded",
}
"""What a copy does not hold, by pattern, with the reason."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def copied(home: Home, folder: Path) -> Home:
    """Copy a home into an empty folder; who calls makes sure that no run goes on.

    Parameters
    ----------
    home : Home
        The home; nothing in it is changed.
    folder : Path
        Where the copy is to lie. Only its owner may read it, as a home may hold secrets.
    """
    copy = Home(folder)
    folder.mkdir(mode=0o700, parents=True)
    for path in _files(home.root):
        name = home.relative(path)
        if any(fnmatch(name, pattern) for pattern in NOT_COPIED):
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if unrecorded(name) is None and any(_DIGEST.fullmatch(part.partition(".")[0]) for part in Path(name).parts):
            _link(path, target)
        elif _is_database(path, name):
            copy_database(path, target)
        else:
            with warehouse_lock(home) if path == home.warehouse else nullcontext():
                shutil.copy2(path, target)
    return copy


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path.resolve(), target)
    except OSError:  # another file system, or one that knows no links
        shutil.copy2(path, target)


def _is_database(path: Path, name: str) -> bool:
    """Whether it is a SQLite database that others may be writing to."""
    if unrecorded(name) is None:
        return False
    with path.open("rb") as stream:
        return stream.read(len(SQLITE)) == SQLITE

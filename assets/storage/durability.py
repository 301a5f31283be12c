"""Durability: what must outlive a power cut is written to the disk itself, and not only to the system's memory of it.

A file that was renamed but not synced may be empty after a power cut, and a rename whose folder was not synced may be undone
(fsync(2); "All File Systems Are Not Created Equal", Pillai et al., OSDI 2014).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_tree(path: Path) -> None:
    """Write a file to the disk; of a folder, everything in it."""
    for inside in sorted(path.rglob("*")) if path.is_dir() else ():
        if not inside.is_symlink():
            sync(inside)
    sync(path)


def sync_folders(paths: Iterable[Path], root: Path) -> None:
    """Write the names of files and folders to the disk, and those of the folders that they lie in, up to a root."""
    folders = {folder for path in paths for folder in path.parents if folder == root or root in folder.parents}
    for folder in sorted(folders, reverse=True):
        if folder.exists():
            sync(folder)

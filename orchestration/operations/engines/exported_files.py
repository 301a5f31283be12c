"""Exported files: a folder that is written whole or not at all, and written anew only where an export wrote it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from assets.errors import SpecificationError

MARK = ".loopline-export"
"""The file by which a folder is known as an export's; it names which."""


def write(folder: Path, files: Mapping[str, str], kind: str) -> None:
    """Write a folder.

    Parameters
    ----------
    folder : Path
        It is new, empty, or what an export of this kind wrote, which is then replaced.
    files : mapping of str to str
        Contents by relative paths.
    kind : str
        Which export it is.

    Raises
    ------
    SpecificationError
        If the folder holds something else.
    """
    folder = folder.expanduser().absolute()
    mark = folder / MARK
    if folder.exists() and not (folder.is_dir() and (mark.is_file() or not any(folder.iterdir()))):
        raise SpecificationError(f"{folder} holds other files. An export is written into a new or empty folder: name another.")
    if mark.is_file() and (found := mark.read_text(encoding="utf-8").strip()) != kind:
        raise SpecificationError(f"{folder} holds an export for {found}, and this is one for {kind}. Name another folder.")
    draft = folder.with_name(f".{folder.name}.exporting-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for name, content in {**files, MARK: f"{kind}\n"}.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(content, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)

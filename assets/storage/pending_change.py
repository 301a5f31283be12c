"""Pending change: what a publication is about to record, written before files are moved, so that it can be ended later.

Files are moved first and recorded afterwards; a process that is killed between the two leaves this behind. Who opens the
manifest next compares it with the files: the lines are appended if the files were moved, and otherwise dropped.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from assets.storage.digests import file_digest
from assets.storage.durability import sync
from assets.storage.home_files import PENDING


@dataclass(frozen=True)
class PendingChange:
    """Lines that are to be appended to a manifest.

    Parameters
    ----------
    after : str
        The digest of the line that they follow.
    lines : str
        The lines, as they are appended.
    target, replaced : str or None
        The folder that is replaced, and where it is put meanwhile, relative to the home.
    """

    after: str
    lines: str
    target: str | None = None
    replaced: str | None = None

    def write(self, root: Path) -> None:
        """Keep it until `forget`, also if the machine stops now."""
        path = root / PENDING
        is_new = not path.exists()
        with path.open("xb" if is_new else "r+b") as stream:
            stream.write(json.dumps(asdict(self)).encode())
            stream.truncate()
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            sync(root)

    def is_done(self, root: Path) -> bool:
        """Whether the files are as its lines say."""
        named = [json.loads(line.partition(" ")[2]) for line in self.lines.splitlines()]
        return all(_is(root / file, digest) for digest, _, file in named)

    def undo(self, root: Path) -> None:
        """Bring a folder back that was put aside."""
        if self.target and self.replaced and not (root / self.target).exists() and (root / self.replaced).exists():
            (root / self.replaced).rename(root / self.target)


def exists(root: Path) -> bool:
    """Whether a change was written and not forgotten."""
    try:
        return (root / PENDING).stat().st_size > 0
    except FileNotFoundError:
        return False


def kept(root: Path) -> PendingChange | None:
    """The change that was written last and not forgotten; one that is not whole never began."""
    try:
        return PendingChange(**json.loads((root / PENDING).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def forget(root: Path) -> None:
    """Nothing is pending any more; one that comes back after a power cut is known by the line that it follows."""
    os.truncate(root / PENDING, 0)


def _is(path: Path, digest: str | None) -> bool:
    if digest is None:
        return not path.exists()
    return path.is_file() and file_digest(path) == digest

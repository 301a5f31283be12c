"""Lines of a manifest: each holds the digest of a file, its size and its path, and is chained to the line before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from assets.errors import DigestError

FIRST = "0" * 64
"""What the first line is chained to."""
Measured = Mapping[str, tuple[str, int]]
"""Digest and size of files, by path relative to the home."""


@dataclass(frozen=True)
class Recorded:
    """What is recorded of a file: its digest, its size, and the number of the line, from 1."""

    digest: str
    size: int
    line: int


@dataclass
class Manifest:
    """The lines of a manifest as far as they were read.

    Parameters
    ----------
    files : dict of str to Recorded
        The files that must lie in the home, by relative path.
    heads : list of str
        The digest of each line: the last one stands for all before it.
    is_cut : bool
        Whether the last line is unfinished, as when the machine stopped.
    offset, stamp
        How far the file was read, and what it was then.
    """

    files: dict[str, Recorded] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    is_cut: bool = False
    offset: int = 0
    stamp: tuple[int, int] = (0, 0)

    @property
    def head(self) -> str:
        """The digest of the last line."""
        return self.heads[-1] if self.heads else FIRST

    def within(self, place: str) -> list[str]:
        """The files that are, or lie in, a place."""
        return [place] if place in self.files else [file for file in self.files if file.startswith(f"{place}/")]


def take(known: Manifest, line: bytes, file_of_lines: Path) -> None:
    """Read the next line.

    Raises
    ------
    DigestError
        If it is not as it was written.
    """
    told_link, _, told = line.partition(b" ")
    number = len(known.heads) + 1
    if told_link.decode("latin-1") != _link(known.head, told):
        raise DigestError(
            f"{file_of_lines}: line {number} is not as it was written, or one before it was taken out. Restore the file from "
            "a backup; or, where you trust the files as they are, `loopline verify --accept` begins a new one."
        )
    digest, size, file = json.loads(told)
    known.heads.append(told_link.decode())
    if digest is None:
        known.files.pop(file, None)
    else:
        known.files[file] = Recorded(digest, size, number)


def chained(head: str, lines: Iterable[tuple[str | None, int, str]]) -> list[str]:
    """Lines of digest, size and file as they follow a head, without their ends."""
    found = []
    for line in lines:
        told = json.dumps(line)
        head = _link(head, told.encode())
        found.append(f"{head} {told}")
    return found


def _link(before: str, told: bytes) -> str:
    return hashlib.sha256(before.encode() + told).hexdigest()

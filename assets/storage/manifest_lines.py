"""Manifest's lines: how they are chained, read and locked. What publishes, records and removes files stands in `manifest`.

A line holds a digest over the line before and this one, and a JSON list: the file's digest (null where it was removed), its
size, and its path relative to the home.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from assets.errors import DigestError
from assets.storage.home_files import MANIFEST

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
    compacted : str or None
        The head of the manifest of which this one was made by leaving out what is superseded.
    offset, stamp
        How far the file was read, and what it was then.
    """

    files: dict[str, Recorded] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    is_cut: bool = False
    compacted: str | None = None
    offset: int = 0
    stamp: tuple[int, int] = (0, 0)

    @property
    def head(self) -> str:
        """The digest of the last line."""
        return self.heads[-1] if self.heads else FIRST

    def within(self, place: str) -> list[str]:
        """The files that are, or lie in, a place."""
        return [place] if place in self.files else [file for file in self.files if file.startswith(f"{place}/")]


_KNOWN: dict[Path, Manifest] = {}
_THREADS = threading.RLock()


@contextmanager
def locked(root: Path, mode: int) -> Iterator[IO[bytes]]:
    """The manifest's file, locked against other threads and processes.

    Parameters
    ----------
    root : Path
        The home's folder.
    mode : int
        ``fcntl.LOCK_SH`` to read; ``fcntl.LOCK_EX`` to append, which makes the file if need be.
    """
    path = root / MANIFEST
    while True:
        with _THREADS, path.open("a+b" if mode == fcntl.LOCK_EX else "rb") as stream:
            fcntl.flock(stream, mode)
            if _is_in_place(stream, path):
                yield stream
                return


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """Let nobody publish or remove a file in a home."""
    with locked(root, fcntl.LOCK_SH) if (root / MANIFEST).exists() else nullcontext():
        yield


def up_to_date(root: Path, stream: IO[bytes]) -> Manifest:
    """Read the lines that this process has not read yet; all of them, if the file was not only appended to.

    Raises
    ------
    DigestError
        If a line is not as it was written.
    """
    now = os.fstat(stream.fileno())
    stamp, known = (now.st_ino, now.st_mtime_ns), _KNOWN.pop(root, None) or Manifest()
    if known.stamp == stamp and known.offset == now.st_size:
        _KNOWN[root] = known
        return known
    if known.stamp[0] != now.st_ino or now.st_size <= known.offset:
        known = Manifest()
    try:
        _read_on(root, stream, known)
    except DigestError:
        if not known.stamp[0]:
            raise
        known = Manifest()  # another file may have been given the number of the one that was read
        _read_on(root, stream, known)
    known.stamp = stamp
    _KNOWN[root] = known
    return known


def forget(root: Path) -> None:
    """Let every line be read anew."""
    _KNOWN.pop(root, None)


def chained(before: str, lines: list[tuple[str | None, int, str]]) -> bytes:
    """Lines as they are written, after one of this digest."""
    written, link = [], before
    for line in lines:
        told = json.dumps(line).encode()
        link = _link(link, told)
        written.append(link.encode() + b" " + told + b"\n")
    return b"".join(written)


def _is_in_place(stream: IO[bytes], path: Path) -> bool:
    """Whether a file is still the one of its name: it may have been replaced while its lock was waited for."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _read_on(root: Path, stream: IO[bytes], known: Manifest) -> None:
    stream.seek(known.offset)
    *lines, rest = stream.read().split(b"\n")
    for line in lines:
        _take(root, known, line)
        known.offset += len(line) + 1
    known.is_cut = bool(rest)


def _take(root: Path, known: Manifest, line: bytes) -> None:
    link, _, told = line.partition(b" ")
    number = len(known.heads) + 1
    if link.decode("latin-1") != _link(known.head, told):
        raise DigestError(
            f"{root / MANIFEST}: line {number} is not as it was written, or one before it was taken out. Restore the file from "
            "a backup; or, where you trust the files as they are, `loopline verify --accept` begins a new one."
        )
    digest, size, file = json.loads(told)
    known.heads.append(link.decode())
    if file == MANIFEST:
        known.compacted = digest
    elif digest is None:
        known.files.pop(file, None)
    else:
        known.files[file] = Recorded(digest, size, number)


def _link(before: str, told: bytes) -> str:
    return hashlib.sha256(before.encode() + told).hexdigest()

"""Manifest: the digest of every file that was published in a home, in order, each line chained to the one before.

A line holds a digest over the line before and this one, and a JSON list: the file's digest (null where it was removed), its
size, and its path relative to the home. What a file is for stands in `home_files`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from assets.errors import DigestError
from assets.storage.digests import file_digest
from assets.storage.home_files import MANIFEST, RECORD, kind_of, unrecorded

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


_KNOWN: dict[Path, Manifest] = {}
_THREADS = threading.RLock()


def home_of(path: Path) -> Path | None:
    """The home that a path lies in, the innermost; None where it lies in none."""
    if path.name == RECORD:
        return path.parent
    return next((folder for folder in path.parents if (folder / RECORD).exists()), None)


def read(root: Path, *, anew: bool = False) -> Manifest | None:
    """What is recorded of a home's files; None where no file was ever recorded.

    Parameters
    ----------
    root : Path
        The home's folder.
    anew : bool
        Read every line, also those that this process has read already.

    Raises
    ------
    DigestError
        If a line is not as it was written.
    """
    if not (root / MANIFEST).exists():
        return None
    with _locked(root, fcntl.LOCK_SH) as stream:
        if anew:
            _KNOWN.pop(root, None)
        return _up_to_date(root, stream)


def publish(draft: Path, target: Path, *, digest: str | None = None, replaced: Path | None = None) -> None:
    """Move a finished file or folder into its place, and record it.

    Parameters
    ----------
    draft, target : Path
        From where to where, on one file system.
    digest : str, optional
        The draft's digest, if it is a file and its digest is known.
    replaced : Path, optional
        Where a folder is put that lies at `target`.
    """

    def move() -> None:
        if replaced is not None and target.exists():
            target.rename(replaced)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(target)

    root = home_of(target)
    if root is None:
        move()
        return
    new = {target / file.relative_to(draft): item for file, item in _measured(draft, digest).items()}
    places = [draft, target] if draft.is_dir() else [target]
    with _appending(root) as append:
        move()
        append({_named(root, file): item for file, item in new.items()}, places)


def record(*paths: Path) -> None:
    """Record files, and the files of folders, that a library wrote where they lie."""
    for path in paths:
        if (root := home_of(path)) is not None:
            new = {_named(root, file): item for file, item in _measured(path).items()}
            with _appending(root) as append:
                append(new, [path])


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there, and record that."""

    def clear() -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    root = home_of(path)
    if root is None:
        clear()
        return
    with _appending(root) as append:
        clear()
        append({}, [path])


def withdraw(path: Path, target: Path) -> None:
    """Record that a file or a folder is gone, and move it out of its place; what is killed between leaves a file too many."""
    root = home_of(path)
    if root is None:
        path.rename(target)
        return
    with _appending(root) as append:
        append({}, [path])
        path.rename(target)


def accept(root: Path, present: Measured) -> None:
    """Record a home's files as they are now, in a new manifest where the present one is damaged."""
    try:
        read(root, anew=True)
    except DigestError:
        (root / MANIFEST).rename(root / f"{MANIFEST}.damaged")
    with _appending(root) as append:
        append(present, [root])


def require(path: Path, content: bytes) -> bytes:
    """The content of a file, if it is what was published.

    Raises
    ------
    DigestError
        If it was changed since; a file that no manifest names passes.
    """
    root = home_of(path)
    found = read(root) if root is not None else None
    if root is None or found is None:
        return content
    file = _named(root, path)
    if _is_recorded(found, file, content):
        return content
    with _locked(root, fcntl.LOCK_SH) as stream:  # perhaps another process has published it just now
        content = path.read_bytes()
        if _is_recorded(_up_to_date(root, stream), file, content):
            return content
    kind = kind_of(file)
    raise DigestError(f"{path} was changed after it was published. It breaks {kind.breaks}; {kind.remedy}.")


def _is_recorded(found: Manifest, file: str, content: bytes) -> bool:
    item = found.files.get(file)
    return item is None or (item.size == len(content) and item.digest == hashlib.sha256(content).hexdigest())


def _named(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _measured(path: Path, digest: str | None = None) -> dict[Path, tuple[str, int]]:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return {file: (digest or file_digest(file), file.stat().st_size) for file in files}


@contextmanager
def _locked(root: Path, mode: int) -> Iterator[IO[bytes]]:
    """The manifest's file, locked against other threads and processes."""
    with _THREADS, (root / MANIFEST).open("a+b" if mode == fcntl.LOCK_EX else "rb") as stream:
        fcntl.flock(stream, mode)
        yield stream


@contextmanager
def _appending(root: Path) -> Iterator[Callable[[Measured, list[Path]], None]]:
    """A function that appends what is new, and that all else in some places is gone; it leaves out what is recorded already."""
    with _locked(root, fcntl.LOCK_EX) as stream:
        known = _up_to_date(root, stream)

        def append(new: Measured, places: list[Path]) -> None:
            inside = [_named(root, place) for place in places if place.is_relative_to(root)]
            before = list(known.files) if "." in inside else [file for place in inside for file in known.within(place)]
            lines: list[tuple[str | None, int, str]] = [(None, 0, file) for file in before if file not in new]
            for file, (digest, size) in new.items():
                item = known.files.get(file)
                if (item is None or (item.digest, item.size) != (digest, size)) and unrecorded(file) is None:
                    lines.append((digest, size, file))
            written, link = [], known.head
            for line in lines:
                told = json.dumps(line).encode()
                link = _link(link, told)
                written.append(link.encode() + b" " + told + b"\n")
            _write_whole(stream, b"".join(written), known.offset)
            _up_to_date(root, stream)

        yield append


def _write_whole(stream: IO[bytes], written: bytes, end: int) -> None:
    """Write lines after the last one that is finished, or none of them."""
    os.ftruncate(stream.fileno(), end)
    try:
        stream.write(written)
        stream.flush()
    except OSError:
        os.ftruncate(stream.fileno(), end)
        raise


def _up_to_date(root: Path, stream: IO[bytes]) -> Manifest:
    """Read the lines that this process has not read yet; all of them, if the file was not only appended to."""
    now = os.fstat(stream.fileno())
    stamp, known = (now.st_ino, now.st_mtime_ns), _KNOWN.get(root) or Manifest()
    if known.stamp == stamp and known.offset == now.st_size:
        return known
    if known.stamp[0] != now.st_ino or now.st_size <= known.offset:
        known = Manifest()
    stream.seek(known.offset)
    *lines, rest = stream.read().split(b"\n")
    for line in lines:
        _take(root, known, line)
        known.offset += len(line) + 1
    known.is_cut, known.stamp = bool(rest), stamp
    _KNOWN[root] = known
    return known


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
    if digest is None:
        known.files.pop(file, None)
    else:
        known.files[file] = Recorded(digest, size, number)


def _link(before: str, told: bytes) -> str:
    return hashlib.sha256(before.encode() + told).hexdigest()

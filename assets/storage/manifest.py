"""Manifest: the digest of every file that was published in a home, in order, each line chained to the one before.

A line holds a digest over the line before and this one, and a JSON list: the file's digest (null where it was removed), its
size, and its path relative to the home. What a file is for stands in `home_files`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from assets.errors import DigestError
from assets.storage import pending_change
from assets.storage.digests import file_digest
from assets.storage.draft_names import draft_path
from assets.storage.durability import sync_folders, sync_tree
from assets.storage.home_files import MANIFEST, RECORD, kind_of, unrecorded
from assets.storage.manifest_lines import Manifest, Measured, chained, take
from assets.storage.pending_change import PendingChange

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
    settle(root)
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
    if unrecorded(_named(root, target)) is None:
        sync_tree(draft)
    with _appending(root) as append:
        append({_named(root, file): item for file, item in new.items()}, places, act=move, replaced=replaced)


def record(*paths: Path) -> None:
    """Record files, and the files of folders, that a library wrote where they lie."""
    for path in paths:
        if (root := home_of(path)) is not None:
            new = {_named(root, file): item for file, item in _measured(path).items()}
            sync_tree(path)
            with _appending(root) as append:
                append(new, [path])


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there, and record that; at no moment is a part of it there."""
    root = home_of(path)
    aside = path if root is None else draft_path(root, path.name)
    if root is not None:
        with _appending(root) as append:
            append({}, [path], act=lambda: path.rename(aside) if path.exists() or path.is_symlink() else None)
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    else:
        aside.unlink(missing_ok=True)


def settle(root: Path) -> None:
    """End a publication whose process ended in the middle of it; one that is under way is waited for."""
    if pending_change.exists(root):
        with settled(root):
            pass


@contextmanager
def settled(root: Path) -> Iterator[None]:
    """Hold a home so that nothing is published, nor half published; one that cannot be written stays as it is."""
    if not os.access(root / MANIFEST, os.W_OK):
        yield
        return
    with _appending(root):
        yield


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
    settle(root)
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
def _appending(root: Path) -> Iterator[Callable[..., None]]:
    """A function that appends what is new, and that all else in some places is gone; it leaves out what is recorded already.

    What is to be done to the files is its `act`: it is done once it is known what will be appended, also if this process ends.
    """
    with _locked(root, fcntl.LOCK_EX) as stream:
        known = _up_to_date(root, stream)
        if pending_change.exists(root):
            cut_off = pending_change.kept(root)
            if cut_off is not None and cut_off.after == known.head:
                if cut_off.is_done(root):
                    _write_whole(stream, cut_off.text, known.offset)
                    known = _up_to_date(root, stream)
                else:
                    cut_off.undo(root)
            pending_change.forget(root)

        def append(
            new: Measured, places: list[Path], act: Callable[[], object] = lambda: None, replaced: Path | None = None
        ) -> None:
            inside = [_named(root, place) for place in places if place.is_relative_to(root)]
            before = list(known.files) if "." in inside else [file for place in inside for file in known.within(place)]
            lines: list[tuple[str | None, int, str]] = [(None, 0, file) for file in before if file not in new]
            for file, (digest, size) in new.items():
                item = known.files.get(file)
                if (item is None or (item.digest, item.size) != (digest, size)) and unrecorded(file) is None:
                    lines.append((digest, size, file))
            if not lines:
                act()
                return
            put_aside = () if replaced is None else (_named(root, places[-1]), _named(root, replaced))
            change = PendingChange(known.head, chained(known.head, lines), *put_aside)
            change.write(root)
            act()
            sync_folders(places, root)
            _write_whole(stream, change.text, known.offset)
            pending_change.forget(root)
            _up_to_date(root, stream)

        yield append


def _write_whole(stream: IO[bytes], written: bytes, end: int) -> None:
    """Write lines after the last one that is finished, or none of them."""
    os.ftruncate(stream.fileno(), end)
    try:
        stream.write(written)
        stream.flush()
        os.fsync(stream.fileno())
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
        take(known, line, root / MANIFEST)
        known.offset += len(line) + 1
    known.is_cut, known.stamp = bool(rest), stamp
    _KNOWN[root] = known
    return known

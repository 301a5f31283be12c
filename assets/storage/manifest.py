"""Manifest: the digest of every file that was published in a home, in order, each line chained to the one before.

How a line is made stands in `manifest_lines`, what a file is for in `home_files`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from assets.errors import DigestError
from assets.storage import pending_change
from assets.storage.digests import file_digest
from assets.storage.draft_names import draft_path
from assets.storage.durability import sync, sync_folders, sync_tree
from assets.storage.home_files import MANIFEST, RECORD, kind_of, unrecorded
from assets.storage.manifest_lines import FIRST, Manifest, Measured, chained, forget, locked, up_to_date
from assets.storage.pending_change import PendingChange

SUPERSEDED = 1000
"""How many superseded lines are let stand."""


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
    with locked(root, fcntl.LOCK_SH) as stream:
        if anew:
            forget(root)
        return up_to_date(root, stream)


def head(root: Path) -> str:
    """The digest of a manifest's last line; empty where there is none."""
    known = read(root)
    return "" if known is None else known.head


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


def withdraw(path: Path, target: Path) -> None:
    """Move a file or a folder out of its place, and record that it is gone."""
    root = home_of(path)
    if root is None:
        path.rename(target)
        return
    with _appending(root) as append:
        append({}, [path], act=lambda: path.rename(target))


def compact(root: Path, draft: Path) -> int:
    """Leave out the lines that later ones supersede, where most of them are.

    The new manifest takes the place of the old one at once. Its first line names the head of that, and heads that were kept
    elsewhere are no longer in it.

    Parameters
    ----------
    root : Path
        The home's folder.
    draft : Path
        Where the new manifest is written first, on the same file system.

    Returns
    -------
    int
        How many lines were left out.
    """
    if not (root / MANIFEST).exists():
        return 0
    with locked(root, fcntl.LOCK_EX) as stream:
        known = _settled(root, stream)
        superseded = len(known.heads) - len(known.files)
        if superseded < max(SUPERSEDED, len(known.files)):
            return 0
        present = sorted(known.files.items(), key=lambda item: item[1].line)
        first = (known.head, len(known.heads), MANIFEST)
        draft.write_bytes(chained(FIRST, [first, *((item.digest, item.size, file) for file, item in present)]))
        sync(draft)
        draft.replace(root / MANIFEST)
        sync(root)
        return superseded - 1


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
    with locked(root, fcntl.LOCK_SH) as stream:  # perhaps another process has published it just now
        content = path.read_bytes()
        if _is_recorded(up_to_date(root, stream), file, content):
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
def _appending(root: Path) -> Iterator[Callable[..., None]]:
    """A function that appends what is new, and that all else in some places is gone; it leaves out what is recorded already.

    What is to be done to the files is its `act`: it is done once it is known what will be appended, also if this process ends.
    """
    with locked(root, fcntl.LOCK_EX) as stream:
        known = _settled(root, stream)

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
            change = PendingChange(known.head, chained(known.head, lines).decode(), *put_aside)
            change.write(root)
            act()
            sync_folders(places, root)
            _write_whole(stream, change.lines.encode(), known.offset)
            pending_change.forget(root)
            up_to_date(root, stream)

        yield append


def _settled(root: Path, stream: IO[bytes]) -> Manifest:
    """What is recorded, after what a process left in the middle was ended."""
    known = up_to_date(root, stream)
    if pending_change.exists(root):
        cut_off = pending_change.kept(root)
        if cut_off is not None and cut_off.after == known.head:
            if cut_off.is_done(root):
                _write_whole(stream, cut_off.lines.encode(), known.offset)
                known = up_to_date(root, stream)
            else:
                cut_off.undo(root)
        pending_change.forget(root)
    return known


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

"""Sync state: what this machine knows of the store: the last record that it took or made, and the files as of then.

A commit is noted before it is made. Whether it was made is seen by the next command if this one ends in between.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assets.errors import StoreError
from assets.object_store import listing
from assets.object_store.listing import Listing
from assets.object_store.record_log import FIRST, Record
from assets.storage.digests import canonical
from assets.storage.durability import sync
from assets.storage.home import Home
from assets.storage.home_files import STORE
from assets.storage.locks import exclusive

Stamp = list[Any]
TRIES = 10
"""How often the files of a database are copied that change meanwhile."""


@dataclass(frozen=True)
class State:
    """What is known.

    Parameters
    ----------
    home_id : str
        The id of the home that the store holds; empty where this home was never published or taken.
    number, digest
        The last record of the log that was taken or made, and its digest.
    base : int
        The record that last listed everything.
    listing : dict of str to Item
        The files as of that record.
    stamps : dict of str to list
        By what it is told that a file that no manifest names did not change since.
    only : list of str or None
        The patterns of the files that were taken; None if all were.
    """

    home_id: str = ""
    number: int = 0
    digest: str = FIRST
    base: int = 0
    listing: Listing = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    only: list[str] | None = None

    def after(self, record: Record, **more: Any) -> State:
        """What is known once a record is taken or made."""
        base = int(record.content["base"]) if record.kind == "commit" else self.base
        found = replace(self, number=record.number, digest=record.digest, base=base, home_id=record.content["home"])
        return replace(found, **more)


@contextmanager
def held(home: Home) -> Iterator[None]:
    """Let no other process of this machine publish this home or take it."""
    with exclusive(home.root / STORE / "store.lock"):
        yield


def read(home: Home) -> State:
    """What is known, by the home's own record of it.

    Raises
    ------
    StoreError
        If that is damaged.
    """
    return _read(_path(home)) or State()


def write(home: Home, state: State) -> None:
    """Keep what is known, whole or not at all."""
    _write(_path(home), state)
    for part in (_pending(home), _unfinished(home)):
        part.unlink(missing_ok=True)


def begin(home: Home, paths: list[str]) -> None:
    """Note which files are about to be replaced, so that half of them are not taken for changes of this home."""
    _unfinished(home).parent.mkdir(parents=True, exist_ok=True)
    draft = _unfinished(home).with_suffix(".draft")
    draft.write_bytes(canonical(sorted({*paths, *unfinished(home)})))
    sync(draft)
    draft.replace(_unfinished(home))


def unfinished(home: Home) -> set[str]:
    """The files that a pull was replacing whose process ended.

    Raises
    ------
    StoreError
        If the record of them is damaged.
    """
    try:
        return set(json.loads(_unfinished(home).read_bytes()))
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            f"{_unfinished(home)} cannot be read. Delete it: what a pull that was cut off had replaced then counts as changed "
            "here, and `loopline store pull` puts that aside."
        ) from error


def is_unfinished(home: Home) -> bool:
    """Whether a process ended while it pulled or published."""
    return _unfinished(home).exists() or _pending(home).exists()


def note(home: Home, state: State) -> None:
    """Keep what will be known once a commit is made."""
    _write(_pending(home), state)


def noted(home: Home) -> State | None:
    """What will be known if a commit was made that this machine was about to make; None if there was none."""
    return _read(_pending(home))


def forget_note(home: Home) -> None:
    """The commit was not made."""
    _pending(home).unlink(missing_ok=True)


def stamp(path: Path) -> Stamp:
    """What differs once a file is written to; of a database, also its counter of changes and its log's beginning."""
    found = path.stat()
    told: Stamp = [found.st_ino, found.st_size, found.st_mtime_ns]
    with path.open("rb") as stream:
        head = stream.read(100)
    if head.startswith(b"SQLite format 3\0"):
        told.append(head[24:28].hex())
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and (size := log.stat().st_size):
            with log.open("rb") as stream:
                told += [size, log.stat().st_mtime_ns, stream.read(32).hex()]
    return told


def copy_database(path: Path, target: Path) -> None:
    """Copy a SQLite database as of one moment, with what its log holds, also into one that others have open."""
    source, copy = sqlite3.connect(path, timeout=60), sqlite3.connect(target, timeout=60)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()


def copy_unopened_database(path: Path, target: Path) -> None:
    """As `copy_database`, without opening it where it lies: SQLite would write its log and index there.

    Its files are copied and then opened, unless they changed meanwhile; after `TRIES` times they are taken as they are.
    """
    draft = target.with_name(f"{target.name}.unopened")
    for _ in range(TRIES):
        before = stamp(path)
        for end in ("", "-wal", "-journal"):
            part = draft.with_name(f"{draft.name}{end}")
            part.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(path.with_name(f"{path.name}{end}"), part)
        if stamp(path) == before:
            break
    try:
        copy_database(draft, target)
    except sqlite3.DatabaseError:  # it is written to all the time: what it holds is another than was published in any case
        shutil.copyfile(draft, target)


def _path(home: Home) -> Path:
    return home.root / STORE / "state.json"


def _unfinished(home: Home) -> Path:
    return home.root / STORE / "unfinished.json"


def _pending(home: Home) -> Path:
    return home.root / STORE / "pending.json"


def _write(path: Path, state: State) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(canonical({**vars(state), "listing": listing.told(state.listing)}))
    sync(draft)
    draft.replace(path)
    sync(path.parent)


def _read(path: Path) -> State | None:
    try:
        held_ = json.loads(path.read_bytes())
        return State(**{**held_, "listing": listing.read(held_["listing"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{path} cannot be read. Delete it: the next command compares the home with its store anew."
        ) from error

"""Backup: a home's files as objects named by their SHA-256 in a folder elsewhere, and a manifest for each backup.

An object is written once, however many backups hold it. Objects come first and the manifest last, each whole or not at all: a
backup that is interrupted leaves the earlier ones as they were. How a home is made of one again stands in `restore`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from assets.errors import BackupError
from assets.storage.digests import file_digest, value_digest
from assets.storage.drafts import draft_folder, sweep
from assets.storage.home import Home
from assets.storage.locks import exclusive, warehouse_lock
from assets.storage.publishing import read_json, write_json

FORMAT = 1
"""The version of a backup folder's records."""
LEFT_OUT = {
    "tmp/*": "drafts of what is being made",
    "*.lock": "locks, which the next command makes",
    "*.tmp": "files that are being published",
    "warehouse/target/*": "dbt's own notes on its last invocation, which the next writes anew",
    "*-wal": "a database's log: its content is in the copy of the database",
    "*-shm": "a database's index of its log",
    "*-journal": "a database's rollback journal",
}
"""What no backup holds, by pattern, with the reason."""
SQLITE = b"SQLite format 3\0"
"""How a SQLite database begins."""


@dataclass(frozen=True)
class Backup:
    """What a backup came to.

    Parameters
    ----------
    name : str
        By which `restore` finds it.
    files, size_bytes : int
        How many files it holds, and their bytes.
    added, added_bytes : int
        How many objects were not there before, and their bytes.
    """

    name: str
    files: int
    size_bytes: int
    added: int
    added_bytes: int


def take(home: Home, folder: Path, moment: datetime) -> Backup:
    """Add a backup of a home to a folder; who calls makes sure that no run goes on.

    Parameters
    ----------
    home : Home
        The home.
    folder : Path
        The folder; it is made if need be.
    moment : datetime
        When it is taken (UTC, aware); it is named so.

    Raises
    ------
    BackupError
        If the folder lies in the home, holds something else or another home's backups, or cannot be written.
    """
    folder = folder.expanduser().absolute()
    if folder.resolve().is_relative_to(home.root.resolve()):
        raise BackupError(f"{folder} lies in the home {home.root} and would be lost with it. Name a folder elsewhere.")
    try:
        _open(folder, identity(home))
        with exclusive(folder / "backup.lock"):
            return _take(home, folder, moment)
    except OSError as error:
        raise BackupError(
            f"{folder} cannot take the backup ({error.strerror or error}). Earlier backups are whole; make room, or name a "
            "folder that you may write to."
        ) from error


def identity(home: Home) -> str:
    """The id by which a home's backups are told from another's; made when it is first asked for."""
    record: dict[str, Any] = read_json(home.record)
    if "id" not in record:
        record["id"] = uuid.uuid4().hex
        write_json(home.record, record)
    return str(record["id"])


def opened(folder: Path) -> str:
    """The id of the home whose backups a folder holds.

    Raises
    ------
    BackupError
        If it holds no backups.
    """
    try:
        record = read_json(folder / "backup.json")
        told, known = str(record["home"]), record["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{folder} holds no backups of Loopline: its backup.json is missing or broken.") from error
    if not known:
        raise BackupError(f"{folder} was written by another version of Loopline, format {record['format']}. Use that version.")
    return told


def manifests(folder: Path) -> dict[str, Path]:
    """The manifests in a backup folder by the names of their backups, the earliest first."""
    return {path.stem: path for path in sorted((folder / "manifests").glob("*.json"))}


def object_path(folder: Path, digest: str) -> Path:
    """Where the bytes of a digest lie."""
    return folder / "objects" / digest[:2] / digest


def _open(folder: Path, home: str) -> None:
    """Make a folder one for this home's backups, or see that it is."""
    if not folder.exists() or not any(folder.iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "backup.json", {"format": FORMAT, "home": home})
    if (found := opened(folder)) != home:
        raise BackupError(
            f"{folder} holds backups of another home (id {found[:12]}, this one has {home[:12]}). Name a folder of its own."
        )


def _take(home: Home, folder: Path, moment: datetime) -> Backup:
    sweep(Home(folder))  # what a killed backup left
    files: list[dict[str, Any]] = []
    added: list[int] = []
    with draft_folder(Home(folder)) as scratch:
        for path in _files(home):
            # a file may be replaced, or go, while a service or a decision writes: what is there is whole
            with contextlib.suppress(FileNotFoundError):
                files.append(_kept(home, folder, scratch, path, added))
    name = f"{moment:%Y-%m-%dT%H-%M-%SZ}"
    taken = sum(known == name or known.startswith(f"{name}.") for known in manifests(folder))
    name += f".{taken + 1:04}" if taken else ""
    record = {"format": FORMAT, "home": identity(home), "taken_at": moment.isoformat(), "files": files, "left_out": LEFT_OUT}
    _sync(write_json(folder / "manifests" / f"{name}.json", {**record, "digest": value_digest(record)}))
    _sync(folder / "manifests")
    return Backup(name, len(files), sum(file["size"] for file in files), len(added), sum(added))


def _files(home: Home) -> Iterator[Path]:
    for path in sorted(home.root.rglob("*")):
        told = home.relative(path)
        if path.is_file() and not any(fnmatch(told, pattern) for pattern in LEFT_OUT):
            yield path


def _kept(home: Home, folder: Path, scratch: Path, path: Path, added: list[int]) -> dict[str, Any]:
    """Keep a file's bytes as an object, unless they are kept already, and give its line of the manifest."""
    mode = path.stat().st_mode & 0o777
    draft = scratch / "object"
    with contextlib.ExitStack() as held:
        if path.is_relative_to(home.warehouse.parent):
            held.enter_context(warehouse_lock(home))
        with path.open("rb") as stream:
            is_database = stream.read(len(SQLITE)) == SQLITE
        if is_database:
            draft.unlink(missing_ok=True)
            _copy_database(path, draft)
        source = draft if is_database else path
        digest, size = file_digest(source), source.stat().st_size
        target = object_path(folder, digest)
        if not target.exists() or target.stat().st_size != size:
            if not is_database:
                digest, size = _copy(path, draft)
                target = object_path(folder, digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(draft)
            draft.replace(target)
            _sync(target.parent)
            added.append(size)
    return {"path": home.relative(path), "digest": digest, "size": size, "mode": f"{mode:o}"}


def _copy(path: Path, draft: Path) -> tuple[str, int]:
    """Copy a file; the digest and the size of what was copied."""
    hashed, size = hashlib.sha256(), 0
    with path.open("rb") as source, draft.open("wb") as target:
        while piece := source.read(1 << 20):
            hashed.update(piece)
            size += target.write(piece)
    return hashed.hexdigest(), size


def _copy_database(path: Path, draft: Path) -> None:
    """Copy a SQLite database as of one moment, with what its log holds, while others write to it."""
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as source, contextlib.closing(sqlite3.connect(draft)) as target:
        try:
            source.backup(target)
        except sqlite3.DatabaseError as error:
            raise BackupError(
                f"{path} is a database that cannot be read ({error}). Restore it from an earlier backup, then back up again."
            ) from error
    shutil.copymode(path, draft)


def _sync(path: Path) -> None:
    """What is kept must be whole, also after the machine has stopped."""
    opened_path = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened_path)
    finally:
        os.close(opened_path)

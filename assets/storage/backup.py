"""Backup: a home's files as objects named by their SHA-256 in a folder elsewhere, and a manifest for each backup.

An object is written once, however many backups hold it. Objects come first and the manifest last, each whole or not at all: a
backup that is interrupted leaves the earlier ones as they were. The folder holds all that the home does, secrets included, so
its owner alone may read it. How a home is made of a backup again stands in `restore`.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from assets.errors import BackupError, DigestError
from assets.storage import database_dump, manifest, manifest_lines
from assets.storage.digests import file_digest, value_digest
from assets.storage.drafts import draft_folder, sweep
from assets.storage.durability import sync
from assets.storage.home import Home
from assets.storage.home_files import unrecorded
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
SETTLED = 2_000_000_000
"""Nanoseconds after a write within which another one may leave the time of the file as it is."""
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


def take(home: Home, folder: Path, moment: datetime, identity: str, told: Callable[[], dict[str, Any]] = dict) -> Backup:
    """Add a backup of a home to a folder; who calls makes sure that no run goes on.

    Parameters
    ----------
    home : Home
        The home; nothing in it is changed.
    folder : Path
        The folder, which its owner alone may read; it is made if need be.
    moment : datetime
        When it is taken (UTC, aware); it is named so.
    identity : str
        The home's id.
    told : callable, optional
        What else the backup's manifest tells, such as the head of the ledger; called while nobody decides or publishes.

    Raises
    ------
    BackupError
        If the folder lies in the home, holds something else or another home's backups, or cannot be written.
    """
    folder = folder.expanduser().absolute()
    if folder.resolve().is_relative_to(home.root.resolve()):
        raise BackupError(f"{folder} lies in the home {home.root} and would be lost with it. Name a folder elsewhere.")
    try:
        _open(folder, identity)
        with exclusive(folder / "backup.lock"):
            return _take(home, folder, moment, identity, told)
    except OSError as error:
        raise BackupError(
            f"{folder} cannot take the backup ({error.strerror or error}). Earlier backups are whole; make room, or name a "
            "folder that you may write to."
        ) from error


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
    except (DigestError, KeyError, TypeError) as error:
        raise BackupError(
            f"{folder} holds no backups of Loopline: its backup.json is missing or broken. Name another folder."
        ) from error
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
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # not every file system has modes
            folder.chmod(0o700)
        write_json(folder / "backup.json", {"format": FORMAT, "home": home})
    if (found := opened(folder)) != home:
        raise BackupError(
            f"{folder} holds backups of another home (id {found[:12]}, this one has {home[:12]}). Name a folder of its own."
        )


def _take(home: Home, folder: Path, moment: datetime, identity: str, told: Callable[[], dict[str, Any]]) -> Backup:
    sweep(Home(folder))  # what a killed backup left
    with draft_folder(Home(folder)) as scratch:
        objects = _Objects(home, folder, scratch)
        objects.keep()  # most of the time goes here, while services write and people decide
        manifest.settle(home.root)
        with exclusive(home.decision_lock), manifest_lines.reading(home.root):  # now only what has changed since
            more = told()
            files = objects.keep()
            if home.database is not None:  # as of this moment, like the files
                files.append(objects.keep_dump(home.database))
            folders = {home.relative(path): f"{path.stat().st_mode & 0o777:o}" for path in _present(home) if path.is_dir()}
    name = f"{moment:%Y-%m-%dT%H-%M-%SZ}"
    taken = sum(known == name or known.startswith(f"{name}.") for known in manifests(folder))
    name += f".{taken + 1:04}" if taken else ""
    record = {
        "format": FORMAT,
        "home": identity,
        "taken_at": moment.isoformat(),
        "files": files,
        "folders": folders,
        "left_out": LEFT_OUT,
        **more,
    }
    sync(write_json(folder / "manifests" / f"{name}.json", {**record, "digest": value_digest(record)}))
    sync(folder / "manifests")
    return Backup(name, len(files), sum(file["size"] for file in files), len(objects.added), sum(objects.added))


def _present(home: Home) -> Iterator[Path]:
    """The files and folders of a home that a backup holds; the ledger comes last, as others name its heads."""
    found = sorted(home.root.rglob("*"), key=lambda path: (path.is_relative_to(home.ledger), path))
    for path in [home.root, *found]:
        name = home.relative(path)
        if not any(fnmatch(name, pattern) for pattern in LEFT_OUT):
            yield path


@dataclass
class _Objects:
    """The objects of a backup: each file's bytes, kept once, and its line of the manifest."""

    home: Home
    folder: Path
    scratch: Path
    added: list[int] = field(default_factory=list)
    lines: dict[Path, tuple[object, dict[str, Any]]] = field(default_factory=dict)

    def keep(self) -> list[dict[str, Any]]:
        """Keep all files that were not kept before as they are, and give the lines of all."""
        present = []
        for path in _present(self.home):
            with contextlib.suppress(FileNotFoundError):  # it went meanwhile
                if path.is_file():
                    present.append(self._line(path))
        return present

    def _line(self, path: Path) -> dict[str, Any]:
        stamp = _stamp(path)
        known = self.lines.get(path)
        is_warehouse = path.is_relative_to(self.home.warehouse.parent)
        if known is None or not (is_warehouse or known[0] == stamp):  # the warehouse has its own lock, and only runs change it
            with warehouse_lock(self.home) if is_warehouse else contextlib.nullcontext():
                known = (stamp, self._keep(path))
            self.lines[path] = known
        return known[1]

    def keep_dump(self, url: str) -> dict[str, Any]:
        """Keep what the home's PostgreSQL database holds of it."""
        draft = self.scratch / "dump"
        database_dump.write(url, draft)
        digest, size = file_digest(draft), draft.stat().st_size
        self._publish(draft, digest, size)
        return {"path": database_dump.FILE, "digest": digest, "size": size, "mode": "600"}

    def _keep(self, path: Path) -> dict[str, Any]:
        """Keep a file's bytes as an object, unless they are kept already."""
        mode = path.stat().st_mode & 0o777
        draft = self.scratch / "object"
        log = path.with_name(f"{path.name}-wal")
        # one that a manifest names is replaced whole and never written to: its bytes count, and a copy's are others
        is_written_to = unrecorded(self.home.relative(path)) is not None or (log.exists() and log.stat().st_size > 0)
        with path.open("rb") as stream:
            is_database = is_written_to and stream.read(len(SQLITE)) == SQLITE
        if is_database:
            draft.unlink(missing_ok=True)
            copy_database(path, draft)
        source = draft if is_database else path
        digest, size = file_digest(source), source.stat().st_size
        target = object_path(self.folder, digest)
        if not target.exists() or target.stat().st_size != size:
            if not is_database:
                digest, size = _copy(path, draft)
            self._publish(draft, digest, size)
        return {"path": self.home.relative(path), "digest": digest, "size": size, "mode": f"{mode:o}"}

    def _publish(self, draft: Path, digest: str, size: int) -> None:
        """Bring a draft to where objects of its digest lie."""
        target = object_path(self.folder, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        sync(draft)
        draft.replace(target)
        sync(target.parent)
        self.added.append(size)


def _stamp(path: Path) -> object:
    """What differs once a file, or its database's log, is written to; of what was just written nobody can say that."""
    found = [part.stat() for part in (path, path.with_name(f"{path.name}-wal")) if part.exists()]
    if any(time.time_ns() - item.st_mtime_ns < SETTLED for item in found):
        return object()
    return [(item.st_ino, item.st_size, item.st_mtime_ns) for item in found]


def _copy(path: Path, draft: Path) -> tuple[str, int]:
    """Copy a file; the digest and the size of what was copied."""
    hashed, size = hashlib.sha256(), 0
    with path.open("rb") as source, draft.open("wb") as target:
        while piece := source.read(1 << 20):
            hashed.update(piece)
            size += target.write(piece)
    return hashed.hexdigest(), size


def copy_database(path: Path, draft: Path) -> None:
    """Copy a SQLite database as of one moment, with what its log holds, while others write to it."""
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as source, contextlib.closing(sqlite3.connect(draft)) as target:
        try:
            source.backup(target)
        except sqlite3.DatabaseError as error:
            raise BackupError(
                f"{path} is a database that cannot be read ({error}). Restore it from an earlier backup, then back up again."
            ) from error
    shutil.copymode(path, draft)

"""Restore: a home made again of a backup, every file held against its digest, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from assets.errors import BackupError, DigestError, HomeError
from assets.storage import database_dump, postgresql
from assets.storage.backup import manifests, object_path, opened
from assets.storage.digests import file_digest, value_digest
from assets.storage.drafts import draft_folder, sweep
from assets.storage.home import Home
from assets.storage.publishing import read_json


def restore(
    folder: Path, home: Home, at: str | None = None, check: Callable[[Home, dict[str, Any]], None] = lambda *_: None
) -> str:
    """Make a home of a backup.

    Parameters
    ----------
    folder : Path
        The folder of backups.
    home : Home
        The home to make; it does not exist, or is empty.
    at : str, optional
        The name of a backup, or a moment (ISO 8601, UTC unless it says otherwise): the last one taken by then. Left out, the
        last.
    check : callable, optional
        Called with the home before it is in its place, and the backup's manifest; what it raises leaves nothing behind.

    Returns
    -------
    str
        The name of the backup.

    Raises
    ------
    HomeError
        If the home exists and is not empty, or cannot be written.
    BackupError
        If the folder holds no such backup, or a file of it is missing or was changed; nothing is left of the home then.
    """
    opened(folder)
    name, manifest = _chosen(folder, at)
    if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
        raise HomeError(
            f"LOOPLINE_HOME={home.root} exists and is not empty; a backup is restored into a new home only. Point "
            "LOOPLINE_HOME at another folder, or move this one away."
        )
    record = opened_manifest(manifest)
    dump = next((file for file in record["files"] if file["path"] == database_dump.FILE), None)
    if (dump is None) != (home.database is None):
        raise BackupError(
            f"backup {name} is of a home whose metadata is in PostgreSQL. Set {postgresql.VARIABLE} to the address of an empty "
            "database for it."
            if home.database is None
            else f"backup {name} is of a home whose metadata is in SQLite files. Leave {postgresql.VARIABLE} out, and move it "
            "afterwards: `loopline database migrate`."
        )
    beside = Home(home.root.with_name(f".{home.root.name}.restoring"))
    try:
        sweep(beside)  # what a killed restore left
        with draft_folder(beside) as scratch:
            draft = scratch / "home"
            draft.mkdir()
            for file in record["files"]:
                _write(folder, draft, file)
            check(Home(draft), record)
            if dump is not None and home.database is not None:
                database_dump.load(home.database, draft / database_dump.FILE)
                (draft / database_dump.FILE).unlink()
            for place in sorted(record["folders"], reverse=True):  # what lies in a folder before it
                (draft / place).mkdir(parents=True, exist_ok=True)
                (draft / place).chmod(int(record["folders"][place], 8))
            os.sync()
            draft.rename(home.root)
    except OSError as error:
        raise HomeError(
            f"LOOPLINE_HOME={home.root} cannot be written ({error.strerror or error}). Nothing was restored; make room, or "
            "point LOOPLINE_HOME at a folder that you may write to."
        ) from error
    finally:
        for empty in (beside.temporary, beside.root):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
    return name


def _chosen(folder: Path, at: str | None) -> tuple[str, Path]:
    known = manifests(folder)
    listed = ", ".join([*known][-5:]) or "none"
    if at is None:
        if not known:
            raise BackupError(f"{folder} holds no backup yet. Take one: `loopline backup {folder}`.")
        return [*known.items()][-1]
    if at in known:
        return at, known[at]
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise BackupError(
            f"{folder} holds no backup '{at}', and that is no moment such as 2026-11-29T14:00. The last are: {listed}."
        ) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    before = [(name, path) for name, path in known.items() if _taken_at(name) <= moment]
    if not before:
        raise BackupError(f"{folder} holds no backup that was taken by {moment.isoformat()}. The last are: {listed}.")
    return before[-1]


def _taken_at(name: str) -> datetime:
    return datetime.strptime(name.split(".", maxsplit=1)[0], "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC)


def opened_manifest(path: Path) -> dict[str, Any]:
    """A backup's manifest.

    Raises
    ------
    BackupError
        If it was changed, or names a place outside a home.
    """
    again = "Choose another with --at."
    try:
        record: dict[str, Any] = read_json(path)
        if record.pop("digest") != value_digest(record):
            raise BackupError(f"{path} was changed after the backup was taken. {again}")
        for name in (*(file["path"] for file in record["files"]), *record["folders"]):
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts:
                raise BackupError(f"{path} names '{place}', which lies outside a home. {again}")
    except (DigestError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"{path} is no manifest of a backup any more. {again}") from error
    return record


def _write(folder: Path, draft: Path, file: dict[str, Any]) -> None:
    source, target = object_path(folder, file["digest"]), draft / file["path"]
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        raise BackupError(f"{file['path']} cannot be restored: {source} is missing. Choose another backup with --at.")
    shutil.copyfile(source, target)
    if (found := file_digest(target)) != file["digest"]:
        raise BackupError(
            f"{file['path']} cannot be restored: {source} has digest {found[:12]}, so it was changed after the backup was "
            "taken. Choose another backup with --at."
        )
    target.chmod(int(file["mode"], 8))

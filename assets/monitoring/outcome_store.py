"""Outcome store: what was told of a product's answers, by the day on which it was told.

Services append to a SQLite file a day (`bentos.outcome_log`), which becomes Parquet when the day is over; what a person tells
is a Parquet file from the start. Lines are never changed: what is told twice, contradicts itself or belongs to no answer is
found when they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.errors import HomeError
from assets.storage import day_files, log_keys
from assets.storage.day_files import PARQUET, Table
from assets.storage.home import Home
from bentos.log_encryption import LogKeyError, decrypt

SECRET = ("outcome", "entity", "caller")
"""The columns that are encrypted where the log is, in their order."""


def folder(home: Home, product: str) -> Path:
    """Where the outcomes of a product lie."""
    return home.served / product / "outcomes"


def files(home: Home, product: str) -> list[Path]:
    """The files that hold them, the earliest day first."""
    return day_files.files(folder(home, product))


def table() -> Table:
    """What they hold."""
    from bentos.outcome_log import TABLE

    return Table("outcomes", TABLE, ("request_id", "row_number", "entity", "outcome", "observed_at_utc", "content"))


def archive(home: Home, product: str, now: datetime) -> list[Path]:
    """Make Parquet of the days that are over; the files that were made into it."""
    if not files(home, product):
        return []
    with day_files.held(home, product):
        return day_files.archive(folder(home, product), table(), now)


def lines_of(file: Path, known: Sequence[log_keys.LogKey]) -> list[dict[str, Any]]:
    """The lines of a file, decrypted.

    Raises
    ------
    HomeError
        If they are encrypted and the private key cannot be had, or a line was changed.
    """
    lines = read(file)
    sealed: dict[int, tuple[str, str]] | None = None
    ciphers: dict[int, Any] = {}
    for line in lines:
        if (number := line["data_key"]) is None:
            continue
        if number not in ciphers:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            sealed = day_files.data_keys(file) if sealed is None else sealed
            ciphers[number] = AESGCM(log_keys.open_sealed(known, *sealed.get(number, ("?", ""))))
        place = line["request_id"] or "", line["row_number"], line["observed_at_utc"], "outcome"
        try:
            line.update(zip(SECRET, decrypt(ciphers[number], place, line["content"]), strict=True))
        except LogKeyError as error:
            raise HomeError(f"{file} cannot be read: {error}. Restore it from a backup.") from error
    return lines


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a file as they lie there."""
    if file.suffix == PARQUET:
        import pyarrow.parquet as pq

        return [day_files.as_written(line) for line in pq.read_table(file).to_pylist()]
    names = table().schema().names
    with day_files.reading(file) as connection:
        if not day_files.holds(connection, "outcomes"):
            return []
        lines = connection.execute(f"select {', '.join(names)} from outcomes order by rowid").fetchall()
    return [dict(zip(names, line, strict=True)) for line in lines]

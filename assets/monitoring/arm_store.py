"""Arm store: what became of each request of an experiment, as services logged it (`bentos.arm_log`), by day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from assets.storage import day_files
from assets.storage.day_files import PARQUET, Table
from assets.storage.home import Home
from bentos import arm_log


def folder(home: Home, product: str) -> Path:
    """Where the requests of a product's experiments lie."""
    return home.served / product / arm_log.FOLDER


def files(home: Home, product: str) -> list[Path]:
    """The files that hold them, the earliest day first."""
    return day_files.files(folder(home, product))


def table() -> Table:
    """What they hold."""
    return Table("requests", arm_log.TABLE, ("request_id", "arm"))


def archive(home: Home, product: str, now: datetime) -> list[Path]:
    """Make Parquet of the days that are over; the files that were made into it."""
    if not files(home, product):
        return []
    with day_files.held(home, product):
        return day_files.archive(folder(home, product), table(), now)


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    if file.suffix == PARQUET:
        import pyarrow.parquet as pq

        return list(pq.read_table(file).to_pylist())
    with day_files.reading(file) as connection:
        if not day_files.holds(connection, table().name):
            return []
        found = connection.execute(f"select * from {table().name}")
        names = [column[0] for column in found.description]
        return [dict(zip(names, line, strict=True)) for line in found]

"""Shadow store: what challengers answered in the shadow of a champion, by day, as the prediction log has what was answered.

The lines of both have the same request id and row number. Nobody was given these answers; they may still hold what a person
sent, and are erased, sealed anew and removed with the log.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from assets.monitoring import logged_requests
from assets.storage import day_files
from assets.storage.home import Home
from bentos.shadow import FOLDER


def folder(home: Home, product: str) -> Path:
    """Where the answers in the shadow of a product's champion lie."""
    return home.served / product / FOLDER


def files(home: Home, product: str) -> list[Path]:
    """The files that hold them, the earliest day first."""
    return logged_requests.completed(folder(home, product))


def over(home: Home, product: str, now: datetime) -> list[Path]:
    """The files of the days that nobody writes to any more; unlike the log's last day, no monitoring rests on one of them."""
    return [file for file in files(home, product) if day_files.is_over(date.fromisoformat(day_files.day_of(file)), now)]


def archive(home: Home, product: str, now: datetime) -> list[Path]:
    """Make Parquet of the days that are over; the files that were made into it."""
    if not day_files.files(folder(home, product)):
        return []
    with day_files.held(home, product):
        files(home, product)
        return day_files.archive(folder(home, product), logged_requests.table(), now)

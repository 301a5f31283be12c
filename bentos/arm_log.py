"""Arm log: what became of each request of an experiment, answered or not, in one SQLite file a day.

The prediction log holds rows that were answered. What an arm must not harm is also how long answers take, and how often there
is none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bentos.background_writer import BackgroundWriter
from bentos.day_file import day_file
from bentos.log_privacy import kept_entity
from bentos.pseudonyms import pseudonym, read_secret
from bentos.served import Served

FOLDER = "arms"
"""The folder beside the files of the prediction log."""
TABLE = """
create table if not exists requests (
    request_id text not null, ended_at_utc text not null, experiment text not null, arm text not null, propensity real not null,
    entity text, model_digest text not null, status integer not null, milliseconds real not null,
    primary key (request_id, arm)
) strict
"""
INSERT = "insert or ignore into requests values (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Ended(NamedTuple):
    """A request that has ended: when, by whom it was answered, about which entity, how, and how long it took."""

    request_id: str
    ended_at: datetime
    served: Served
    entity: str | None
    status: int
    milliseconds: float


class ArmLog:
    """Writes what became of requests.

    Parameters
    ----------
    folder : Path
        The folder of the prediction log.
    secret_file : Path, optional
        The key of pseudonyms, without which entities that are to be hashed are not kept.
    on_dropped, problem : callable
        See `BackgroundWriter`.
    is_sealed : bool
        Whether the prediction log is encrypted: entities are hashed here then, whatever else it keeps of them.
    """

    def __init__(
        self,
        folder: Path,
        secret_file: Path | None = None,
        on_dropped: Callable[[int], None] = lambda _: None,
        problem: Callable[[str], None] = lambda _: None,
        *,
        is_sealed: bool = False,
    ) -> None:
        self.folder, self.secret_file, self.is_sealed = folder / FOLDER, secret_file, is_sealed
        self.writer = BackgroundWriter(self.folder, self._append, lambda _: 1, on_dropped, problem)

    def add(self, request_id: str, served: Served, entity: str | None, status: int, milliseconds: float) -> None:
        """Hand over a request that has ended, if an experiment chose who answers it."""
        if served.assignment is not None:
            self.writer.add(Ended(request_id, datetime.now(UTC), served, entity, status, milliseconds))

    def close(self) -> None:
        """Write what waits, and stop."""
        self.writer.close()

    def _append(self, batch: Sequence[Ended]) -> None:
        secret = read_secret(self.secret_file)
        self.folder.mkdir(parents=True, exist_ok=True)
        for day in sorted({item.ended_at.date() for item in batch}):
            lines = [
                (
                    item.request_id, item.ended_at.isoformat(timespec="milliseconds"), given.experiment, given.arm,
                    given.propensity, self._kept(item, secret), item.served.model.digest, item.status,
                    round(item.milliseconds, 3),
                )
                for item in batch
                if item.ended_at.date() == day and (given := item.served.assignment) is not None
            ]  # fmt: skip
            with closing(sqlite3.connect(day_file(self.folder, day), timeout=30)) as connection, connection:
                connection.execute("pragma journal_mode = wal")
                connection.execute(TABLE)
                connection.executemany(INSERT, lines)

    def _kept(self, item: Ended, secret: bytes | None) -> str | None:
        """What is kept of the entity: units are told apart by it, and nothing else."""
        named = item.served.entity
        if not self.is_sealed or named is None or item.entity is None:
            return kept_entity(item.served, item.entity, secret)
        return None if secret is None else pseudonym(secret, named["name"], item.entity)

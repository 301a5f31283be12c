"""Outcome log: what became of answers, as services are told it, in one SQLite file for each day on which it was told.

A line is on the disk before its sender is answered. Nothing is looked up: what belongs together is found when it is read.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import to_json

from bentos import outcome_bodies
from bentos.day_file import day_file
from bentos.exchange import Exchange
from bentos.log_encryption import PublicKey, Sealer
from bentos.log_privacy import kept_entity
from bentos.outcome_bodies import Outcome
from bentos.pseudonyms import read_secret
from bentos.refusals import OverloadedError, RefusedError

if TYPE_CHECKING:
    from bentos.served import Served

TABLE = """
create table if not exists outcomes (
    request_id text, row_number integer not null, entity text, outcome text, observed_at_utc text not null,
    told_at_utc text not null, caller text, content text, data_key integer
) strict
"""
ONCE = """
create unique index if not exists told_once on outcomes (
    coalesce(request_id, ''), row_number, coalesce(entity, ''), outcome, observed_at_utc, coalesce(content, '')
)
"""
"""The same words twice are one line; encrypted lines are compared when they are read."""


MOST_WAITING, SECONDS = 100, 5.0
"""How many bodies may wait to be written, and how long one waits for a file that another process writes to."""


class Line(NamedTuple):
    """An outcome, as the table holds it: of encrypted ones, outcome, entity and caller are its content."""

    request_id: str | None
    row_number: int
    entity: str | None
    outcome: str | None
    observed_at_utc: str
    told_at_utc: str
    caller: str | None
    content: str | None = None
    data_key: int | None = None


INSERT = f"insert or ignore into outcomes ({', '.join(Line._fields)}) values ({', '.join('?' * len(Line._fields))})"


class OutcomeLog:
    """Keeps what services are told.

    Parameters
    ----------
    folder : Path
        Where the files are, named by their day (UTC).
    secret_file : Path, optional
        The key of pseudonyms, by which entities are hashed as the prediction log hashes them.
    public_key : PublicKey, optional
        Outcomes, entities and callers are encrypted so that only its private key opens them.
    """

    def __init__(self, folder: Path, secret_file: Path | None = None, public_key: PublicKey | None = None) -> None:
        self.folder, self.secret_file = folder, secret_file
        self.sealer = None if public_key is None else Sealer(public_key)
        self.writer, self.waiting = ThreadPoolExecutor(1, "outcomes"), 0
        self.types: dict[tuple[str, str | None, int], TypeAdapter[Any]] = {}

    async def take(self, exchange: Exchange) -> bytes:
        """Keep the outcomes of a request; the answer, as JSON.

        Raises
        ------
        pydantic.ValidationError
            If the body is not one.
        RefusedError
            If an entity cannot be hashed, or the files cannot be written now.
        OverloadedError
            If too many bodies wait to be written.
        """
        served = exchange.answering
        name, most = None if served.entity is None else served.entity["name"], served.limits["max_batch_rows"]
        if (adapter := self.types.get((served.model.digest, name, most))) is None:
            made = outcome_bodies.body_type(served.model.signature, name, most)
            adapter = self.types[served.model.digest, name, most] = TypeAdapter(made)
        outcomes = self._hashed(served, outcome_bodies.read(adapter, exchange.body))
        if self.waiting >= MOST_WAITING:
            raise OverloadedError(f"{self.waiting} bodies of outcomes wait to be written")
        self.waiting += 1
        # in a thread of its own: what waits for a file must hold up nobody who asks a model
        writing = asyncio.get_running_loop().run_in_executor(
            self.writer, partial(self.append, outcomes, datetime.now(UTC), exchange.caller)
        )
        writing.add_done_callback(self._written)
        try:
            accepted = await writing
        except (sqlite3.Error, OSError) as error:
            raise RefusedError(503, f"The outcomes cannot be kept now ({type(error).__name__}). Send them again.") from error
        return to_json({"accepted": accepted, "known": len(outcomes) - accepted})

    def append(self, outcomes: Sequence[Outcome], now: datetime, caller: str | None = None) -> int:
        """Write outcomes to the file of a day, all or none; how many were new to it."""
        told_at = now.isoformat(timespec="milliseconds")
        lines = [Line(*item, told_at_utc=told_at, caller=caller) for item in outcomes]
        self.folder.mkdir(parents=True, exist_ok=True)
        # timeout: other workers append to the same file
        with closing(sqlite3.connect(day_file(self.folder, now.date()), timeout=SECONDS)) as connection, connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute(TABLE)
            connection.execute(ONCE)
            if self.sealer is not None:
                number = self.sealer.begin(connection, now.date().isoformat())
                lines = [encrypted(self.sealer, line, number) for line in lines]
            before = connection.total_changes
            connection.executemany(INSERT, lines)
            return connection.total_changes - before

    def _written(self, writing: asyncio.Future[int]) -> None:
        self.waiting -= 1
        # who gave up waiting does not ask what became of it
        if not writing.cancelled():
            writing.exception()

    def _hashed(self, served: Served, outcomes: Sequence[Outcome]) -> list[Outcome]:
        secret = read_secret(self.secret_file) if any(item.entity is not None for item in outcomes) else None
        found = [item._replace(entity=kept_entity(served, item.entity, secret)) for item in outcomes]
        if any(item.request_id is None and item.entity is None for item in found):
            raise RefusedError(
                422, "This service has no key of pseudonyms, so it cannot tell entities. Tell the outcomes by request_id."
            )
        return found


def encrypted(sealer: Sealer, line: Line, data_key: int) -> Line:
    """A line whose outcome, entity and caller are one ciphertext."""
    content = sealer.encrypt(
        place(line.request_id, line.row_number, line.observed_at_utc), [line.outcome, line.entity, line.caller]
    )
    return line._replace(outcome=None, entity=None, caller=None, content=content, data_key=data_key)


def place(request_id: str | None, row_number: int, observed_at_utc: str) -> tuple[str, int, str, str]:
    """What an outcome's ciphertext belongs to."""
    return request_id or "", row_number, observed_at_utc, "outcome"

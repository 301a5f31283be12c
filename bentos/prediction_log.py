"""The prediction log: what was asked and answered, in one append-only SQLite file a day, for monitoring to read.

Writing must not slow an answer down: entries are handed to a thread, which writes them together. What it cannot keep up with
is dropped and counted.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bentos import log_blocks
from bentos.assignment import Assignment
from bentos.background_writer import BackgroundWriter
from bentos.bodies import Row
from bentos.by_key import LookedUp
from bentos.day_file import day_file
from bentos.log_encryption import PublicKey, Sealer
from bentos.log_entries import Batch, Entry, Gatherer, array, decoded
from bentos.log_lines import INSERT, begin, encrypted, lines_of
from bentos.log_treatment import Kept, Treatment
from bentos.pseudonyms import read_secret
from bentos.served import Served
from bentos.wire import say

FEW = 100
"""Up to how many rows of one turn become lines at once; more are kept in blocks."""
AT_END = 20_000
"""Up to how many rows of blocks become lines when the log is closed; the rest do when it is read."""


class Answered(NamedTuple):
    """A request that was answered: when, by which model, what it asked, and what it got."""

    request_id: str
    answered_at: datetime
    served: Served
    rows: Sequence[Row]
    answers: Sequence[Any]
    caller: str | None = None
    entity: str | None = None
    assignment: Assignment | None = None
    looked_up: LookedUp | None = None


class PredictionLog:
    """Writes a sample of what is answered.

    Parameters
    ----------
    folder : Path
        Where the files are, named by their day (UTC).
    sample : float
        The share of requests that is kept; which ones follows from their id, so that all services agree.
    on_dropped : callable
        Told how many rows were dropped.
    secret_file : Path, optional
        The key of pseudonyms. Without it, columns that should be hashed are dropped.
    public_key : PublicKey, optional
        Features, answers and callers are encrypted so that only its private key opens them.
    problem : callable
        Told that the log cannot be written, once a minute while that lasts, and that it can be again.
    on_written : callable
        Told how many rows were written.
    """

    def __init__(
        self,
        folder: Path,
        sample: float,
        on_dropped: Callable[[int], None] = lambda _: None,
        *,
        secret_file: Path | None = None,
        public_key: PublicKey | None = None,
        problem: Callable[[str], None] = lambda _: None,
        on_written: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.folder, self.sample, self.secret_file, self.problem = folder, sample, secret_file, problem
        self.sealer = None if public_key is None else Sealer(public_key)
        self.treatments: dict[tuple[bytes, bytes | None], Treatment] = {}
        self.writer = BackgroundWriter(folder, self._append, _rows, on_dropped, problem, on_written=on_written)
        self.in_blocks: set[date] = set()

    def takes(self, request_id: str) -> bool:
        """Whether this request is in the sample."""
        return is_in_sample(request_id, self.sample)

    def add(
        self,
        request_id: str,
        served: Served,
        rows: Sequence[Row],
        answers: Sequence[dict[str, Any]],
        caller: str | None = None,
        *,
        entity: str | None = None,
        assignment: Assignment | None = None,
        looked_up: LookedUp | None = None,
    ) -> None:
        """Hand over a request's rows and their answers, who asked, about which entity, and by which experiment.

        Parameters
        ----------
        request_id : str
            The request's id.
        served : Served
            What answered.
        rows, answers : sequence of length n_rows
            What was asked, and answered.
        caller : str, optional
            Who asked.
        entity : str, optional
            The key of the entity that the request is about, as it came.
        assignment : Assignment, optional
            Why this model answered: the arm of an experiment. Without one, no experiment chose.
        looked_up : LookedUp, optional
            What the online store gave, of a request by key.
        """
        now = datetime.now(UTC)
        self.hand(Answered(request_id, now, served, rows, answers, caller, entity, assignment, looked_up))

    def hand(self, item: Answered) -> None:
        """Hand over a request that was answered at its own moment."""
        gatherer, given = Gatherer(self.writer.add), None if item.assignment is None else astuple(item.assignment)
        head = item.request_id, item.answered_at.timestamp(), item.caller, item.entity, given, item.looked_up
        gatherer.add(item.served, Entry(*head, 0, item.rows, item.answers))
        gatherer.flush()

    def look(self) -> None:
        """Nothing is to be seen to: a thread writes."""

    def close(self) -> None:
        """Write what waits, and stop."""
        self.writer.close()
        try:
            for day in sorted(self.in_blocks):
                with suppress(FileNotFoundError):  # it became Parquet since
                    log_blocks.complete(day_file(self.folder, day), AT_END)
        except (sqlite3.Error, OSError) as error:
            self.problem(f"{self.folder} cannot be written ({error}): the blocks that it holds become lines when it is read")

    def _append(self, batches: Sequence[Batch]) -> None:
        secret = read_secret(self.secret_file)
        self.folder.mkdir(parents=True, exist_ok=True)
        for day in sorted({batch.day for batch in batches}):
            kept = [self._treatment(batch.served, secret).kept(batch) for batch in batches if batch.day == day]
            with log_blocks.writing(day_file(self.folder, day)) as connection:
                is_in_lines = self._write(connection, day, kept)
            (self.in_blocks.discard if is_in_lines else self.in_blocks.add)(day)

    def _write(self, connection: sqlite3.Connection, day: date, kept: Sequence[Kept]) -> bool:
        """Write what is kept; whether all of the day is lines now."""
        rows = sum(item.rows for item in kept)
        begin(connection)
        if self.sealer is not None:
            log_blocks.become_lines(connection, log_blocks.ALL)
            number = self.sealer.begin(connection, day.isoformat())
        elif rows > FEW or log_blocks.waiting(connection):
            log_blocks.add(connection, kept)
            return rows <= FEW and log_blocks.become_lines(connection, log_blocks.SOME)
        for item in kept:
            lines = lines_of(item.answering, item.hidden, decoded(array(item.size, [item.entries])))
            connection.executemany(INSERT, lines if self.sealer is None else encrypted(self.sealer, lines, number))
        return True

    def _treatment(self, served: Served, secret: bytes | None) -> Treatment:
        key = served.log_key, secret
        if key not in self.treatments:
            self.treatments[key] = Treatment(served, secret)
        return self.treatments[key]


def is_in_sample(request_id: str, sample: float) -> bool:
    """Whether a request is in a sample of this share of all."""
    return sample >= 1 or zlib.crc32(request_id.encode()) < sample * 2**32


def say_problem(told: str) -> None:
    """Tell in the service's own log what keeps the prediction log from being written."""
    say(event="prediction log", problem=told)


def _rows(batch: Batch) -> int:
    return batch.rows

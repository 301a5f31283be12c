"""The prediction log: what was asked and answered, in one append-only SQLite file a day, for monitoring to read.

Writing must not slow an answer down: entries are handed to a thread, which writes them together. What it cannot keep up with
is dropped and counted.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import to_json

from bentos.assignment import Assignment
from bentos.background_writer import BackgroundWriter
from bentos.bodies import Row
from bentos.by_key import LookedUp
from bentos.day_file import day_file
from bentos.decisions import said
from bentos.log_encryption import PublicKey, Sealer
from bentos.log_privacy import kept_entity, kept_lookup, kept_row
from bentos.pseudonyms import read_secret
from bentos.served import Served
from bentos.wire import say

TABLE = """
create table if not exists predictions (
    request_id text not null, row_number integer not null, answered_at_utc text not null, model_version integer not null,
    model_digest text not null, features text not null, prediction text not null, caller text, hidden text, data_key integer,
    entity text, inputs_digest text, experiment text, arm text, propensity real, output real, decision text, looked_up text,
    primary key (request_id, row_number)
) strict
"""
LATER = {
    "caller": "text",
    "hidden": "text",
    "data_key": "integer",
    "entity": "text",
    "inputs_digest": "text",
    "experiment": "text",
    "arm": "text",
    "propensity": "real",
    "output": "real",
    "decision": "text",
    "looked_up": "text",
}
"""Columns that the file of a day lacks which an earlier version of the service began."""


class Answered(NamedTuple):
    """A request that was answered: when, by which model, what it asked, and what it got; or its rows from the `first` on."""

    request_id: str
    answered_at: datetime
    served: Served
    rows: Sequence[Row]
    answers: Sequence[Any]
    caller: str | None = None
    entity: str | None = None
    assignment: Assignment | None = None
    first: int = 0
    looked_up: LookedUp | None = None


class Line(NamedTuple):
    """A row of an answered request, as the table holds it."""

    request_id: str
    row_number: int
    answered_at_utc: str
    model_version: int
    model_digest: str
    features: str
    prediction: str
    caller: str | None
    hidden: str | None
    data_key: int | None
    entity: str | None
    inputs_digest: str | None
    experiment: str | None
    arm: str | None
    propensity: float | None
    output: float | None = None
    decision: str | None = None
    looked_up: str | None = None


INSERT = f"insert or ignore into predictions ({', '.join(Line._fields)}) values ({', '.join('?' * len(Line._fields))})"


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
        self.folder, self.sample, self.secret_file = folder, sample, secret_file
        self.sealer = None if public_key is None else Sealer(public_key)
        self.writer = BackgroundWriter(folder, self._append, _rows, on_dropped, problem, on_written=on_written)

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
        self.writer.add(Answered(request_id, now, served, rows, answers, caller, entity, assignment, looked_up=looked_up))

    def look(self) -> None:
        """Nothing is to be seen to: a thread writes."""

    def close(self) -> None:
        """Write what waits, and stop."""
        self.writer.close()

    def _append(self, batch: Sequence[Answered]) -> None:
        secret = read_secret(self.secret_file)
        self.folder.mkdir(parents=True, exist_ok=True)
        for day in sorted({item.answered_at.date() for item in batch}):
            lines = [line for item in batch if item.answered_at.date() == day for line in _lines(item, secret)]
            # timeout: other workers append to the same file
            with closing(sqlite3.connect(day_file(self.folder, day), timeout=30)) as connection, connection:
                connection.execute("pragma journal_mode = wal")
                connection.execute(TABLE)
                present = {column[1] for column in connection.execute("pragma table_info(predictions)")}
                for name, kind in LATER.items():
                    if name not in present:
                        connection.execute(f"alter table predictions add column {name} {kind}")
                if self.sealer is not None:
                    number = self.sealer.begin(connection, day.isoformat())
                    lines = [_encrypted(self.sealer, line, number) for line in lines]
                # a client may repeat its request's id; its first answer stands
                connection.executemany(INSERT, lines)


def is_in_sample(request_id: str, sample: float) -> bool:
    """Whether a request is in a sample of this share of all."""
    return sample >= 1 or zlib.crc32(request_id.encode()) < sample * 2**32


def say_problem(told: str) -> None:
    """Tell in the service's own log what keeps the prediction log from being written."""
    say(event="prediction log", problem=told)


def _rows(item: Answered) -> int:
    return len(item.rows)


def _lines(item: Answered, secret: bytes | None) -> list[Line]:
    """The lines of a request; what is private is treated here, in the log's thread."""
    served, moment = item.served, item.answered_at.isoformat(timespec="milliseconds")
    entity, given = kept_entity(served, item.entity, secret), item.assignment
    experiment, arm, propensity = (None,) * 3 if given is None else (given.experiment, given.arm, given.propensity)
    looked_up = None if item.looked_up is None else kept_lookup(served, item.looked_up, secret)
    return [
        Line(
            item.request_id, number, moment, served.promise["model_version"], served.model.digest, kept.features,
            to_json(answer).decode(), item.caller, kept.hidden, None, entity, kept.inputs_digest, experiment, arm, propensity,
            output, decision, looked_up,
        )
        for number, (row, answer) in enumerate(zip(item.rows, item.answers, strict=True), item.first)
        for kept, (output, decision) in [(kept_row(served, row, secret), said(answer))]
    ]  # fmt: skip


def _encrypted(sealer: Sealer, line: Line, data_key: int) -> Line:
    """A line whose features, answer, caller, entity, inputs' digest and look-up are one ciphertext; copies go."""
    place = line.request_id, line.row_number, line.answered_at_utc, line.model_digest
    secret = line.features, line.prediction, line.caller, line.entity, line.inputs_digest, line.looked_up
    content = sealer.encrypt(place, list(secret))
    return line._replace(
        features=content,
        data_key=data_key,
        prediction="",
        caller=None,
        entity=None,
        inputs_digest=None,
        output=None,
        decision=None,
        looked_up=None,
    )

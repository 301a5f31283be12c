"""The prediction log: what was asked and answered, in one append-only SQLite file a day, for monitoring to read.

Writing must not slow an answer down: entries are handed to a thread, which writes them together. What it cannot keep up with
is dropped and counted.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from bentos.bodies import Row
from bentos.log_encryption import PublicKey, Sealer
from bentos.pseudonyms import read_secret, treated
from bentos.served import Served

TABLE = """
create table if not exists predictions (
    request_id text not null, row_number integer not null, answered_at_utc text not null, model_version integer not null,
    model_digest text not null, features text not null, prediction text not null, caller text, hidden text, data_key integer,
    primary key (request_id, row_number)
) strict
"""
COLUMNS = "request_id, row_number, answered_at_utc, model_version, model_digest, features, prediction, caller, hidden, data_key"
LATER = {"caller": "text", "hidden": "text", "data_key": "integer"}
"""Columns that the file of a day lacks which an earlier version of the service began."""
Entry = tuple[str, datetime, Served, Sequence[Row], Sequence[Any], str | None]
MOST, TOGETHER = 4_000, 4_000
"""How many requests may wait to be written, and how many are written together."""
SECONDS = 0.25
"""How long an entry waits for others to be written with it."""
EVERY = 60.0
"""How often it is said, in seconds, that the log cannot be written."""


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
    ) -> None:
        self.folder, self.sample, self.on_dropped, self.secret_file = folder, sample, on_dropped, secret_file
        self.sealer, self.problem = None if public_key is None else Sealer(public_key), problem
        self.entries: deque[Entry] = deque()
        self.closing = threading.Event()
        self.lost, self.told_at = 0, float("-inf")
        self.thread = threading.Thread(target=self._write, daemon=True, name="prediction log")
        self.thread.start()

    def takes(self, request_id: str) -> bool:
        """Whether this request is in the sample."""
        return zlib.crc32(request_id.encode()) < self.sample * 2**32

    def add(
        self,
        request_id: str,
        served: Served,
        rows: Sequence[Row],
        answers: Sequence[dict[str, Any]],
        caller: str | None = None,
    ) -> None:
        """Hand over a request's rows and their answers, and who asked."""
        if len(self.entries) < MOST:
            self.entries.append((request_id, datetime.now(UTC), served, rows, answers, caller))
        else:
            self.on_dropped(len(rows))

    def close(self) -> None:
        """Write what waits, and stop."""
        self.closing.set()
        self.thread.join()

    def _write(self) -> None:
        while self.entries or not self.closing.is_set():
            self.closing.wait(SECONDS)
            # no more than what waits now: under load there is always more
            batch = [self.entries.popleft() for _ in range(min(len(self.entries), TOGETHER))]
            if not batch:
                continue
            try:
                self._append(batch)
            except (sqlite3.Error, OSError) as error:
                self._cannot(error, sum(len(item[3]) for item in batch))
            else:
                if self.lost:
                    self.problem(f"{self.folder} can be written again; {self.lost:,} rows are missing")
                    self.lost, self.told_at = 0, float("-inf")

    def _cannot(self, error: Exception, rows: int) -> None:
        """Requests are answered on; whoever runs the service is told that they are not logged."""
        self.on_dropped(rows)
        self.lost += rows
        if time.monotonic() - self.told_at >= EVERY:
            self.told_at = time.monotonic()
            self.problem(f"{self.folder} cannot be written ({error}): {self.lost:,} rows were answered and are not logged")

    def _append(self, batch: Sequence[Entry]) -> None:
        secret = read_secret(self.secret_file)
        self.folder.mkdir(parents=True, exist_ok=True)
        for day in sorted({item[1].date() for item in batch}):
            lines = [
                (
                    request_id, number, moment.isoformat(timespec="milliseconds"), served.promise["model_version"],
                    served.model.digest, features, to_json(answer).decode(), caller, hidden, None,
                )
                for request_id, moment, served, rows, answers, caller in batch
                if moment.date() == day
                for number, (row, answer) in enumerate(zip(rows, answers, strict=True))
                for features, hidden in [_kept(served, row, secret)]
            ]  # fmt: skip
            # timeout: other workers append to the same file
            with closing(sqlite3.connect(self.folder / f"{day}.sqlite", timeout=30)) as connection, connection:
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
                values = ", ".join("?" * len(COLUMNS.split(",")))
                connection.executemany(f"insert or ignore into predictions ({COLUMNS}) values ({values})", lines)


def _kept(served: Served, row: Row, secret: bytes | None) -> tuple[str, str | None]:
    """The features of a row as they are kept, and how those are treated that are not kept as they came; both as JSON."""
    features, hidden = treated(served.bodies.named(row), served.bodies.features, served.privacy, secret)
    return to_json(features).decode(), to_json(hidden).decode() if hidden else None


def _encrypted(sealer: Sealer, line: tuple[Any, ...], data_key: int) -> tuple[Any, ...]:
    """A line whose features, answer and caller are one ciphertext."""
    request_id, number, moment, version, digest, features, answer, caller, hidden, _ = line
    content = sealer.encrypt((request_id, number, moment, digest), [features, answer, caller])
    return request_id, number, moment, version, digest, content, "", None, hidden, data_key

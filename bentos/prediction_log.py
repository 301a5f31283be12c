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

from bentos.served import Row, Served

TABLE = """
create table if not exists predictions (
    request_id text not null, row_number integer not null, answered_at_utc text not null, model_version integer not null,
    model_digest text not null, features text not null, prediction text not null, caller text,
    primary key (request_id, row_number)
) strict
"""
COLUMNS = "request_id, row_number, answered_at_utc, model_version, model_digest, features, prediction, caller"
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
    problem : callable
        Told that the log cannot be written, once a minute while that lasts, and that it can be again.
    """

    def __init__(
        self,
        folder: Path,
        sample: float,
        on_dropped: Callable[[int], None] = lambda _: None,
        *,
        problem: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder, self.sample, self.on_dropped, self.problem = folder, sample, on_dropped, problem
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
        self.folder.mkdir(parents=True, exist_ok=True)
        for day in sorted({item[1].date() for item in batch}):
            lines = [
                (
                    request_id, number, moment.isoformat(timespec="milliseconds"), served.promise["model_version"],
                    served.model.digest, to_json(row).decode(), to_json(answer).decode(), caller,
                )
                for request_id, moment, served, rows, answers, caller in batch
                if moment.date() == day
                for number, (row, answer) in enumerate(zip(rows, answers, strict=True))
            ]  # fmt: skip
            # timeout: other workers append to the same file
            with closing(sqlite3.connect(self.folder / f"{day}.sqlite", timeout=30)) as connection, connection:
                connection.execute("pragma journal_mode = wal")
                connection.execute(TABLE)
                if "caller" not in {column[1] for column in connection.execute("pragma table_info(predictions)")}:
                    # a day that a service began which knew no callers
                    connection.execute("alter table predictions add column caller text")
                # a client may repeat its request's id; its first answer stands
                connection.executemany(f"insert or ignore into predictions ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?)", lines)

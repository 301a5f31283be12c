"""Background writer: a thread that writes what it is handed, together and later, so that no answer waits for a disk.

What it cannot keep up with, or cannot write, is dropped, counted and told.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Item = TypeVar("Item")
MOST, TOGETHER = 4_000, 4_000
"""How many items may wait to be written, and how many are written together."""
SECONDS = 0.25
"""How long an item waits for others to be written with it."""
EVERY = 60.0
"""How often it is said, in seconds, that nothing can be written."""


class BackgroundWriter(Generic[Item]):
    """Writes items in a thread of its own.

    Parameters
    ----------
    folder : Path
        Where they are written; a message names it.
    append : callable
        Writes some items.
    rows : callable
        How many rows an item has.
    on_dropped : callable
        Told how many rows were dropped.
    problem : callable
        Told that nothing can be written, once a minute while that lasts, and that it can be again.
    on_written : callable
        Told how many rows were written.
    """

    def __init__(
        self,
        folder: Path,
        append: Callable[[Sequence[Item]], None],
        rows: Callable[[Item], int],
        on_dropped: Callable[[int], None] = lambda _: None,
        problem: Callable[[str], None] = lambda _: None,
        *,
        on_written: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.folder, self.append, self.rows, self.on_dropped, self.problem = folder, append, rows, on_dropped, problem
        self.on_written = on_written
        self.waiting: deque[Item] = deque()
        self.closing = threading.Event()
        self.lost, self.told_at = 0, float("-inf")
        self.thread = threading.Thread(target=self._write, daemon=True, name=f"writer of {folder.name}")
        self.thread.start()

    def add(self, item: Item) -> None:
        """Hand over an item."""
        if len(self.waiting) < MOST:
            self.waiting.append(item)
        else:
            self.on_dropped(self.rows(item))

    def close(self) -> None:
        """Write what waits, and stop."""
        self.closing.set()
        self.thread.join()

    def _write(self) -> None:
        while self.waiting or not self.closing.is_set():
            self.closing.wait(SECONDS)
            # no more than what waits now: under load there is always more
            batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), TOGETHER))]
            if not batch:
                continue
            try:
                self.append(batch)
            except (sqlite3.Error, OSError) as error:
                self._cannot(error, sum(map(self.rows, batch)))
            else:
                self.on_written(sum(map(self.rows, batch)))
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

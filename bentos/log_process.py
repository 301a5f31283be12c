"""Log process: hands what is to be logged to a process that writes the prediction log.

A thread of the service that prepares lines holds the interpreter meanwhile, and requests wait for it. What is handed over is
sent a few times a second.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from bentos.assignment import Assignment
from bentos.bodies import Row
from bentos.by_key import LookedUp
from bentos.companion import Companion
from bentos.log_entries import Batch, Entry, Gatherer
from bentos.log_worker import DROPPED
from bentos.prediction_log import is_in_sample
from bentos.served import Served

LAST = 30.0
"""How many seconds the process has to write what it was handed when the service ends."""
_encoder = msgspec.msgpack.Encoder()


class LogProcess:
    """A `PredictionLog` in a process of its own; its settings reach it by the service's variables.

    Parameters
    ----------
    folder, sample, on_dropped, problem
        See `PredictionLog`.
    """

    def __init__(
        self,
        folder: Path,
        sample: float,
        on_dropped: Callable[[int], None] = lambda _: None,
        *,
        problem: Callable[[str], None] = lambda _: None,
        **settings: Any,
    ) -> None:
        del settings
        self.sample, self.on_dropped, self.problem = sample, on_dropped, problem
        self.companion = Companion("bentos.log_worker", [str(folder)], self._ended)
        self.gatherer = Gatherer(self._post)
        self.known: dict[bytes, bytes] = {}
        self.companion.look()

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
        """Hand over a request; see `PredictionLog.add`."""
        given = None if assignment is None else (assignment.experiment, assignment.arm, assignment.propensity)
        entry = Entry(request_id, time.time(), caller, entity, given, looked_up, 0, rows, answers)
        self.gatherer.add(served, entry)

    def look(self) -> None:
        """Send what waits, hear what became of it, and see that the process is there."""
        if self.companion.look():
            # what waits is read by one that has not heard yet who answered
            for message in self.known.values():
                self.companion.post_first(message)
        self.gatherer.flush()
        self.companion.send()
        self._hear(self.companion.messages)

    def close(self) -> None:
        """Send what waits, and let the process write it, and end."""
        self.look()
        messages = self.companion.messages
        # what became of it is said before the process ends
        kept = None if messages is None else messages.dup()
        self.companion.close(LAST)
        if kept is not None:
            with kept:
                self._hear(kept)
        self._lost(self.companion.handed + sum(posted.rows for posted in self.companion.waiting))

    def _post(self, batch: Batch) -> None:
        served = batch.served
        if served.log_key not in self.known:
            self.known[served.log_key] = message = _encoder.encode((served.log_key, *served.for_log))
            self.companion.post_first(message)
        message = _encoder.encode((served.log_key, batch.day.toordinal(), batch.rows, batch.size, batch.entries))
        if not self.companion.post(message, batch.rows):
            self.on_dropped(batch.rows)

    def _hear(self, messages: socket.socket | None) -> None:
        """Take off the rows of which the process says what became of them."""
        with suppress(OSError):
            while messages is not None and (told := messages.recv(100)):
                became, rows = told.split()
                self.companion.handed -= int(rows)
                if became == DROPPED:
                    self.on_dropped(int(rows))

    def _ended(self, told: str) -> None:
        """Count what the process had, and has not said that it wrote."""
        self.problem(told)
        self._hear(self.companion.messages)
        lost, self.companion.handed = self.companion.handed, 0
        self._lost(lost)

    def _lost(self, rows: int) -> None:
        if rows:
            self.on_dropped(rows)
            self.problem(f"{rows:,} rows were handed over, and are not known to be written")

"""Log process: hands what is to be logged to a process that writes the prediction log.

A thread of the service that prepares lines holds the interpreter meanwhile, and requests wait for it. What is handed over is
encoded and sent a few times a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from bentos.assignment import Assignment
from bentos.bodies import Row
from bentos.by_key import LookedUp
from bentos.companion import MOST_BYTES, Companion
from bentos.prediction_log import is_in_sample
from bentos.served import Served

MOST = 4_000
"""How many requests may wait to be encoded."""
MOST_ROWS = 100
"""How many rows go into one message, unless they are too long."""
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
        self.sample, self.on_dropped = sample, on_dropped
        self.companion = Companion("bentos.log_worker", [str(folder)], problem)
        self.waiting: list[tuple[Served, tuple[Any, ...], Sequence[Row], Sequence[dict[str, Any]]]] = []
        self.known: set[bytes] = set()
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
        if len(self.waiting) >= MOST:
            self.on_dropped(len(rows))
            return
        given = None if assignment is None else (assignment.experiment, assignment.arm, assignment.propensity)
        self.waiting.append((served, (request_id, time.time(), caller, entity, given, looked_up), rows, answers))

    def look(self) -> None:
        """Send what waits, hear what could not be written, and see that the process is there."""
        if self.companion.look():
            self.known.clear()
        waiting, self.waiting = self.waiting, []
        for served, head, rows, answers in waiting:
            if served.log_key not in self.known:
                self.known.add(served.log_key)
                self.companion.post(_encoder.encode((served.log_key, *served.for_log)))
            self._post(served.log_key, head, rows, answers, 0)
        self.companion.send()
        self._hear()

    def close(self) -> None:
        """Send what waits, and let the process write it, and end."""
        self.look()
        messages = self.companion.messages
        # what it cannot write it says before it ends
        kept = None if messages is None else messages.dup()
        self.companion.close(30)
        if kept is not None:
            with kept:
                self._hear(kept)

    def _post(
        self, key: bytes, head: tuple[Any, ...], rows: Sequence[Row], answers: Sequence[dict[str, Any]], first: int
    ) -> None:
        """Post rows from the `first` of a request on, in as many messages as they take."""
        for start in range(0, len(rows), MOST_ROWS):
            part, said = rows[start : start + MOST_ROWS], answers[start : start + MOST_ROWS]
            message = _encoder.encode((key, head, first + start, part, said))
            if len(message) > MOST_BYTES // 2 and len(part) > 1:
                middle = len(part) // 2
                self._post(key, head, part[:middle], said[:middle], first + start)
                self._post(key, head, part[middle:], said[middle:], first + start + middle)
            elif not self.companion.post(message):
                self.on_dropped(len(part))

    def _hear(self, messages: Any = None) -> None:
        """Count the rows that the process dropped."""
        messages = messages or self.companion.messages
        with suppress(OSError):
            while messages is not None and (told := messages.recv(100)):
                self.on_dropped(int(told))

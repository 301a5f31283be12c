"""Micro-batching: single rows that arrive in one turn of the event loop are answered by one call of the model.

Calling the model costs far more than one row more in the call. Nothing waits for company: a row that arrives alone is answered
alone, in the same turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from bentos.bodies import Row
from bentos.served import Served

Answered = tuple[float, dict[str, Any]]


class Waiter(Protocol):
    """Who waits for the score and the answer of a row; a future, or what acts like one."""

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def set_result(self, result: Answered, /) -> None:
        """Take them."""

    def set_exception(self, exception: Exception, /) -> None:
        """Take what kept the row from being answered."""


class MicroBatcher:
    """Answers single rows in the event loop itself: a few rows take less time than handing them to a thread.

    Parameters
    ----------
    on_batch : callable
        Told the number of rows of each call.
    on_turn : callable
        Called when all rows of a turn are answered.
    """

    def __init__(self, on_batch: Callable[[int], None] = lambda _: None, on_turn: Callable[[], None] = lambda: None) -> None:
        self.on_batch, self.on_turn = on_batch, on_turn
        self.waiting: list[tuple[Served, Row, Waiter]] = []

    def predict(self, served: Served, row: Row) -> asyncio.Future[Answered]:
        """The score and the answer of a checked row."""
        found: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self.add(served, row, found)
        return found

    def add(self, served: Served, row: Row, waiter: Waiter) -> None:
        """Let a checked row be answered in this turn."""
        if not self.waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        self.waiting.append((served, row, waiter))

    def _answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        for served in {id(served): served for served, _, _ in waiting}.values():
            together = [(row, waiter) for asked, row, waiter in waiting if asked is served and not waiter.done()]
            if not together:
                continue
            self.on_batch(len(together))
            try:
                results = list(zip(*served.predict([row for row, _ in together]), strict=True))
            except Exception as error:  # noqa: BLE001 - it is told to whoever asked
                for _, waiter in together:
                    waiter.set_exception(error)
            else:
                for (_, waiter), result in zip(together, results, strict=True):
                    waiter.set_result(result)
        self.on_turn()

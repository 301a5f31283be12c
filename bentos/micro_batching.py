"""Micro-batching: single rows that arrive in one turn of the event loop are answered by one call of the model.

Calling the model costs far more than one row more in the call. Nothing waits for company: a row that arrives alone is answered
alone, in the same turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bentos.bodies import Row
from bentos.served import Served

Answered = tuple[float, dict[str, Any]]


class MicroBatcher:
    """Answers single rows in the event loop itself: a few rows take less time than handing them to a thread.

    Parameters
    ----------
    on_batch : callable
        Told the number of rows of each call.
    """

    def __init__(self, on_batch: Callable[[int], None] = lambda _: None) -> None:
        self.on_batch = on_batch
        self.waiting: list[tuple[Served, Row, asyncio.Future[Answered]]] = []

    def predict(self, served: Served, row: Row) -> asyncio.Future[Answered]:
        """The score and the answer of a checked row."""
        loop = asyncio.get_running_loop()
        if not self.waiting:
            loop.call_soon(self._answer)
        found: asyncio.Future[Answered] = loop.create_future()
        self.waiting.append((served, row, found))
        return found

    def _answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        for served in {id(served): served for served, _, _ in waiting}.values():
            together = [(row, found) for asked, row, found in waiting if asked is served and not found.done()]
            if not together:
                continue
            self.on_batch(len(together))
            try:
                results = zip(*served.predict([row for row, _ in together]), strict=True)
            except Exception as error:  # noqa: BLE001 - it is told to whoever asked
                for _, found in together:
                    found.set_exception(error)
            else:
                for (_, found), result in zip(together, results, strict=True):
                    found.set_result(result)

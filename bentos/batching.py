"""Adaptive batching: what arrives while the model is busy is answered together, and nothing waits for company."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bentos.bodies import Row
from bentos.served import Served

Result = tuple[list[float], list[dict[str, Any]]]


class OverloadedError(Exception):
    """More is waiting than the service may take on."""


@dataclass
class _Waiting:
    served: Served
    rows: list[Row]
    done: asyncio.Future[Result]


class Batcher:
    """Answers many requests by one call of the model, in a thread, so that the event loop stays free.

    A batch is whatever waits when the model becomes free: one request when it is quiet, many under load. Requests of one
    batch were checked against the same model.

    Parameters
    ----------
    max_rows : int
        The largest number of rows in one call, unless one request alone holds more.
    max_waiting_rows : int
        From how many waiting rows on new ones are refused.
    on_batch : callable
        Told the number of rows of each call.
    """

    def __init__(self, max_rows: int, max_waiting_rows: int, on_batch: Callable[[int], None] = lambda _: None) -> None:
        self.max_rows, self.max_waiting_rows, self.on_batch = max_rows, max_waiting_rows, on_batch
        self.waiting: deque[_Waiting] = deque()
        self.waiting_rows = 0
        self.worker: asyncio.Task[None] | None = None

    async def predict(self, served: Served, rows: list[Row]) -> Result:
        """The scores and the answers of these rows.

        Raises
        ------
        OverloadedError
            If too many rows wait already.
        """
        if self.waiting_rows and self.waiting_rows + len(rows) > self.max_waiting_rows:
            raise OverloadedError(f"{self.waiting_rows} rows wait already, at most {self.max_waiting_rows} may")
        item = _Waiting(served, rows, asyncio.get_running_loop().create_future())
        self.waiting.append(item)
        self.waiting_rows += len(rows)
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._work())
        return await item.done

    async def _work(self) -> None:
        while self.waiting:
            batch = self._next()
            rows = [row for item in batch for row in item.rows]
            self.on_batch(len(rows))
            try:
                scores, answers = await asyncio.to_thread(batch[0].served.predict, rows)
            except Exception as error:  # noqa: BLE001 - it is told to whoever asked
                for item in batch:
                    if not item.done.done():
                        item.done.set_exception(error)
            else:
                start = 0
                for item in batch:
                    end = start + len(item.rows)
                    if not item.done.done():
                        item.done.set_result((scores[start:end], answers[start:end]))
                    start = end
            self.waiting_rows -= len(rows)

    def _next(self) -> list[_Waiting]:
        batch = [self.waiting.popleft()]
        size = len(batch[0].rows)
        while self.waiting and self.waiting[0].served is batch[0].served and size + len(self.waiting[0].rows) <= self.max_rows:
            batch.append(self.waiting.popleft())
            size += len(batch[-1].rows)
        return batch

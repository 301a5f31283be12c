"""Adaptive batching: what arrives while the model is busy is answered together, and nothing waits for company."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from bentos.bodies import Row
from bentos.refusals import OverloadedError
from bentos.served import Served

Result = tuple[list[float], list[dict[str, Any]]]
Columns = tuple[list[float], dict[str, list[Any]]]


@dataclass
class _Waiting:
    """A request's rows, which may be answered with others', or its columns, which are answered alone."""

    served: Served
    size: int
    rows: list[Row] | None
    columns: Mapping[str, Any] | None
    done: asyncio.Future[Any]


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
        found: Result = await self._in_turn(served, len(rows), rows, None)
        return found

    async def predict_columns(
        self, served: Served, size: int, columns: Mapping[str, Any]
    ) -> tuple[list[float], dict[str, Any]]:
        """The scores, and the fields of the answers, of so many rows as columns; raises like `predict`."""
        found: tuple[list[float], dict[str, Any]] = await self._in_turn(served, size, None, columns)
        return found

    async def _in_turn(self, served: Served, size: int, rows: list[Row] | None, columns: Mapping[str, Any] | None) -> Any:
        if self.waiting_rows and self.waiting_rows + size > self.max_waiting_rows:
            raise OverloadedError(f"{self.waiting_rows} rows wait already, at most {self.max_waiting_rows} may")
        item = _Waiting(served, size, rows, columns, asyncio.get_running_loop().create_future())
        self.waiting.append(item)
        self.waiting_rows += size
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._work())
        return await item.done

    async def _work(self) -> None:
        while self.waiting:
            batch = self._next()
            size = sum(item.size for item in batch)
            self.on_batch(size)
            served, columns = batch[0].served, batch[0].columns
            try:
                if columns is not None:
                    results = [await asyncio.to_thread(served.predict_columns, columns)]
                else:
                    rows = [row for item in batch for row in item.rows or ()]
                    results = _apart(await asyncio.to_thread(served.predict, rows), batch)
            except Exception as error:  # noqa: BLE001 - it is told to whoever asked
                for item in batch:
                    if not item.done.done():
                        item.done.set_exception(error)
            else:
                for item, result in zip(batch, results, strict=True):
                    if not item.done.done():
                        item.done.set_result(result)
            self.waiting_rows -= size

    def _next(self) -> list[_Waiting]:
        batch = [self.waiting.popleft()]
        size = batch[0].size
        while self.waiting and _fit(batch[0], self.waiting[0]) and size + self.waiting[0].size <= self.max_rows:
            batch.append(self.waiting.popleft())
            size += batch[-1].size
        return batch


def _fit(one: _Waiting, other: _Waiting) -> bool:
    """Whether two requests may be answered by one call."""
    return one.served is other.served and one.rows is not None and other.rows is not None


def _apart(result: Result, batch: Sequence[_Waiting]) -> list[Any]:
    """Each request's part of what was answered together."""
    scores, answers = result
    edges = pairwise(accumulate((item.size for item in batch), initial=0))
    return [(scores[start:end], answers[start:end]) for start, end in edges]

"""How long requests may take: one look at all of them, now and then, because a timer for each takes as long as its model."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType


class Deadlines:
    """A context in which a task is cancelled once it takes too long; it then ends with ``TimeoutError``.

    Parameters
    ----------
    seconds : float
        How long a task may stay in it, to the precision with which `look` is called.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = time.monotonic()
        self.due: dict[asyncio.Task[object] | None, float] = {}
        self.late: set[asyncio.Task[object] | None] = set()

    def look(self) -> None:
        """Cancel the tasks that are late."""
        self.now = time.monotonic()
        for task, due in self.due.items():
            if due < self.now and task is not None and task not in self.late:
                self.late.add(task)
                task.cancel()

    def __enter__(self) -> None:
        self.due[asyncio.current_task()] = self.now + self.seconds

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        task = asyncio.current_task()
        del self.due[task]
        if task is not None and task in self.late:
            self.late.remove(task)
            # unless someone else cancelled it too
            if task.uncancel() == 0 and kind is asyncio.CancelledError:
                raise TimeoutError from error

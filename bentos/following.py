"""Following the champion: the packaging leaves a pointer to its bento, and a running service changes models by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bentos.served import Served

SECONDS = 0.5
"""How often the pointer is looked at."""


class Follower:
    """Loads the model that a pointer names, whenever it names another.

    Parameters
    ----------
    pointer : Path
        A JSON file with the ``folder`` of the champion's service package, relative to itself; replaced whole. Where it is
        missing, no version may be served.
    switch : callable
        Takes the model that answers from now on, or None.
    problem : callable
        Told what keeps a named model from being loaded; the one before goes on answering.
    """

    def __init__(self, pointer: Path, switch: Callable[[Served | None], None], problem: Callable[[Exception], None]) -> None:
        self.pointer, self.switch, self.problem = pointer, switch, problem
        self.seen: Any = None

    async def look(self) -> None:
        """Look once."""
        content = self.pointer.read_bytes() if self.pointer.exists() else None
        if content == self.seen:
            return
        try:
            # in a thread: a model takes a while to load, and the one before goes on answering meanwhile
            served = None if content is None else await asyncio.to_thread(self._load, content)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new one, the old one answers on
            self.problem(error)
        else:
            self.switch(served)
        self.seen = content

    async def follow(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(SECONDS)

    def _load(self, content: bytes) -> Served:
        return Served.load(self.pointer.parent / json.loads(content)["folder"])

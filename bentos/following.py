"""Following the champion: the packaging leaves a pointer to its bento, and a running service changes models by it.

While an experiment runs, the pointer also names its arms, or the challenger that answers in the shadow.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bentos.served import Served
from bentos.split import Split

SECONDS = 0.5
"""How often the pointer is looked at."""


@dataclass(frozen=True)
class Followed:
    """What a pointer names.

    Parameters
    ----------
    champion : Served
        Who answers.
    split : Split, optional
        Who answers which entities while an experiment runs.
    shadow : tuple of (str, Path), optional
        An experiment, and the service package whose model answers beside the champion without being heard.
    """

    champion: Served
    split: Split | None = None
    shadow: tuple[str, Path] | None = None


class Follower:
    """Loads the models that a pointer names, whenever it names others.

    Parameters
    ----------
    pointer : Path
        A JSON file with the ``folder`` of the champion's service package, relative to itself; replaced whole. Where it is
        missing, no version may be served.
    switch : callable
        Takes what the pointer names from now on, or None.
    problem : callable
        Told what keeps a named model from being loaded; the one before goes on answering.
    """

    def __init__(self, pointer: Path, switch: Callable[[Followed | None], None], problem: Callable[[Exception], None]) -> None:
        self.pointer, self.switch, self.problem = pointer, switch, problem
        self.seen: Any = None

    async def look(self) -> None:
        """Look once."""
        content = self.pointer.read_bytes() if self.pointer.exists() else None
        if content == self.seen:
            return
        try:
            # in a thread: a model takes a while to load, and the one before goes on answering meanwhile
            found = None if content is None else await asyncio.to_thread(self._load, content)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new one, the old one answers on
            self.problem(error)
        else:
            self.switch(found)
        self.seen = content

    async def follow(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(SECONDS)

    def _load(self, content: bytes) -> Followed:
        told, beside = json.loads(content), self.pointer.parent
        champion = Served.load(beside / told["folder"])
        split, shadow = told.get("split"), told.get("shadow")
        return Followed(
            champion,
            None if split is None else Split.load(split, beside, champion),
            None if shadow is None else (shadow["experiment"], beside / shadow["folder"]),
        )

"""Following the champion: the packaging leaves a pointer to its bento, and a running service changes models by it.

While an experiment runs, the pointer also names its arms, or the challenger that answers in the shadow.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bentos.fallback import FALLING_BACK
from bentos.served import Served
from bentos.split import Split
from bentos.updated_state import updated

SECONDS = 0.5
"""How often the pointer is looked at."""
AGAIN, LONGEST = 1.0, 60.0
"""After how many seconds what could not be loaded is tried again, doubled each time, and at most."""


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
    problem : Exception, optional
        What keeps an arm from being loaded; there is no split then.
    is_fallback : bool
        Whether the champion's fallback answers in its place, as a person said.
    """

    champion: Served
    split: Split | None = None
    shadow: tuple[str, Path] | None = None
    problem: Exception | None = None
    is_fallback: bool = False


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
        self.failed: Any = None
        self.wait, self.due = AGAIN, float("-inf")
        self.loaded: tuple[Any, Followed] | None = None
        """What was loaded last, and all that was said of it but whether its fallback answers."""

    async def look(self) -> None:
        """Look once; what could not be loaded is tried again after a while, whatever was wrong with it."""
        content: Any = None
        try:
            with contextlib.suppress(FileNotFoundError):
                content = self._named()
            if content == self.seen or (content == self.failed and time.monotonic() < self.due):
                return
            # in a thread: a model takes a while to load, and the one before goes on answering meanwhile
            found = None if content is None else await asyncio.to_thread(self._found, content)
            self.loaded = None if found is None else self.loaded
            self.switch(found)
            self.seen = object()  # what was followed before is so no more, also where this cannot be as a whole
            problem = None if found is None else found.problem
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new one, the old one answers on
            problem = error
        if problem is None:
            self.seen, self.failed = content, None
            return
        self.problem(problem)
        self.wait = AGAIN if content != self.failed else min(2 * self.wait, LONGEST)
        self.failed, self.due = content, time.monotonic() + self.wait

    async def follow(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(SECONDS)

    def _named(self) -> tuple[bytes, bytes | None]:
        """What the pointer says, and what is said of the champion's updates."""
        pointer, updates = self.pointer.read_bytes(), None
        if b'"updates"' in pointer:
            # a pointer that cannot be read is told by who loads it
            with contextlib.suppress(FileNotFoundError, ValueError, LookupError, TypeError):
                place = self.pointer.parent / json.loads(pointer)["updates"]
                try:
                    updates = place.read_bytes()
                except FileNotFoundError:
                    raise
                except OSError:
                    updates = b""  # the champion is followed all the same; who loads it tells what is wrong
        return pointer, updates

    def _found(self, content: tuple[bytes, bytes | None]) -> Followed:
        """What is named; if it is loaded, it is not read anew for its fallback, as its package may be damaged by now."""
        told = json.loads(content[0])
        is_fallback = told.pop(FALLING_BACK, None) is not None
        if self.loaded is None or self.loaded[0] != (told, content[1]) or self.loaded[1].problem is not None:
            self.loaded = (told, content[1]), self._load(told, content[1])
        return replace(self.loaded[1], is_fallback=is_fallback)

    def _load(self, told: dict[str, Any], updates: bytes | None) -> Followed:
        beside = self.pointer.parent
        champion = Served.load(beside / told["folder"])
        split, shadow, problem = None, told.get("shadow"), None
        # while arms are compared, none of them changes
        if updates is not None and "split" not in told:
            try:
                place = beside / told["updates"]
                champion = updated(champion, place.parent, json.loads(updates or place.read_bytes()))
            except Exception as error:  # noqa: BLE001 - the promoted state answers until the other can be loaded
                problem = error
        try:
            split = None if "split" not in told else Split.load(told["split"], beside, champion)
        except Exception as error:  # noqa: BLE001 - the champion answers all until its arms can be loaded
            problem = error
        named = None if shadow is None else (shadow["experiment"], beside / shadow["folder"])
        return Followed(champion, split, named, problem)

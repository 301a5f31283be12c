"""A command that is cut off: how often, when at the latest, in which home, and what must be true of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.small_world import SmallWorld


@dataclass(frozen=True)
class Killed:
    """A command that is killed.

    Parameters
    ----------
    name : str
        How the table calls it.
    kills : int
        How often.
    seconds : float
        The latest moment after its start.
    next : callable
        Its arguments, from the home and the number of the kill.
    is_first : bool
        Whether it begins with an empty home, and with another once it came to its end.
    renew : callable, optional
        Prepares the home before each start; left out, all kills meet one home, a copy of the template.
    after : callable
        What is wrong after the kill, from the home and the number of the kill; the first to run a command in it.
    allowed : str
        What `verify` may say after the kill, as it was so before.
    """

    name: str
    kills: int
    seconds: float
    next: Callable[[Path, int], list[str]]
    is_first: bool = False
    renew: Callable[[SmallWorld], None] | None = None
    after: Callable[[Path, int], list[str]] = lambda _home, _number: []
    allowed: str = ""

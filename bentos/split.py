"""Split: which version answers an entity while an experiment runs.

The place of an entity is a hash of its key and of the experiment's salt, so that an entity is always answered by the same arm,
and arms of different experiments do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from bentos.assignment import Assignment
from bentos.served import Served


def place_of(salt: str, key: str) -> float:
    """Where an entity lies between 0 and 1; even for all keys together, and always the same for one.

    Examples
    --------
    >>> place_of("a", "N14228") == place_of("a", "N14228") != place_of("b", "N14228")
    True
    >>> 0.48 < sum(place_of("salt", str(key)) < 0.5 for key in range(10_000)) / 10_000 < 0.52
    True
    """
    return int.from_bytes(blake2b(f"{salt}/{key}".encode(), digest_size=8).digest(), "big") / 2**64


@dataclass(frozen=True)
class Split:
    """The arms of a running experiment.

    Parameters
    ----------
    experiment, salt : str
        Its name, and what makes its places its own.
    arms : sequence of (float, Served)
        Up to which place each version answers, in rising order; the last is 1. Each has its assignment.
    """

    experiment: str
    salt: str
    arms: Sequence[tuple[float, Served]]

    @classmethod
    def load(cls, told: Mapping[str, Any], beside: Path, champion: Served) -> Split:
        """The arms that a pointer names.

        Parameters
        ----------
        told : mapping
            ``experiment``, ``salt``, and ``arms``: each with its ``name``, its ``share``, and the ``folder`` of its service
            package, relative to `beside`; the champion's arm has none. The champion's arm comes last, so that an entity that
            another arm answers is answered by it also when its share has grown.
        beside : Path
            The folder of the pointer.
        champion : Served
            Who answers where no experiment runs.
        """
        arms, edge = [], 0.0
        for arm in told["arms"]:
            served = champion if arm["folder"] is None else Served.load(beside / arm["folder"])
            edge += arm["share"]
            dealt = replace(served, assignment=Assignment(told["experiment"], arm["name"], arm["share"]))
            dealt.warm()
            arms.append((edge, dealt))
        return cls(told["experiment"], told["salt"], [*arms[:-1], (1.0, arms[-1][1])])

    def served_to(self, key: str) -> Served:
        """Who answers an entity."""
        place = place_of(self.salt, key)
        return next(served for edge, served in self.arms if place < edge)

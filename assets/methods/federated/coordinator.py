"""Federated coordinator: it asks clients, keeps the answers that can be used, and recalls who failed.

How clients are reached is a `Grid`: in one process, or over a network. A client that fails takes no part in that question and
is named; an answer that is no number, or of another shape, is a failure too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from assets.errors import DataError
from assets.methods.federated.encoding import Message
from assets.methods.federated.plan import Plan
from assets.methods.ranking import Array
from assets.methods.robust_means import fewest

LEAST_SHARE = 0.5
"""The share of all clients that must answer each time."""
NEVER_NEGATIVE = ("rows", "present", "squares", "curvature", "counts", "classes")
"""What a client that tells the truth cannot tell below 0."""

Answers = dict[str, Message]
Reasons = dict[str, str]
Flaw = Callable[[Message], str | None]
"""Why an answer cannot be used, beyond its shape and its numbers."""


class Grid(Protocol):
    """Who reaches the clients."""

    @property
    def clients(self) -> tuple[str, ...]:
        """Their names, sorted."""

    def ask(self, task: str, told: Message) -> tuple[Answers, Reasons]:
        """What clients answer, and why others did not."""

    def masked_mean(self, told: Message) -> tuple[Array | None, Reasons]:
        """The mean of the clients' updates by their rows, of which no single one is seen; None if it could not be taken."""


@dataclass
class Coordinator:
    """Asks, and recalls who failed.

    Parameters
    ----------
    plan : Plan
        What all take part by.
    grid : Grid
        Who reaches the clients.
    rows : dict of float
        The rows of each client, as it says.
    failures : dict
        Of each client that failed: how often, and the last task and reason.
    told_bytes : dict of int
        The bytes of all arrays that each client told.
    """

    plan: Plan
    grid: Grid
    rows: dict[str, float] = field(default_factory=dict)
    failures: dict[str, dict[str, object]] = field(default_factory=dict)
    told_bytes: dict[str, int] = field(default_factory=dict)

    def ask(
        self, task: str, told: Message, shapes: Mapping[str, tuple[int, ...]] | None = None, flaw: Flaw | None = None
    ) -> Answers:
        """The answers that can be used, in the order of the clients' names.

        Raises
        ------
        DataError
            If too few clients answer.
        """
        answers, reasons = self.grid.ask(task, told)
        for name, answer in answers.items():
            self.told_bytes[name] = self.told_bytes.get(name, 0) + sum(values.nbytes for values in answer.values())
            if reason := _flaw(answer, shapes or {}) or (flaw(answer) if flaw else None) or self._untold(task, answer):
                reasons[name] = reason
            elif task != "describe" and name not in self.rows:
                reasons[name] = "it did not say how many rows it has"
        self.note(task, reasons)
        kept = {name: answers[name] for name in self.grid.clients if name in answers and name not in reasons}
        needed = max(fewest(self.plan.robust, self.plan.liars(len(kept))), int(np.ceil(LEAST_SHARE * len(self.grid.clients))))
        if len(kept) < needed:
            raise DataError(
                f"{self.plan.product}: {len(kept)} of {len(self.grid.clients)} clients answered '{task}', at least {needed} "
                f"must. {listed(reasons)}. Mend them, or declare a lower liar_share."
            )
        if task == "describe":
            self.rows = {name: float(answer["rows"]) for name, answer in kept.items()}
        return kept

    def _untold(self, task: str, answer: Message) -> str | None:
        """What a description lacks."""
        names = ["rows", *(f"vocabulary_{place}" for place, known in enumerate(self.plan.vocabularies) if not known)]
        lacking = [name for name in names if name not in answer]
        return f"it did not tell {', '.join(lacking)}" if task == "describe" and lacking else None

    def note(self, task: str, reasons: Reasons) -> None:
        """Recall who failed."""
        for name, reason in reasons.items():
            before = self.failures.get(name, {"times": 0})
            self.failures[name] = {"times": int(str(before["times"])) + 1, "task": task, "reason": reason}

    def vocabularies(self, described: Answers) -> tuple[np.ndarray, ...]:
        """The sorted values of each category: those that are declared, else those that any client has."""
        return tuple(self._vocabulary(described, place) for place in range(len(self.plan.categories)))

    def _vocabulary(self, described: Answers, place: int) -> np.ndarray:
        if declared := self.plan.vocabularies[place]:
            return np.unique(np.array(["", *declared]))
        name = f"vocabulary_{place}"
        return np.unique(np.concatenate([answer[name] for answer in described.values()]))


def listed(reasons: Reasons) -> str:
    """Who failed, and why."""
    return "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())) or "None failed: too few are declared"


def _flaw(answer: Message, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why an answer cannot be used."""
    for name, shape in shapes.items():
        if name not in answer or answer[name].shape != shape:
            return f"'{name}' has not the shape {shape}"
        if answer[name].dtype.kind not in "fiu":
            return f"'{name}' holds what is no number"
    for name, values in answer.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"'{name}' holds what is no finite number"
        if name in NEVER_NEGATIVE and (values < 0).any():
            return f"'{name}' is below 0, which it cannot be"
    return None

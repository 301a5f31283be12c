"""Federated rounds: the coordinator of clients that share no row agrees on an encoding with them, and averages what they learn.

How clients are reached is a `Grid`: in one process, or over a network. A client that fails takes no part in that round and is
named; an answer that is no number, or of another shape, is a failure too. The server's momentum: Hsu, Qi and Brown (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from assets.errors import DataError
from assets.methods.federated.client import SMOOTHNESS
from assets.methods.federated.encoding import Encoding, Message, centres_and_scales
from assets.methods.federated.plan import BINS, Plan
from assets.methods.ranking import Array
from assets.methods.robust_means import fewest, robust_mean, shortened

MOMENTUM = 0.9
LEAST_SHARE = 0.5
"""The share of all clients that must answer each time."""
ODD = 5.0
"""How many times farther from the common update than the middle client one must be on average to be named."""

NEVER_NEGATIVE = ("rows", "present", "squares", "curvature")
"""What a client that tells the truth cannot tell below 0."""

Answers = dict[str, Message]
Reasons = dict[str, str]


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
class Federated:
    """What a federated training gives.

    Parameters
    ----------
    encoding, weights
        The model: ``encoding.matrix(rows) @ weights`` are its weighted sums.
    rows : dict of int
        The rows of each client, as it says.
    failures : dict
        Of each client that failed: how often, and the last reason.
    distances : dict of float
        How far each client's updates were from the common one, divided by the middle distance; the mean over the rounds. None
        are known of masked updates.
    epsilon : float, optional
        What was spent of privacy.
    against : tuple of str
        With a robust mean, the clients whose updates, all rounds added up, point against the common ones.
    """

    encoding: Encoding
    weights: Array = field(repr=False)
    rows: dict[str, int]
    failures: dict[str, dict[str, object]] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)
    epsilon: float | None = None
    against: tuple[str, ...] = ()

    @property
    def odd(self) -> tuple[str, ...]:
        """The clients whose updates are far from all others', or against them: they lie, or have other rows."""
        return tuple(name for name, distance in self.distances.items() if distance > ODD or name in self.against)


def federate(plan: Plan, grid: Grid) -> Federated:
    """Train one linear model on the rows of all clients.

    Parameters
    ----------
    plan : Plan
        What all take part by.
    grid : Grid
        Who reaches them.

    Raises
    ------
    DataError
        If too few clients answer.
    """
    coordinator = _Coordinator(plan, grid)
    described = coordinator.ask("describe", {})
    rows = {name: int(answer["rows"]) for name, answer in described.items()}
    encoding, curvature = coordinator.agreed(described)
    penalty = plan.penalty / sum(rows.values())
    rate = 1 / (curvature + penalty + plan.proximal)
    weights = np.zeros((encoding.width, plan.outputs))
    speed, mean, told = np.zeros_like(weights), np.zeros_like(weights), encoding.as_message()
    distances: list[dict[str, float]] = []
    for number in range(plan.rounds):
        given = {"weights": weights, "round": np.array(number), "rate": np.array(rate), "penalty": np.array(penalty)}
        update, apart = coordinator.improved({**told, **given}, weights.shape)
        distances.append(apart)
        speed = MOMENTUM * speed + update
        weights = weights + speed
        if number >= plan.rounds // 2:
            mean = mean + weights / (plan.rounds - plan.rounds // 2)
    return Federated(
        encoding,
        mean if plan.privacy else weights,
        rows,
        coordinator.failures,
        {name: float(np.mean(own)) for name in rows if (own := [item[name] for item in distances if name in item])},
        plan.privacy.spent(plan.rounds * plan.local_steps) if plan.privacy else None,
        tuple(name for name in rows if coordinator.agreement.get(name, 0.0) < 0),
    )


@dataclass
class _Coordinator:
    """Asks, and puts answers together."""

    plan: Plan
    grid: Grid
    rows: dict[str, float] = field(default_factory=dict)
    failures: dict[str, dict[str, object]] = field(default_factory=dict)
    agreement: dict[str, float] = field(default_factory=dict)

    def ask(self, task: str, told: Message, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Answers:
        """The answers that can be used, in the order of the clients' names."""
        answers, reasons = self.grid.ask(task, told)
        for name, answer in answers.items():
            if reason := _flaw(answer, shapes or {}):
                reasons[name] = reason
        self._note(task, reasons)
        kept = {name: answers[name] for name in self.grid.clients if name in answers and name not in reasons}
        needed = max(fewest(self.plan.robust, self.plan.liars(len(kept))), int(np.ceil(LEAST_SHARE * len(self.grid.clients))))
        if len(kept) < needed:
            raise DataError(
                f"{self.plan.product}: {len(kept)} of {len(self.grid.clients)} clients answered '{task}', at least {needed} "
                f"must. {_listed(reasons)}. Mend them, or declare a lower liar_share."
            )
        if task == "describe":
            self.rows = {name: float(answer["rows"]) for name, answer in kept.items()}
        return kept

    def improved(self, told: Message, shape: tuple[int, ...]) -> tuple[Array, dict[str, float]]:
        """The common update of a round, and how far each client's is from it."""
        if self.plan.is_masked:
            update, reasons = self.grid.masked_mean(told)
            self._note("update", reasons)
            if update is None or update.shape != shape or not np.isfinite(update).all():
                raise DataError(f"{self.plan.product}: the clients' masked updates did not add up. {_listed(reasons)}.")
            return update, {}
        answers = self.ask("update", told, {"update": shape})
        vectors = {name: answer["update"].ravel() for name, answer in answers.items()}
        if self.plan.robust == "mean":
            common = self.combined(vectors)
            return common.reshape(shape), _distances(vectors, common)
        liars = self.plan.liars(len(vectors))
        short = dict(zip(vectors, shortened(np.array(list(vectors.values())), liars), strict=True))
        # a liar that flips its updates stands out while all others point the same way; later, what clients differ in hides it
        against = sorted((self.agreement.get(name, 0.0), name) for name in short if self.agreement.get(name, 0.0) < 0)[:liars]
        left_out = {name for _, name in against}
        trusted = np.array([vector for name, vector in short.items() if name not in left_out])
        common = robust_mean(trusted, np.ones(len(trusted)), self.plan.robust, liars - len(left_out))
        for name, vector in short.items():
            self.agreement[name] = self.agreement.get(name, 0.0) + float(vector @ common)
        return common.reshape(shape), _distances(vectors, common)

    def _note(self, task: str, reasons: Reasons) -> None:
        """Recall who failed."""
        for name, reason in reasons.items():
            before = self.failures.get(name, {"times": 0})
            self.failures[name] = {"times": int(str(before["times"])) + 1, "task": task, "reason": reason}

    def combined(self, vectors: Mapping[str, Array]) -> Array:
        """One vector of those of all clients."""
        weights = np.array([self.rows.get(name, 0.0) for name in vectors])
        return robust_mean(np.array(list(vectors.values())), weights, self.plan.robust, self.plan.liars(len(vectors)))

    def agreed(self, described: Answers) -> tuple[Encoding, float]:
        """The encoding, and the largest curvature of the loss under it."""
        known = tuple(self._vocabulary(described, place) for place in range(len(self.plan.categories)))
        count = len(self.plan.numbers)
        if self.plan.privacy is not None:
            told = self.ask("histograms", {}, {"histograms": (count, BINS)})
            shares = self.combined({name: (a["histograms"] / self.rows[name]).ravel() for name, a in told.items()})
            means, scales = centres_and_scales(shares.reshape(count, BINS), self.plan.ranges)
            # each category and the constant are 1 in a row, each number about 1
            return Encoding(known, means, scales), SMOOTHNESS[self.plan.kind] * (count + len(known) + 1) / 4
        told = self.ask("means", {}, {"present": (count,), "sums": (count,), "label": (1,)})
        vector = self.combined({name: np.concatenate([a["present"], a["sums"], a["label"]]) for name, a in told.items()})
        present, sums, label = vector[:count], vector[count : 2 * count], vector[-1:]
        means = sums / np.where(present > 0, present, 1.0)
        told = self.ask("spreads", {"means": means, "label": label}, {"squares": (count,), "label": (1,)})
        squares = self.combined({name: np.concatenate([a["squares"], a["label"]]) for name, a in told.items()})
        scales = np.sqrt(np.where(squares > 0, squares, 1.0))
        labels = (float(label[0]), float(scales[-1])) if self.plan.kind == "regression" else (0.0, 1.0)
        encoding = Encoding(known, means, scales[:-1], *labels)
        told = self.ask("curvature", encoding.as_message(), {"curvature": (1,)})
        curvature = float(self.combined({name: a["curvature"] for name, a in told.items()})[0])
        return encoding, SMOOTHNESS[self.plan.kind] * curvature

    def _vocabulary(self, described: Answers, place: int) -> np.ndarray:
        if declared := self.plan.vocabularies[place]:
            return np.unique(np.array(["", *declared]))
        name = f"vocabulary_{place}"
        return np.unique(np.concatenate([answer[name] for answer in described.values()]))


def _listed(reasons: Reasons) -> str:
    """Who failed, and why."""
    return "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())) or "None failed: too few are declared"


def _flaw(answer: Message, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why an answer cannot be used."""
    for name, shape in shapes.items():
        if name not in answer or answer[name].shape != shape:
            return f"'{name}' has not the shape {shape}"
    for name, values in answer.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"'{name}' holds what is no finite number"
        if name in NEVER_NEGATIVE and (values < 0).any():
            return f"'{name}' is below 0, which it cannot be"
    return None


def _distances(vectors: Mapping[str, Array], common: Array) -> dict[str, float]:
    """How far each vector is from the common one, divided by the middle distance."""
    found = {name: float(np.linalg.norm(vector - common)) for name, vector in vectors.items()}
    middle = float(np.median(list(found.values())))
    return {name: distance / middle if middle > 0 else 0.0 for name, distance in found.items()}

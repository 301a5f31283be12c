"""Federated rounds: the coordinator of clients that share no row agrees on an encoding with them, and averages what they learn.

The server's momentum: Hsu, Qi and Brown (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from assets.errors import DataError
from assets.methods.federated.client import SMOOTHNESS
from assets.methods.federated.coordinator import Answers, Coordinator, Grid, listed
from assets.methods.federated.encoding import Encoding, Message, centres_and_scales
from assets.methods.federated.plan import BINS, Plan
from assets.methods.ranking import Array
from assets.methods.robust_means import robust_mean, shortened

MOMENTUM = 0.9
ODD = 5.0
"""How many times farther from the common update than the middle client one must be on average to be named."""


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
class _Coordinator(Coordinator):
    """Asks, and puts answers together."""

    agreement: dict[str, float] = field(default_factory=dict)

    def improved(self, told: Message, shape: tuple[int, ...]) -> tuple[Array, dict[str, float]]:
        """The common update of a round, and how far each client's is from it."""
        if self.plan.is_masked:
            update, reasons = self.grid.masked_mean(told)
            self.note("update", reasons)
            if update is None or update.shape != shape or not np.isfinite(update).all():
                raise DataError(f"{self.plan.product}: the clients' masked updates did not add up. {listed(reasons)}.")
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

    def combined(self, vectors: Mapping[str, Array]) -> Array:
        """One vector of those of all clients."""
        weights = np.array([self.rows.get(name, 0.0) for name in vectors])
        return robust_mean(np.array(list(vectors.values())), weights, self.plan.robust, self.plan.liars(len(vectors)))

    def agreed(self, described: Answers) -> tuple[Encoding, float]:
        """The encoding, and the largest curvature of the loss under it."""
        known = self.vocabularies(described)
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


def _distances(vectors: Mapping[str, Array], common: Array) -> dict[str, float]:
    """How far each vector is from the common one, divided by the middle distance."""
    found = {name: float(np.linalg.norm(vector - common)) for name, vector in vectors.items()}
    middle = float(np.median(list(found.values())))
    return {name: distance / middle if middle > 0 else 0.0 for name, distance in found.items()}

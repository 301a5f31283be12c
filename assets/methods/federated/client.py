"""Federated client: what a client answers of its own rows, which it shows to nobody.

FedAvg: McMahan and others (2017). FedProx: Li and others (2020). With privacy, each step is one of DP-SGD (Abadi and others
2016): rows are drawn, each one's gradient is shortened, and noise is added to their sum.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from assets.methods.federated.encoding import ClientRows, Encoding, Message
from assets.methods.federated.losses import residuals
from assets.methods.federated.plan import BINS, Plan
from assets.methods.federated.tree_rows import TreeRows
from assets.methods.ranking import Array

SMOOTHNESS = {"binary": 0.25, "multiclass": 0.5, "regression": 1.0}
"""The largest second derivative of the loss in a weighted sum (Boehning and Lindsay 1988)."""
POWER_STEPS = 30
"""The products by which the largest curvature is found; the answer is raised by a tenth, as they give a lower bound."""


@dataclass
class Client:
    """One client.

    Parameters
    ----------
    name : str
        Its name.
    plan : Plan
        What all take part by.
    rows : ClientRows
        Its rows.
    noise_key : bytes
        What its noise is drawn from, with the plan, the rows and the question: the same noise under two sums would cancel, and
        their difference would show a row that joined or left. Who knows the key can take the noise away again.
    asked : list of str
        What it answered with noise. With privacy, it answers each such question once: the same noise twice would cancel.
    """

    name: str
    plan: Plan
    rows: ClientRows = field(repr=False)
    noise_key: bytes = field(default=b"", repr=False)
    asked: list[str] = field(default_factory=list, repr=False)
    _encoding: Encoding | None = field(default=None, repr=False)
    _matrix: Any = field(default=None, repr=False)
    _question: bytes = field(default=b"", repr=False)
    _largest: float | None = field(default=None, repr=False)

    def answer(self, task: str, told: Message) -> Message:
        """Answer one of the coordinator's tasks.

        Raises
        ------
        ValueError
            If there is no such task, or it would tell more of the rows than the plan's privacy allows.
        """
        if task not in TASKS:
            raise ValueError(f"no task {task!r}. Tasks: {', '.join(TASKS)}")
        if (task in OF_TREES) == (self.plan.trees is None) and task != "describe":
            raise ValueError(f"'{task}' is no part of a plan of {'a linear model' if self.plan.trees is None else 'trees'}")
        if self.plan.privacy is not None:
            self._guard(task, told)
            self._question = digest_of(told)
        return TASKS[task](self, told)

    @cached_property
    def _tree_rows(self) -> TreeRows:
        """The rows as trees ask about them."""
        return TreeRows(self.plan, self.rows)

    @cached_property
    def _origin(self) -> bytes:
        """The digest of all that the client answers by: its key, its name, the plan and its rows."""
        rows = {"numbers": self.rows.numbers, "categories": self.rows.categories, "labels": self.rows.labels}
        plan = json.dumps(self.plan.as_json(), sort_keys=True)
        return hmac.digest(self.noise_key, f"{self.name}/{plan}/".encode() + digest_of(rows), hashlib.sha256)

    def _guard(self, task: str, told: Message) -> None:
        """Refuse what is told without noise, what was told before, and rounds beyond those whose noise was planned."""
        if task == "describe":
            return
        if task not in ("histograms", "update"):
            raise ValueError(f"'{task}' is answered without noise, which the plan's privacy forbids")
        number = int(told["round"]) if task == "update" else 0
        question = f"{task} {number}"
        if question in self.asked or not 0 <= number < self.plan.rounds:
            raise ValueError(f"'{question}' was asked before, or is beyond the {self.plan.rounds} rounds of the plan")
        self.asked.append(question)

    def describe(self, told: Message) -> Message:  # noqa: ARG002 - every task takes what is told
        """How many rows there are, and the values of categories whose values are not declared."""
        values = zip(self.plan.vocabularies, self.rows.categories.T, strict=True)
        known = {f"vocabulary_{place}": np.unique(found) for place, (declared, found) in enumerate(values) if not declared}
        return {"rows": np.array(float(len(self.rows))), **known}

    def means(self, told: Message) -> Message:  # noqa: ARG002
        """The share of rows that have a number, and the mean of numbers with 0 for those that lack one."""
        present = ~np.isnan(self.rows.numbers)
        sums = np.where(present, self.rows.numbers, 0.0).mean(axis=0)
        return {"present": present.mean(axis=0), "sums": sums, "label": np.array([self.rows.labels.mean()])}

    def spreads(self, told: Message) -> Message:
        """The mean squared distance from the agreed means."""
        away = np.where(np.isnan(self.rows.numbers), 0.0, self.rows.numbers - told["means"])
        label = np.mean((self.rows.labels - told["label"]) ** 2)
        return {"squares": (away**2).mean(axis=0), "label": np.array([label])}

    def histograms(self, told: Message) -> Message:  # noqa: ARG002
        """The noisy number of rows in each bin of each number's declared range, shape (n_numbers, BINS)."""
        found = np.zeros((len(self.plan.ranges), BINS))
        for place, (low, high) in enumerate(self.plan.ranges):
            column = self.rows.numbers[:, place]
            kept = np.clip(column[~np.isnan(column)], low, high)
            found[place] = np.histogram(kept, bins=BINS, range=(low, high))[0]
        assert self.plan.privacy is not None  # noqa: S101 - for the type checker: only a private plan asks
        # a row is in one bin of each number: without it, the counts are nearer by the root of how many numbers there are
        deviation = self.plan.privacy.histogram_noise * len(self.plan.ranges) ** 0.5
        return {"histograms": found + self._noise("histograms", 0).normal(0, deviation, found.shape)}

    def curvature(self, told: Message) -> Message:
        """The largest curvature of the loss, by powers of the matrix's square."""
        self._encoded(told)
        return {"curvature": np.array([self._curvature()])}

    def _curvature(self) -> float:
        if self._largest is not None:
            return self._largest
        matrix = self._matrix
        direction = np.full(matrix.shape[1], matrix.shape[1] ** -0.5)
        largest = 0.0
        for _ in range(POWER_STEPS):
            product = matrix.T @ (matrix @ direction) / matrix.shape[0]
            largest = float(np.linalg.norm(product))
            direction = product / largest
        self._largest = 1.1 * largest
        return self._largest

    def update(self, told: Message) -> Message:
        """The weights after this round's steps, less those that were told."""
        self._encoded(told)
        start, number = told["weights"], int(told["round"])
        rate = float(told["rate"])
        if self.plan.robust != "mean":  # all count alike, so one whose loss is steeper must not step too far
            rate = min(rate, 1 / (SMOOTHNESS[self.plan.kind] * self._curvature()))
        weights, settings = start.copy(), (rate, float(told["penalty"]))
        for step in range(self.plan.local_steps):
            weights = self._stepped(weights, start, settings, number * self.plan.local_steps + step)
        return {"update": weights - start}

    def counts(self, told: Message) -> Message:
        """The rows between edges of each number, and of each class."""
        return self._tree_rows.counts(told)

    def sums(self, told: Message) -> Message:
        """Slopes, curvatures and rows by bin of each node that is asked about."""
        return self._tree_rows.sums(told)

    def _encoded(self, told: Message) -> None:
        """Keep the rows as columns; computed once for each encoding."""
        message = {name: told[name] for name in told if name.startswith("vocabulary") or name in ENCODING}
        if self._encoding is None or not _are_equal(self._encoding.as_message(), message):
            self._encoding = Encoding.of(message)
            self._matrix, self._largest = self._encoding.matrix(self.rows), None

    def _stepped(self, weights: Array, start: Array, settings: tuple[float, float], number: int) -> Array:
        """One step down the gradient: of all rows, or of drawn ones with noise."""
        assert self._encoding is not None  # noqa: S101 - for the type checker: `update` looked
        rate, penalty = settings
        matrix, labels, privacy = self._matrix, self.rows.labels, self.plan.privacy
        if privacy is not None and privacy.sampling < 1:
            drawn = self._noise("rows", number).random(len(labels)) < privacy.sampling
            matrix, labels = matrix[drawn], labels[drawn]
        missed = residuals(self.plan, matrix @ weights, (labels - self._encoding.label_mean) / self._encoding.label_scale)
        if privacy is not None:
            lengths = np.sqrt((missed**2).sum(axis=1) * np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
            missed = missed * np.minimum(1.0, privacy.clip / np.maximum(lengths, 1e-300))[:, None]
        total = matrix.T @ missed
        if privacy is not None:
            total = total + self._noise("step", number).normal(0, privacy.noise * privacy.clip, total.shape)
        expected = len(self.rows) * (1.0 if privacy is None else privacy.sampling)
        shrunken = weights.copy()
        shrunken[-1] = 0.0
        gradient = total / expected + penalty * shrunken + self.plan.proximal * (weights - start)
        return np.asarray(weights - rate * gradient)

    def _noise(self, purpose: str, number: int) -> np.random.Generator:
        """What is random in one step; another client, key, plan, row, question or step gives another."""
        told = f"{purpose}/{number}/".encode() + self._question
        return np.random.Generator(np.random.PCG64(int.from_bytes(hmac.digest(self._origin, told, hashlib.sha256))))


ENCODING = ("means", "scales", "label")
TASKS = {
    "describe": Client.describe,
    "means": Client.means,
    "spreads": Client.spreads,
    "histograms": Client.histograms,
    "curvature": Client.curvature,
    "update": Client.update,
    "counts": Client.counts,
    "sums": Client.sums,
}
"""What the coordinator may ask. Nothing else is answered."""
OF_TREES = ("counts", "sums")
"""What it may ask where the plan is of trees, and nowhere else."""


def digest_of(arrays: Message) -> bytes:
    """SHA-256 of arrays by name: of their values, in whatever memory they lie."""
    hashed = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        content = "\0".join(values.ravel().tolist()).encode() if values.dtype.kind == "U" else values.tobytes()
        for part in (name, values.dtype.kind, values.shape):
            hashed.update(f"{part}/".encode())
        hashed.update(len(content).to_bytes(8, "big") + content)
    return hashed.digest()


def _are_equal(one: Message, other: Message) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)

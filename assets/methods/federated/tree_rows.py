"""Federated tree rows: what a client answers of its rows while trees are grown, which are sums over bins and nothing else.

Slopes and curvatures are rounded to a fixed unit before they are added up, so that sums are exact: they do not depend on how
rows are dealt to clients, nor on the order in which clients answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assets.methods.federated.bins import Bins, by_columns, counted
from assets.methods.federated.encoding import ClientRows, Message
from assets.methods.federated.forest import Forest, Integers
from assets.methods.federated.losses import curvatures, residuals
from assets.methods.federated.plan import Plan
from assets.methods.ranking import Array

UNIT = 2.0**24
"""The parts of 1 in which slopes and curvatures are told: as fine as single precision."""
LARGEST = 2.0**52
"""What sums of these parts must stay below, so that double precision holds them exactly."""


@dataclass
class TreeRows:
    """The rows of one client, with what it needs for the next question: it is computed again where it is not there.

    Parameters
    ----------
    plan : Plan
        What all take part by.
    rows : ClientRows
        The rows.
    """

    plan: Plan
    rows: ClientRows = field(repr=False)
    _bins: Bins | None = field(default=None, repr=False)
    _places: Integers = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    _grown: int = field(default=-1, repr=False)
    _scores: Array = field(default_factory=lambda: np.empty(0), repr=False)
    _slopes: Array = field(default_factory=lambda: np.empty(0), repr=False)
    _curvatures: Array = field(default_factory=lambda: np.empty(0), repr=False)

    def counts(self, told: Message) -> Message:
        """The rows between edges of each number, and of a regression's target; and the rows of each class."""
        columns = [*self.rows.numbers.T]
        if self.plan.kind == "regression":
            columns.append(self.rows.labels)
        found = [counted(edges, values) for edges, values in zip(by_columns(told), columns, strict=True)]
        answer = {"counts": np.concatenate([np.empty(0), *found])}
        if self.plan.kind != "regression":
            answer["classes"] = np.bincount(self.rows.labels.astype(int), minlength=self.plan.classes).astype(np.float64)
        return answer

    def sums(self, told: Message) -> Message:
        """Slopes, curvatures and rows, added up by bin for each node that is asked about, shape (3, n_nodes, n_bins).

        Raises
        ------
        ValueError
            If the sums would not be exact.
        """
        forest = Forest.of(told)
        self._follow(told, forest)
        assert self._bins is not None  # noqa: S101 - for the type checker: set above
        asked, width = told["asked"], self._bins.width
        number = np.full(len(forest.column), -1)
        number[asked] = np.arange(len(asked))
        found = np.zeros((3, len(asked) * width))
        for output, root in enumerate(forest.roots[-self.plan.outputs :].tolist()):
            place = number[forest.reached(root, self._places, self._bins)]
            chosen = np.flatnonzero(place >= 0)
            if not len(chosen):
                continue
            start = place[chosen] * width
            weights = self._slopes[chosen, output], self._curvatures[chosen, output]
            for column in self._places:
                bins = start + column[chosen]
                for part, weight in enumerate(weights):
                    found[part] += np.bincount(bins, weight, minlength=found.shape[1])
                found[2] += np.bincount(bins, minlength=found.shape[1])
        return {"sums": found.reshape(3, len(asked), width)}

    def _follow(self, told: Message, forest: Forest) -> None:
        """Add the trees that are finished to the scores, from where they stood or from the start."""
        bins, outputs = Bins.of(told), self.plan.outputs
        grown = len(forest.roots) - outputs
        if self._bins is None or not _are_alike(self._bins, bins) or not 0 <= self._grown <= grown:
            self._bins, self._places = bins, bins.places(self.rows)
            self._scores = np.tile(told["baseline"], (len(self.rows), 1))
            self._grown = 0
        elif self._grown == grown and len(self._slopes):
            return
        for tree in range(self._grown, grown):
            leaf = forest.reached(int(forest.roots[tree]), self._places, self._bins)
            self._scores[:, tree % outputs] += forest.value[leaf]
        self._grown = grown
        labels = (self.rows.labels - bins.label_mean) / bins.label_scale
        slopes = residuals(self.plan, self._scores, labels)
        self._curvatures = np.rint(curvatures(self.plan, slopes, labels) * UNIT)
        self._slopes = np.rint(slopes * UNIT)
        if np.abs(self._slopes).sum() > LARGEST:
            raise ValueError("the target lies too far from its mean for exact sums: give its logarithm, or mend its extremes")


def _are_alike(one: Bins, other: Bins) -> bool:
    """Whether bins are the same ones."""
    ours, theirs = one.as_message(), other.as_message()
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)

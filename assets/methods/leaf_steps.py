"""Leaf steps: leaves of known trees moved towards other rows, from another model's scores on.

Each tree's leaves take one shrunken Newton step of the loss, one tree after another, as boosting does (Friedman 2001), but with
the splits as they are. The shrinkage is towards no step, which leaves the other model as it was; how much of it there is, is
chosen on rows that were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.calibration import chances, of_two
from assets.methods.ranking import Array

SHRINKAGES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
"""What is added to a leaf's sum of second derivatives; of a probability near one half, a row's is 0.25."""
RATE = 0.1
"""The share of a Newton step that is taken."""
STANDARD_ERRORS = 2.0
"""By how many standard errors of the paired difference a step must be better than none: the best of several was chosen."""
FOLDS = 5
Leaves = np.ndarray[Any, Any]


def derivatives(kind: str, scores: Array, labels: Array) -> tuple[Array, Array]:
    """First and second derivatives of the loss, each of shape (n_samples, n_outputs).

    The loss is the logarithmic one of classes, and half the squared error of values.
    """
    if kind == "regression":
        return scores - labels[:, None], np.ones_like(scores)
    if kind == "binary":
        chance = chances(of_two(scores))[:, 1:]
        return chance - labels[:, None], np.maximum(chance * (1 - chance), 1e-6)
    chance = chances(scores)
    return chance - np.eye(scores.shape[1])[labels.astype(int)], np.maximum(chance * (1 - chance), 1e-6)


def losses(kind: str, scores: Array, labels: Array) -> Array:
    """The loss of each row, shape (n_samples,)."""
    if kind == "regression":
        return np.asarray((scores[:, 0] - labels) ** 2 / 2, dtype=np.float64)
    whole = of_two(scores) if kind == "binary" else scores
    chance = np.maximum(chances(whole)[np.arange(len(labels)), labels.astype(int)], 1e-12)
    return np.asarray(-np.log(chance), dtype=np.float64)


@dataclass(frozen=True)
class Reached:
    """Rows that reached leaves of known trees.

    Parameters
    ----------
    kind : str
        ``binary``, ``multiclass`` or ``regression``.
    leaves : sequence of ndarray of int of shape (n_samples,)
        The leaf of each tree that each row reaches.
    sizes : sequence of int
        How many nodes each tree has.
    scores : ndarray of shape (n_samples, n_outputs)
        The other model's.
    labels : ndarray of shape (n_samples,)
        What came.
    """

    kind: str
    leaves: Sequence[Leaves]
    sizes: Sequence[int]
    scores: Array
    labels: Array

    def only(self, rows: Leaves) -> Reached:
        """Some of the rows."""
        return Reached(self.kind, [leaf[rows] for leaf in self.leaves], self.sizes, self.scores[rows], self.labels[rows])


def steps(rows: Reached, shrinkage: float) -> list[Array]:
    """What is added to the leaves of each tree, shape (n_nodes, n_outputs).

    Parameters
    ----------
    rows : Reached
        The rows that move them.
    shrinkage : float
        How strongly leaves are held where they are.
    """
    at, found = rows.scores.copy(), []
    for leaf, size in zip(rows.leaves, rows.sizes, strict=True):
        slope, curve = derivatives(rows.kind, at, rows.labels)
        added = np.zeros((size, at.shape[1]))
        for output in range(at.shape[1]):
            whole = np.bincount(leaf, weights=curve[:, output], minlength=size)
            added[:, output] = -RATE * np.bincount(leaf, weights=slope[:, output], minlength=size) / (whole + shrinkage)
        at += added[leaf]
        found.append(added)
    return found


def chosen_shrinkage(rows: Reached, folds: Leaves) -> float | None:
    """The shrinkage that does best on rows that were left out; None where none surely does better than no step.

    Parameters
    ----------
    rows : Reached
        The rows.
    folds : ndarray of int of shape (n_samples,)
        The fold in which each row is left out.
    """
    before = losses(rows.kind, rows.scores, rows.labels)
    gains = []
    for shrinkage in SHRINKAGES:
        after = np.empty(len(rows.labels))
        for fold in np.unique(folds):
            out = rows.only(folds == fold)
            moved = out.scores.copy()
            for added, leaf in zip(steps(rows.only(folds != fold), shrinkage), out.leaves, strict=True):
                moved += added[leaf]
            after[folds == fold] = losses(rows.kind, moved, out.labels)
        gains.append(before - after)
    best = max(range(len(SHRINKAGES)), key=lambda place: gains[place].mean())
    return SHRINKAGES[best] if is_sure(gains[best]) else None


def is_sure(gain: Array) -> bool:
    """Whether the mean of a loss that rows lost is more than `STANDARD_ERRORS` above zero."""
    return bool(gain.mean() > STANDARD_ERRORS * gain.std(ddof=1) / np.sqrt(len(gain)))

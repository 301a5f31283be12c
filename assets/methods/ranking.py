"""Ranking metrics: how well scores order positives above negatives, for weighted rows.

Arrays are of shape (n_samples,); weights are non-negative, so a bootstrap replicate is only new weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


def mean_of(values: Array) -> Callable[[Array], float]:
    """The mean of what each row has, as a function of the rows' weights.

    A bootstrap asks for it a thousand times; `numpy.average` takes most of its time to look at what it was given.

    Examples
    --------
    >>> mean_of(np.array([1.0, 4.0]))(np.array([1.0, 2.0]))
    3.0
    """
    held = np.asarray(values, dtype=np.float64)
    return lambda weights: float(held @ weights / weights.sum())


class Ranking:
    """Scores sorted once, with ties grouped, so that ranking metrics cost one pass for each set of weights.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        0 or 1.
    scores : array-like of shape (n_samples,)
        Higher means more likely 1.
    """

    def __init__(self, labels: Array, scores: Array) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ordered = scores[self.order]
        self.positives = labels[self.order]
        self.starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def masses(self, weights: Array) -> tuple[Array, Array]:
        """Weight of positives and of negatives in each group of tied scores, from the highest score down."""
        ordered = weights[self.order]
        total = np.add.reduceat(ordered, self.starts)
        positive = np.add.reduceat(ordered * self.positives, self.starts)
        return positive, total - positive

    def roc_auc(self, weights: Array) -> float:
        """Area under the ROC curve; ties count one half (Mann and Whitney 1947). NaN if a class is absent.

        Examples
        --------
        >>> Ranking(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.9])).roc_auc(np.ones(3))
        0.75
        """
        positive, negative = self.masses(weights)
        above = np.cumsum(positive) - positive
        pairs = positive.sum() * negative.sum()
        if pairs == 0:
            return float("nan")
        return float((negative * (above + 0.5 * positive)).sum() / pairs)

    def average_precision(self, weights: Array) -> float:
        """Mean precision over recall steps (Zhu 2004), as scikit-learn's. NaN if there is no positive.

        Examples
        --------
        >>> round(Ranking(np.array([0.0, 1.0, 1.0]), np.array([0.8, 0.2, 0.9])).average_precision(np.ones(3)), 3)
        0.833
        """
        positive, negative = self.masses(weights)
        found = np.cumsum(positive)
        if found[-1] == 0:
            return float("nan")
        shown = np.cumsum(positive + negative)
        precision = np.divide(found, shown, out=np.zeros_like(found), where=shown > 0)
        return float((positive * precision).sum() / found[-1])

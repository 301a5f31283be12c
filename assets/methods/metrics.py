"""Metrics of a binary classifier, each of them for weighted rows, so that a bootstrap replicate is only new weights.

Arrays are of shape (n_samples,): labels are 0 or 1, scores are probabilities, weights are non-negative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

LOWER_IS_BETTER = frozenset({"brier", "log_loss", "calibration_error", "cost_per_1000"})


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


def brier(labels: Array, scores: Array, weights: Array) -> float:
    """Mean squared error of the probability (Brier 1950)."""
    return float(np.average((scores - labels) ** 2, weights=weights))


def log_loss(labels: Array, scores: Array, weights: Array) -> float:
    """Mean negative log likelihood in nats (Good 1952); probabilities are kept 1e-7 away from 0 and 1."""
    safe = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(np.average(-(labels * np.log(safe) + (1 - labels) * np.log(1 - safe)), weights=weights))


def calibration_error(labels: Array, scores: Array, weights: Array, bins: int = 20) -> float:
    """Expected calibration error over bins of equal width (Naeini, Cooper and Hauskrecht 2015)."""
    index = np.minimum((scores * bins).astype(int), bins - 1)
    gap = np.bincount(index, weights * (scores - labels), minlength=bins)
    return float(np.abs(gap).sum() / weights.sum())


def calibration_curve(labels: Array, scores: Array, bins: int = 10) -> list[dict[str, float]]:
    """Mean score and observed rate in bins of equal frequency, with the rows of each bin."""
    order = np.argsort(scores, kind="stable")
    return [
        {"score": float(scores[part].mean()), "rate": float(labels[part].mean()), "rows": len(part)}
        for part in np.array_split(order, bins)
        if len(part)
    ]


def cost_per_1000(labels: Array, decisions: Array, weights: Array, missed: float, false_alarm: float) -> float:
    """Mean cost of a thousand decisions: `missed` for each positive not predicted, `false_alarm` for each false one."""
    cost = missed * labels * (1 - decisions) + false_alarm * (1 - labels) * decisions
    return float(1000 * np.average(cost, weights=weights))


def cheapest_threshold(labels: Array, scores: Array, missed: float, false_alarm: float) -> float:
    """The score from which saying yes costs least on these rows (Elkan 2001, chosen empirically).

    Returns a midpoint between two neighbouring scores; above 1 if it is cheapest never to say yes.

    Examples
    --------
    >>> cheapest_threshold(np.array([0.0, 1.0]), np.array([0.2, 0.6]), missed=5.0, false_alarm=1.0)
    0.4
    """
    ranking = Ranking(labels, scores)
    positive, negative = ranking.masses(np.ones_like(scores))
    cost = missed * (positive.sum() - np.r_[0.0, np.cumsum(positive)]) + false_alarm * np.r_[0.0, np.cumsum(negative)]
    values = scores[ranking.order][ranking.starts]
    bounds = np.r_[values[0] + 1.0, (values[:-1] + values[1:]) / 2, values[-1] / 2]
    return float(bounds[int(np.argmin(cost))])


def metric_functions(
    labels: Array, scores: Array, threshold: float, missed: float, false_alarm: float
) -> dict[str, Callable[[Array], float]]:
    """All metrics of one set of scores, each a function of the rows' weights."""
    ranking = Ranking(labels, scores)
    decisions = (scores >= threshold).astype(np.float64)
    return {
        "roc_auc": ranking.roc_auc,
        "average_precision": ranking.average_precision,
        "brier": lambda weights: brier(labels, scores, weights),
        "log_loss": lambda weights: log_loss(labels, scores, weights),
        "calibration_error": lambda weights: calibration_error(labels, scores, weights),
        "cost_per_1000": lambda weights: cost_per_1000(labels, decisions, weights, missed, false_alarm),
    }

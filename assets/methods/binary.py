"""Yes or no: metrics of a probability, and the threshold that costs least.

Labels are 0 or 1, outputs are probabilities of 1, both of shape (n_samples,); each metric takes row weights, so that a
bootstrap replicate is only new weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assets.methods import abstention
from assets.methods.ranking import Array, Ranking, mean_of
from bentos.decisions import decide

LOWER_IS_BETTER = frozenset({"brier", "log_loss", "calibration_error", "cost_per_1000"})

SMALLEST = 1e-7
"""The probability of what came counts as this at least, so that one row cannot cost without end."""


def metric_functions(
    labels: Array, outputs: Array, decision: Mapping[str, Any], cost: Mapping[str, float]
) -> dict[str, Callable[[Array], float]]:
    """All metrics of one set of probabilities, each a function of the rows' weights.

    Parameters
    ----------
    labels, outputs : ndarray of shape (n_samples,)
        0 or 1, and the probability of 1.
    decision : mapping
        ``threshold``: the probability from which the answer is yes.
    cost : mapping
        ``missed`` and ``false_alarm``: what each mistake costs.
    """
    ranking = Ranking(labels, outputs)
    said = decide("binary", outputs, decision).astype(np.float64)
    paid = cost["missed"] * labels * (1 - said) + cost["false_alarm"] * (1 - labels) * said
    return {
        "roc_auc": ranking.roc_auc,
        "average_precision": ranking.average_precision,
        "brier": mean_of((outputs - labels) ** 2),
        "log_loss": mean_of(row_losses(labels, outputs)),
        "calibration_error": calibration_error(labels, outputs),
        "cost_per_1000": mean_of(1000 * abstention.paid(paid, decision)),
    }


def choose(labels: Array, outputs: Array, cost: Mapping[str, float], coverage: float = 0.9) -> dict[str, Any]:  # noqa: ARG001 - as every kind
    """The decision rule that costs least on these rows."""
    return {"threshold": cheapest_threshold(labels, outputs, cost["missed"], cost["false_alarm"])}


def indifferent(cost: Mapping[str, float]) -> dict[str, Any]:
    """The decision rule that costs least if the probabilities are calibrated (Elkan 2001)."""
    return {"threshold": cost["false_alarm"] / (cost["false_alarm"] + cost["missed"])}


def row_losses(labels: Array, outputs: Array) -> Array:
    """The log loss of each row, in nats."""
    return np.asarray(-np.log(np.clip(np.where(labels == 1, outputs, 1 - outputs), SMALLEST, 1.0)))


def drawn(outputs: Array, random: np.random.Generator) -> Array:
    """Labels drawn by their probabilities."""
    return (random.random(len(outputs)) < outputs).astype(np.float64)


def indicators(labels: Array, classes: int) -> Array:  # noqa: ARG001 - every kind takes the same
    """What a table of means averages: the label itself."""
    return labels


def squared_calibration(labels: Array, outputs: Array, bins: int = 20) -> Callable[[Array], float]:
    """The squared calibration error as a function of the rows' weights.

    It is the mean squared gap between probability and rate over bins of equal width, without what chance alone would give.
    The plug-in estimate grows with the scatter of the labels; its expectation is subtracted in each bin (Bröcker 2012;
    Kumar, Liang and Ma 2019), so the estimate is unbiased, and below zero about half of the time for a perfect model.
    Bins of one row say nothing of scatter and are left out.
    """
    index = np.minimum((outputs * bins).astype(int), bins - 1)
    error = outputs - labels
    squared_error = error**2

    def squared(weights: Array) -> float:
        masses = (weights, weights * error, weights * squared_error)
        rows, sums, squares = (np.bincount(index, mass, minlength=bins).astype(np.float64) for mass in masses)
        held = rows > 1
        rows, sums, squares = rows[held], sums[held], squares[held]
        if not len(rows):
            return float("nan")
        chance = (squares / rows - (sums / rows) ** 2) / (rows - 1)
        return mean_of((sums / rows) ** 2 - chance)(rows)

    return squared


def calibration_error(labels: Array, outputs: Array) -> Callable[[Array], float]:
    """The root of `squared_calibration` as a function of the rows' weights; 0 where that is below zero."""
    squared = squared_calibration(labels, outputs)
    return lambda weights: float(np.sqrt(np.maximum(squared(weights), 0.0)))


def calibration_curve(labels: Array, scores: Array, bins: int = 10) -> list[dict[str, float]]:
    """Mean score and observed rate in bins of equal frequency, with the rows of each bin."""
    order = np.argsort(scores, kind="stable")
    return [
        {"score": float(scores[part].mean()), "rate": float(labels[part].mean()), "rows": len(part)}
        for part in np.array_split(order, bins)
        if len(part)
    ]


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

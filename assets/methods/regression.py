"""How much: metrics of predicted values, the planned value of least cost, and a prediction interval.

Labels and outputs are of shape (n_samples,), in the target's unit; each metric takes row weights, so that a bootstrap
replicate is only new weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assets.methods.ranking import Array
from bentos.decisions import decide

LOWER_IS_BETTER = frozenset({"mae", "rmse", "cost_per_1000"})

COVERAGE = 0.9
"""The share of rows that a prediction interval is made to cover."""
ROUNDING = 1e-12
"""The share of the absolute errors below which their sum is what double precision leaves of zero."""


def metric_functions(
    labels: Array, outputs: Array, decision: Mapping[str, Any], cost: Mapping[str, float]
) -> dict[str, Callable[[Array], float]]:
    """All metrics of one set of predicted values, each a function of the rows' weights.

    Parameters
    ----------
    labels, outputs : ndarray of shape (n_samples,)
        What came, and what was predicted.
    decision : mapping
        ``offset``, added to a prediction to plan with, and perhaps ``margin``, half the width of the prediction interval.
    cost : mapping
        ``under`` and ``over``: what each unit costs by which the planned value is too low or too high.
    """
    error = outputs - labels
    paid = row_costs(labels, outputs, decision, cost)

    def r2(weights: Array) -> float:
        """Share of variance explained (Wright 1921); NaN if the labels do not vary."""
        spread = np.average((labels - np.average(labels, weights=weights)) ** 2, weights=weights)
        return float(1 - np.average(error**2, weights=weights) / spread) if spread > 0 else float("nan")

    def bias(weights: Array) -> float:
        """The mean error; 0 where it is no more than what rounding leaves of errors that cancel out."""
        found = float(np.average(error, weights=weights))
        return found if abs(found) > ROUNDING * float(np.average(np.abs(error), weights=weights)) else 0.0

    functions: dict[str, Callable[[Array], float]] = {
        "mae": lambda weights: float(np.average(np.abs(error), weights=weights)),
        "rmse": lambda weights: float(np.sqrt(np.average(error**2, weights=weights))),
        "r2": r2,
        "bias": bias,
        "cost_per_1000": lambda weights: float(1000 * np.average(paid, weights=weights)),
    }
    if "margin" in decision:
        covered = np.abs(error) <= decision["margin"]
        functions["interval_coverage"] = lambda weights: float(np.average(covered, weights=weights))
    return functions


def row_costs(labels: Array, outputs: Array, decision: Mapping[str, Any], cost: Mapping[str, float]) -> Array:
    """What each row costs: `under` and `over` for each unit by which the planned value is too low or too high."""
    planned = decide("regression", outputs, decision)
    return np.asarray(cost["under"] * np.maximum(labels - planned, 0) + cost["over"] * np.maximum(planned - labels, 0))


def choose(labels: Array, outputs: Array, cost: Mapping[str, float]) -> dict[str, Any]:
    """The offset that costs least on these rows, and the margin that covers `COVERAGE` of rows like them.

    The offset is the residuals' quantile at under / (under + over) (Koenker and Bassett 1978). The margin is the conformal
    quantile of the absolute residuals (Lei and others 2018): valid as long as later rows are like these.

    Examples
    --------
    >>> choose(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 1.0]), {"under": 1.0, "over": 1.0})
    {'offset': 1.0, 'margin': 8.0}
    """
    residuals = labels - outputs
    rank = min(math.ceil((len(residuals) + 1) * COVERAGE), len(residuals))
    return {
        "offset": float(np.quantile(residuals, cost["under"] / (cost["under"] + cost["over"]))),
        "margin": float(np.sort(np.abs(residuals))[rank - 1]),
    }


def indifferent(cost: Mapping[str, float]) -> dict[str, Any]:  # noqa: ARG001 - every kind takes the same
    """The decision rule of a baseline: plan with what is predicted; it gives no interval."""
    return {"offset": 0.0}


def squared_calibration(labels: Array, outputs: Array) -> None:
    """A value is no probability."""


def row_losses(labels: Array, outputs: Array) -> Array:
    """The absolute error of each row."""
    return np.asarray(np.abs(outputs - labels))


def drawn(outputs: Array, random: np.random.Generator) -> Array:  # noqa: ARG001 - every kind takes the same
    """The outputs: a value says nothing of how values scatter."""
    return outputs


def indicators(labels: Array, classes: int) -> Array:  # noqa: ARG001 - every kind takes the same
    """What a table of means averages: the label itself."""
    return labels

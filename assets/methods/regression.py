"""How much: metrics of predicted values, the planned value of least cost, and a prediction interval.

Labels and outputs are of shape (n_samples,), in the target's unit; each metric takes row weights, so that a bootstrap
replicate is only new weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assets.methods import abstention, conformal
from assets.methods.ranking import Array, mean_of
from bentos.decisions import decide

LOWER_IS_BETTER = frozenset({"mae", "rmse", "cost_per_1000"})

COVERAGE = 0.9
"""The share of rows that a prediction interval is made to cover, where none is declared."""
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
    mean_error, mean_absolute, mean_square = mean_of(error), mean_of(np.abs(error)), mean_of(error**2)

    def bias(weights: Array) -> float:
        """The mean error; 0 where it is no more than what rounding leaves of errors that cancel out."""
        found = mean_error(weights)
        return found if abs(found) > ROUNDING * mean_absolute(weights) else 0.0

    functions: dict[str, Callable[[Array], float]] = {
        "mae": mean_absolute,
        "rmse": lambda weights: math.sqrt(mean_square(weights)),
        "r2": explained(labels, outputs),
        "bias": bias,
        "cost_per_1000": mean_of(1000 * row_costs(labels, outputs, decision, cost)),
    }
    if "margin" in decision:
        functions["interval_coverage"] = mean_of(np.abs(error) <= decision["margin"])
    return functions


def explained(labels: Array, outputs: Array) -> Callable[[Array], float]:
    """The share of variance explained (Wright 1921) as a function of the rows' weights; NaN if the labels do not vary."""
    mean_label, mean_square = mean_of(labels), mean_of((outputs - labels) ** 2)

    def r2(weights: Array) -> float:
        spread = mean_of((labels - mean_label(weights)) ** 2)(weights)
        return 1 - mean_square(weights) / spread if spread > 0 else float("nan")

    return r2


def row_costs(labels: Array, outputs: Array, decision: Mapping[str, Any], cost: Mapping[str, float]) -> Array:
    """What each row costs: `under` and `over` for each unit by which the planned value is too low or too high."""
    planned = decide("regression", outputs, decision)
    missed = cost["under"] * np.maximum(labels - planned, 0) + cost["over"] * np.maximum(planned - labels, 0)
    return np.asarray(abstention.paid(missed, decision))


def choose(labels: Array, outputs: Array, cost: Mapping[str, float], coverage: float = COVERAGE) -> dict[str, Any]:
    """The offset that costs least on these rows, and the margin that covers the promised share of rows like them.

    The offset is the residuals' quantile at under / (under + over) (Koenker and Bassett 1978). The margin is the conformal
    quantile of the absolute residuals (Lei and others 2018): valid as long as later rows are like these.

    Examples
    --------
    >>> choose(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 1.0]), {"under": 1.0, "over": 1.0})
    {'offset': 1.0, 'margin': 8.0}
    """
    residuals = labels - outputs
    return {
        "offset": float(np.quantile(residuals, cost["under"] / (cost["under"] + cost["over"]))),
        "margin": conformal.quantile(np.abs(residuals), coverage),
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

"""One of several classes: metrics of probabilities, and decisions of least expected cost.

Labels are class numbers from 0, of shape (n_samples,); outputs are probabilities of shape (n_samples, n_classes); each
metric takes row weights, so that a bootstrap replicate is only new weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assets.methods import abstention, binary
from assets.methods.binary import SMALLEST
from assets.methods.ranking import Array, Ranking, mean_of
from bentos.decisions import decide

LOWER_IS_BETTER = frozenset({"brier", "log_loss", "calibration_error", "cost_per_1000"})


def metric_functions(
    labels: Array, outputs: Array, decision: Mapping[str, Any], cost: Mapping[str, Any]
) -> dict[str, Callable[[Array], float]]:
    """All metrics of one set of probabilities, each a function of the rows' weights.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class numbers from 0.
    outputs : ndarray of shape (n_samples, n_classes)
        The probability of each class.
    decision : mapping
        ``costs[true][said]``, by which decisions are taken.
    cost : mapping
        ``costs[true][said]``, by which they are paid.
    """
    classes = outputs.shape[1]
    truth = labels.astype(int)
    said = decide("multiclass", outputs, decision)
    rankings = [Ranking((truth == index).astype(np.float64), outputs[:, index]) for index in range(classes)]
    squared = ((outputs - np.eye(classes)[truth]) ** 2).sum(axis=1)
    paid = np.asarray(cost["costs"], dtype=np.float64)[truth, said]

    def confusion(weights: Array) -> Array:
        counted = np.bincount(truth * classes + said, weights, minlength=classes * classes)
        return np.asarray(counted.reshape(classes, classes), dtype=np.float64)

    return {
        "roc_auc_macro": lambda weights: roc_auc_macro(rankings, weights),
        "accuracy": mean_of(said == truth),
        "balanced_accuracy": lambda weights: balanced_accuracy(confusion(weights)),
        "f1_macro": lambda weights: f1_macro(confusion(weights)),
        "brier": mean_of(squared),
        "log_loss": mean_of(row_losses(labels, outputs)),
        "calibration_error": binary.calibration_error(*_likeliest(truth, outputs)),
        "cost_per_1000": mean_of(1000 * abstention.paid(paid, decision)),
    }


def choose(labels: Array, outputs: Array, cost: Mapping[str, Any], coverage: float = 0.9) -> dict[str, Any]:  # noqa: ARG001 - as every kind
    """The decision rule: the class of least expected cost (Elkan 2001); nothing is left to choose on data."""
    return indifferent(cost)


def indifferent(cost: Mapping[str, Any]) -> dict[str, Any]:
    """The decision rule that costs least if the probabilities are calibrated."""
    return {"costs": cost["costs"]}


def row_losses(labels: Array, outputs: Array) -> Array:
    """The log loss of each row, in nats."""
    chances = outputs[np.arange(len(labels)), labels.astype(int)]
    return np.asarray(-np.log(np.clip(chances, SMALLEST, 1.0)))


def drawn(outputs: Array, random: np.random.Generator) -> Array:
    """Class numbers drawn by their probabilities."""
    reached = np.cumsum(outputs, axis=1) < random.random((len(outputs), 1)) * outputs.sum(axis=1, keepdims=True)
    return np.asarray(reached.sum(axis=1).clip(max=outputs.shape[1] - 1), dtype=np.float64)


def indicators(labels: Array, classes: int) -> Array:
    """What a table of means averages: one column a class, 1 where a row is of it; shape (n_samples, n_classes)."""
    return np.asarray(np.eye(classes)[labels.astype(int)])


def roc_auc_macro(rankings: list[Ranking], weights: Array) -> float:
    """Mean over classes of the area under the ROC curve of one against the rest (Provost and Domingos 2000).

    A class that no row has, or that every row has, cannot be ranked and is left out; NaN if none is left.

    Examples
    --------
    >>> rankings = [Ranking(np.array(truth), np.array([0.1, 0.9])) for truth in ([0.0, 1.0], [1.0, 0.0], [0.0, 0.0])]
    >>> roc_auc_macro(rankings, np.ones(2))
    0.5
    """
    areas = np.array([ranking.roc_auc(weights) for ranking in rankings])
    known = areas[~np.isnan(areas)]
    return float(known.mean()) if len(known) else float("nan")


def balanced_accuracy(confusion: Array) -> float:
    """Mean recall over the classes that occur (Brodersen and others 2010), from counts of shape (true, said).

    Examples
    --------
    >>> balanced_accuracy(np.array([[8.0, 2.0], [0.0, 2.0]]))
    0.9
    """
    rows = confusion.sum(axis=1)
    return float(np.mean(np.diag(confusion)[rows > 0] / rows[rows > 0]))


def f1_macro(confusion: Array) -> float:
    """Mean over classes of the harmonic mean of precision and recall; 0 for a class neither said nor true."""
    both = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(np.divide(2 * np.diag(confusion), both, out=np.zeros_like(both), where=both > 0)))


def squared_calibration(labels: Array, outputs: Array) -> Callable[[Array], float]:
    """The squared calibration error of the likeliest class as a function of the rows' weights."""
    return binary.squared_calibration(*_likeliest(labels, outputs))


def _likeliest(truth: Array, outputs: Array) -> tuple[Array, Array]:
    """Whether the likeliest class is the true one, and its probability, whose calibration is measured (Guo and others 2017)."""
    return (outputs.argmax(axis=1) == truth).astype(np.float64), outputs.max(axis=1)

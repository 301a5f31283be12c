"""Conformal prediction: how far an answer must reach to hold the outcome of a promised share of rows.

The score of a row says how badly its outcome fits its answer: the absolute residual of a value, or one minus the probability of
the class that came. The threshold is a quantile of the scores of rows that the model was not fitted on; what scores no more is
in the interval, or in the set. Rows like those are covered with at least the promised probability, whatever the model is.

References
----------
Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World: split ("inductive") and Mondrian prediction.
Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), Distribution-free predictive inference for regression, JASA 113.
Sadinle, Lei and Wasserman (2019), Least ambiguous set-valued classifiers with bounded error levels, JASA 114.
Gibbs and Candès (2021), Adaptive conformal inference under distribution shift, NeurIPS 34.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.ranking import Array

FEWEST = 100
"""The rows from which a slice has a threshold of its own: the coverage of a threshold of 100 rows has, over calibrations, a
standard error of 3 % at 90 % (a beta distribution: Vovk 2012, Conditional validity of inductive conformal predictors)."""

Slice = tuple[str, ...]
"""The values of the columns that cut rows into slices."""


@dataclass(frozen=True)
class Thresholds:
    """A threshold for all rows, and those of slices of enough rows.

    Parameters
    ----------
    whole : float
        For rows of no slice that has its own.
    slices : dict of Slice to float
        By the slice's values.
    rows : dict of Slice to int
        How many rows each slice has; those that are not in `slices` are too few.
    """

    whole: float
    slices: dict[Slice, float]
    rows: dict[Slice, int]

    def of(self, groups: Iterable[Slice]) -> Array:
        """The threshold of each row, shape (n_samples,)."""
        return np.array([self.slices.get(group, self.whole) for group in groups], dtype=np.float64)


def least_rows(coverage: float) -> int:
    """The fewest rows whose quantile is a score that was seen: with fewer, only an answer without end would cover enough.

    Examples
    --------
    >>> least_rows(0.9), least_rows(0.95), least_rows(0.5)
    (9, 19, 1)
    """
    rows = max(1, math.floor(coverage / (1 - coverage)) - 1)
    while _rank(rows, coverage) > rows:
        rows += 1
    return rows


def quantile(scores: Array, coverage: float) -> float:
    """The conformal quantile: of n scores the one of rank ceil((n + 1) coverage), the largest where there are too few.

    Examples
    --------
    >>> quantile(np.arange(1.0, 20.0), 0.9), quantile(np.array([3.0, 1.0]), 0.9)
    (18.0, 3.0)
    """
    place = min(_rank(len(scores), coverage), len(scores)) - 1
    return float(np.partition(scores, place)[place])


def scores(kind: str, labels: Array, outputs: Array) -> Array:
    """How badly what came fits what was said, shape (n_samples,).

    Parameters
    ----------
    kind : str
        ``binary``, ``multiclass`` or ``regression``.
    labels : ndarray of shape (n_samples,)
        0 or 1, class numbers, or values.
    outputs : ndarray of shape (n_samples,) or (n_samples, n_classes)
        The probability of yes, of each class, or the predicted values.

    Examples
    --------
    >>> scores("binary", np.array([1.0, 0.0]), np.array([0.75, 0.75])).tolist()
    [0.25, 0.75]
    """
    if kind == "multiclass":
        return np.asarray(1 - outputs[np.arange(len(labels)), labels.astype(int)])
    # of two classes: 1 - p where it is yes, p where it is no, in the very operations of the service
    return np.asarray(np.where(labels == 1, 1 - outputs, outputs) if kind == "binary" else np.abs(labels - outputs))


def mondrian(found: Array, groups: Sequence[Slice], coverage: float, fewest: int = FEWEST) -> Thresholds:
    """The thresholds of all rows and of each slice (Mondrian: a coverage in each), where a slice has rows enough.

    Parameters
    ----------
    found : ndarray of shape (n_samples,)
        The scores.
    groups : sequence of Slice of length n_samples
        The slice of each row; an empty tuple where there are none.
    coverage : float
        The promised share.
    fewest : int
        The rows from which a slice has its own threshold, and `least_rows` at least.
    """
    least = max(fewest, least_rows(coverage))
    by_slice: dict[Slice, list[int]] = {}
    for place, group in enumerate(groups):
        if group:
            by_slice.setdefault(group, []).append(place)
    rows = {group: len(places) for group, places in sorted(by_slice.items())}
    slices = {group: quantile(found[by_slice[group]], coverage) for group, count in rows.items() if count >= least}
    return Thresholds(quantile(found, coverage), slices, rows)


def next_level(level: float, missed: float, *, coverage: float, gamma: float) -> float:
    """The level of misses for what comes next, by adaptive conformal inference (Gibbs and Candès 2021, equation 2).

    Parameters
    ----------
    level : float
        The share of misses that was aimed at so far; the quantile was taken at ``1 - level``.
    missed : float
        The share of rows, whose labels arrived since, that lay outside.
    coverage : float
        The promised share.
    gamma : float
        How much of the difference is made up at once.

    Examples
    --------
    >>> round(next_level(0.1, 0.3, coverage=0.9, gamma=0.05), 3)
    0.09
    """
    return level + gamma * ((1 - coverage) - missed)


def sizes(kind: str, outputs: Array, thresholds: Array) -> Array:
    """How much each answer leaves open, shape (n_samples,): the width of the interval, or the number of classes in the set."""
    if kind == "regression":
        return np.asarray(2 * thresholds)
    if kind == "binary":
        return np.asarray((1 - outputs <= thresholds).astype(float) + (outputs <= thresholds))
    return np.asarray((1 - outputs <= thresholds[:, np.newaxis]).sum(axis=1).astype(float))


def slices_of(columns: Sequence[np.ndarray[Any, Any]], rows: int) -> list[Slice]:
    """The slice of each row by the texts of some columns, in their order; empty tuples without any."""
    return list(zip(*(column.tolist() for column in columns), strict=True)) if columns else [()] * rows


def _rank(rows: int, coverage: float) -> int:
    return math.ceil((rows + 1) * coverage)

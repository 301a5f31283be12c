"""How well one column alone tells the target: a column that tells too well knows the answer.

The column is cut into bins on the training rows, each bin answers its shrunken training mean, and the answers are
measured on the test rows, so that any shape of dependence counts and nothing is learnt by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from assets.methods.ranking import Array, Ranking

BINS = 50
STRENGTH = 20.0
"""How many rows of the overall mean each bin starts with (empirical Bayes, Efron and Morris 1975)."""


def single_column(
    train: np.ndarray[Any, Any], indicators: Array, asked: np.ndarray[Any, Any], truth: Array, *, is_class: bool
) -> float:
    """The area under the ROC curve of one column's answers, mean over classes; for a number the share of variance explained.

    Parameters
    ----------
    train, asked : ndarray of shape (n_train,), (n_asked,)
        The column's values; numbers, or text with None where missing.
    indicators, truth : ndarray of shape (n_train, n_outputs), (n_asked, n_outputs)
        The labels, or a column of 0 and 1 for each class.
    is_class : bool
        Whether the target is a class.

    Examples
    --------
    >>> column, label = np.arange(200.0), (np.arange(200) >= 100).astype(float)[:, None]
    >>> single_column(column, label, column, label, is_class=True)
    1.0
    """
    return single_column_metric(train, indicators, asked, truth, is_class=is_class)(np.ones(len(truth)))


def single_column_metric(
    train: np.ndarray[Any, Any], indicators: Array, asked: np.ndarray[Any, Any], truth: Array, *, is_class: bool
) -> Callable[[Array], float]:
    """`single_column` as a function of the weights of the asked rows, shape (n_asked,)."""
    codes, others, count = _binned(train, asked)
    rows = np.bincount(codes, minlength=count)
    metrics: list[Callable[[Array], float]] = []
    for told, true in zip(indicators.T, truth.T, strict=True):
        means = (np.bincount(codes, told, minlength=count) + STRENGTH * told.mean()) / (rows + STRENGTH)
        answers = means[others]
        metrics.append(Ranking(true, answers).roc_auc if is_class else partial(_explained, true, answers))

    def metric(weights: Array) -> float:
        found = [one(weights) for one in metrics]
        return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")

    return metric


def _explained(true: Array, answers: Array, weights: Array) -> float:
    """The share of variance that answers explain."""
    spread = float(np.average((true - np.average(true, weights=weights)) ** 2, weights=weights))
    return 1 - float(np.average((answers - true) ** 2, weights=weights)) / spread if spread > 0 else float("nan")


def _binned(train: np.ndarray[Any, Any], asked: np.ndarray[Any, Any]) -> tuple[Any, Any, int]:
    """Bin numbers of both, cut at the training quantiles; texts by themselves; one bin for what is missing or new."""
    if train.dtype != object:
        edges = (
            np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1))) if len(known := train[~np.isnan(train)]) else np.zeros(1)
        )
        last = len(edges) + 1
        return (
            np.where(np.isnan(train), last, np.searchsorted(edges, train)),
            np.where(np.isnan(asked), last, np.searchsorted(edges, asked)),
            last + 1,
        )
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(value, len(numbers)) for value in train.tolist()])
    return codes, np.array([numbers.get(value, len(numbers)) for value in asked.tolist()]), len(numbers) + 1

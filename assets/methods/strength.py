"""How well one column alone tells the target: a column that tells too well knows the answer.

What a column answers is learnt on the training rows: a straight line, and the means of what it leaves over in bins that are
halved again and again, each mean shrunken by what chance alone would make of it. The answers are measured on the test rows,
so that any shape of dependence counts and nothing is learnt by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assets.methods.ranking import Array, Ranking
from assets.methods.regression import explained

LEAST_ROWS, MOST_BINS = 2, 512
"""How many training rows the finest bins hold at least, about, and how many bins there are at most."""

Level = tuple[Array, Array]
"""The rows of each bin, and the sum of what they hold, both of shape (n_bins,)."""


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
    answered = _of_texts(train, indicators, asked) if train.dtype == object else _of_numbers(train, indicators, asked)
    metrics: list[Callable[[Array], float]] = [
        Ranking(true, answers).roc_auc if is_class else explained(true, answers)
        for true, answers in zip(truth.T, answered, strict=True)
    ]

    def metric(weights: Array) -> float:
        found = [one(weights) for one in metrics]
        return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")

    return metric


def _of_texts(train: np.ndarray[Any, Any], indicators: Array, asked: np.ndarray[Any, Any]) -> list[Array]:
    """The answers of a text: the shrunken mean of each value, None among them; of a value that is new, the mean of all rows."""
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(value, len(numbers)) for value in train.tolist()])
    others = np.array([numbers.get(value, len(numbers)) for value in asked.tolist()])
    return [told.mean() + _means(codes, told - told.mean(), len(numbers) + 1)[others] for told in indicators.T]


def _of_numbers(train: np.ndarray[Any, Any], indicators: Array, asked: np.ndarray[Any, Any]) -> list[Array]:
    """The answers of a number: a line, and shrunken means of what it leaves over in nested bins; gaps have a mean of their own.

    The finest bins are single values where these are few, else they are cut at the training quantiles, midway between rows.
    There is room for a power of two of them, 2**k, so that two neighbours make one of the next level; what is missing has the
    code 2**k, which stays alone up to the last level.
    """
    is_known, is_asked = np.isfinite(train), np.isfinite(asked)
    known = train[is_known].astype(float)
    count = 2 ** int(np.log2(np.clip(len(known) / LEAST_ROWS, 1, MOST_BINS)))
    ordered, values = np.sort(known), np.unique(known)
    last = np.arange(1, count) * len(known) // count - 1
    below, above = (values[:-1], values[1:]) if len(values) <= count else (ordered[last], ordered[last + 1])
    edges = below / 2 + above / 2
    codes = np.where(is_known, np.searchsorted(edges, train), count)
    others = np.where(is_asked, np.searchsorted(edges, asked), count)
    # a value beyond the training rows' is answered as the last of these: one far away would outweigh all others
    largest = np.abs(known).max(initial=0.0) or 1.0
    inside = np.clip(asked[is_asked].astype(float), ordered[0], ordered[-1]) / largest if len(known) else np.zeros(0)
    found = []
    for told in indicators.T:
        left_over, line = told - told.mean(), np.zeros(len(asked))
        if len(known) and is_asked.any():
            slope, height = _line(known / largest, left_over[is_known])
            left_over[is_known] -= height + slope * known / largest
            line[is_asked] = height + slope * inside
        found.append(told.mean() + line + _means(codes, left_over, 2 * count, halved=True)[others])
    return found


def _line(column: Array, told: Array) -> tuple[float, float]:
    """The slope and the height at 0 of the least-squares line; level for a column of one value."""
    centred = column - column.mean()
    spread = float(centred @ centred)
    slope = float(centred @ told) / spread if spread > 0 else 0.0
    return slope, float(told.mean()) - slope * float(column.mean())


def _means(codes: np.ndarray[Any, Any], told: Array, count: int, *, halved: bool = False) -> Array:
    """The shrunken mean of each bin: by how much it differs from the mean of all, or of the bin that it is a half of.

    How far a level's differences are shrunken follows from how much they scatter beyond what rows of one finest bin give:
    the empirical Bayes of Efron and Morris (1975), with the variances of a nested analysis of variance (Searle, Casella and
    McCulloch 1992, chapter 3). Noise is shrunken to nothing and a column that tells the target hardly, however few rows a bin
    has. Shrinking each level of a dyadic partition by itself is the Haar wavelets' (Donoho and Johnstone 1995).

    Parameters
    ----------
    codes : ndarray of int of shape (n_samples,)
        The bin of each row.
    told : ndarray of shape (n_samples,)
        The labels, or what is left over of them.
    count : int
        The number of bins; a power of two where they are halved.
    halved : bool
        Whether there are levels between: bins 0 and 1 are the halves of one bin, 2 and 3 of another, and so on.

    Returns
    -------
    ndarray of shape (count,)
    """
    finest: Level = np.bincount(codes, minlength=count).astype(float), np.bincount(codes, told, minlength=count).astype(float)
    levels = [finest]
    while halved and len(levels[-1][0]) > 2:
        rows, sums = levels[-1]
        levels.append((rows.reshape(-1, 2).sum(axis=1), sums.reshape(-1, 2).sum(axis=1)))
    levels.append((np.array([float(len(told))]), np.array([told.sum()])))
    means, within = np.array([told.mean()]), _within(finest, float(told @ told))
    for whole, part in zip(levels[:0:-1], levels[-2::-1], strict=True):
        means = means.repeat(len(part[0]) // len(means)) + _differences(whole, part, within)
    return means


def _within(finest: Level, squares: float) -> float:
    """The variance within the finest bins; infinite where each holds one row, so that none tells anything."""
    rows, sums = (values[finest[0] > 0] for values in finest)
    freedom = rows.sum() - len(rows)
    return max(0.0, squares - float(sums @ (sums / rows))) / freedom if freedom > 0 else float("inf")


def _differences(whole: Level, part: Level, within: float) -> Array:
    """By how much the mean of each part of a bin differs from the bin's, shrunken; 0 for a part without rows."""
    rows, sums = part
    all_rows, all_means = (
        values.repeat(len(rows) // len(values))
        for values in (whole[0], np.divide(whole[1], whole[0], out=np.zeros_like(whole[1]), where=whole[0] > 0))
    )
    is_filled = rows > 0
    found = np.zeros(len(rows))
    rows, all_rows = rows[is_filled], all_rows[is_filled]
    differences = sums[is_filled] / rows - all_means[is_filled]
    freedom = len(rows) - int((whole[0] > 0).sum())
    if freedom == 0:
        return found
    a_part = (rows.sum() - float((rows**2 / all_rows).sum())) / freedom
    between = max(0.0, float(rows @ differences**2) / freedom - within) / a_part
    if between > 0:
        found[is_filled] = differences * between / (between + within / rows)
    return found

"""The betting confidence sequence of a bounded outcome, from rows in their order.

Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86: the hedged capital process,
section 4.4. It is the narrowest that holds from the first row on, and the dearest: each row is bet on against each mean of a
grid. Rates need no rows (`rate_sequences`), and `confidence_sequences.bernstein` does with moments by batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds, checked_level

TRUNCATION, BLOCK, CHUNK = 0.5, 50, 200
"""The share of the capital that a bet may lose; the rows whose factors are multiplied before a logarithm is taken, which never
leave the range of numbers as no factor is below a half; the rows that are bet on at a time, few enough for a core's cache."""


def hedged(
    values: np.ndarray[Any, Any],
    looks: np.ndarray[Any, Any],
    *,
    alpha: float,
    points: int = 500,
    low: float = 0.0,
    high: float = 1.0,
) -> Bounds:
    """The interval of the mean after each of some numbers of rows.

    Parameters
    ----------
    values : array-like of shape (n_rows,)
        The outcomes in the order in which they came.
    looks : array-like of int of shape (n_looks,)
        After how many rows one looks, ascending; 0 gives the bounds of the outcome.
    alpha : float
        The error rate: the chance that the mean is ever outside, whatever the looks.
    points : int
        The means that are tried: the interval's ends are rounded outwards to multiples of 1 / points of the range.
    low, high : float
        The bounds of an outcome.

    Returns
    -------
    Bounds of shape (n_looks,)

    Raises
    ------
    ValueError
        If an outcome lies outside its bounds, or looks are not ascending numbers of rows.

    Examples
    --------
    >>> values = np.random.default_rng(1).beta(10, 30, 1000)
    >>> found = hedged(values, np.array([0, 100, 1000]), alpha=0.05)
    >>> np.round(found.low, 3), np.round(found.high, 3)
    (array([0.   , 0.22 , 0.238]), array([1.   , 0.3  , 0.254]))
    """
    rows, ends = (np.asarray(values, dtype=float) - low) / (high - low), np.asarray(looks, dtype=int)
    if not ((rows >= 0) & (rows <= 1)).all():
        place = int(np.argmin((rows >= 0) & (rows <= 1)))
        raise ValueError(f"outcome {place} is {values[place]}: it must lie from {low} to {high}. Give its bounds.")
    if len(ends) == 0 or (np.diff(ends) < 0).any() or ends[0] < 0 or ends[-1] > len(rows):
        raise ValueError(f"looks are {ends.tolist()}: they must ascend from 0 to {len(rows)}, the rows there are.")
    bets = _bets(rows, checked_level(alpha))
    grid = np.arange(1, points) / points
    most = (TRUNCATION / grid, TRUNCATION / (1 - grid))
    capital, found = np.zeros((2, points - 1)), np.zeros((len(ends), 2, points - 1))
    for look, (start, end) in enumerate(zip(np.concatenate([[0], ends[:-1]]), ends, strict=True)):
        for first in range(start, end, CHUNK):
            last = min(first + CHUNK, end)
            capital += _growth(rows[first:last], bets[first:last], grid, most)
        found[look] = capital
    is_in = found < np.log(2 / alpha)
    return Bounds(low + (high - low) * _lower(is_in[:, 0]) / points, high - (high - low) * _lower(is_in[:, 1, ::-1]) / points)


def _bets(rows: Array, alpha: float) -> Array:
    """The predictable plug-in: as much as the variance of the rows before allows."""
    if len(rows) == 0:
        return rows
    times = np.arange(1, len(rows) + 1)
    means = (0.5 + np.cumsum(rows)) / (times + 1)
    variances = (0.25 + np.cumsum((rows - means) ** 2)) / (times + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    return np.asarray(np.sqrt(2 * np.log(2 / alpha) / (before * times * np.log1p(times))))


def _growth(rows: Array, bets: Array, grid: Array, most: tuple[Array, Array]) -> Array:
    """The logarithm by which the capital grows that is bet on larger and on smaller means, shape (2, n_points)."""
    starts = np.arange(0, len(rows), BLOCK)
    grown = []
    step = rows[:, None] - grid
    for sign, limit in zip((1.0, -1.0), most, strict=True):
        factors = np.minimum(bets[:, None], limit)
        factors *= step
        factors *= sign
        factors += 1
        grown.append(np.log(np.multiply.reduceat(factors, starts, axis=0)).sum(axis=0))
    return np.array(grown)


def _lower(is_in: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How many means, from the end on, are out, per look: the interval starts at the last of them."""
    return np.asarray(np.where(is_in.any(axis=1), np.argmax(is_in, axis=1), is_in.shape[1]))

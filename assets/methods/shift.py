"""Shift: whether rows of two sides differ, told by what each unit (a day, mostly) holds in each bin of a column.

Rows of one day are alike, so whole units are exchanged between the sides to learn what chance shows; strata (weekdays)
keep their share on both sides. All columns are exchanged together, and the largest of them judges each: the chance of any
false alarm is bounded for the whole set (Westfall and Young, Resampling-Based Multiple Testing, 1993, chapter 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.ranking import Array

Sides = np.ndarray[Any, np.dtype[np.float32]]
"""Of shape (n_assignments, n_units): 1 where a unit is on the current side; the first assignment is the real one."""


@dataclass(frozen=True)
class Shift:
    """How far two sides differ in one column.

    Parameters
    ----------
    effect : float
        The square root of the statistic beyond its mean under chance, so that few rows do not look like much.
    p_value : float
        The chance of so large a difference in any of the columns if there is none.
    expected : float
        The mean of the statistic under chance.
    """

    effect: float
    p_value: float
    expected: float


def assignments(current: np.ndarray[Any, Any], strata: np.ndarray[Any, Any], count: int, seed: int) -> Sides:
    """The real assignment of units to the current side, and random ones that keep how many each stratum gives.

    Parameters
    ----------
    current : ndarray of bool of shape (n_units,)
        Whether a unit is on the current side.
    strata : ndarray of int of shape (n_units,)
        The stratum of each unit.
    count : int
        The number of random assignments.
    seed : int
        The seed of the draws.
    """
    random = np.random.default_rng(seed)
    found = np.tile(current.astype(np.float32), (count + 1, 1))
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        found[1:, inside] = random.permuted(found[1:, inside], axis=1)
    return found


def divergence(counts: Array, sides: Sides, strata: np.ndarray[Any, Any]) -> Array:
    """The Jensen-Shannon divergence in bits between the sides, for each assignment (Lin 1991).

    The reference is weighted so that each stratum has the share that it has on the current side.

    Parameters
    ----------
    counts : ndarray of shape (n_units, n_bins)
        Rows of each unit in each bin.
    sides : ndarray of shape (n_assignments, n_units)
        From `assignments`.
    strata : ndarray of int of shape (n_units,)
        The stratum of each unit.

    Returns
    -------
    ndarray of shape (n_assignments,)

    Examples
    --------
    >>> sides = np.array([[0, 1]], dtype=np.float32)
    >>> divergence(np.array([[4.0, 0.0], [0.0, 4.0]]), sides, np.array([0, 0])).tolist()
    [1.0]
    """
    now = sides @ counts.astype(np.float32)
    total = np.maximum(now.sum(axis=1, keepdims=True), 1)
    before = np.zeros_like(now)
    for stratum in np.unique(strata):
        inside = strata == stratum
        own = sides[:, inside] @ counts[inside].astype(np.float32)
        rest = counts[inside].sum(axis=0, dtype=np.float32) - own
        share = own.sum(axis=1, keepdims=True) / total
        before += share * rest / np.maximum(rest.sum(axis=1, keepdims=True), 1)
    return _jensen_shannon(before / np.maximum(before.sum(axis=1, keepdims=True), 1e-12), now / total)


def residual_shift(rows: Array, sums: Array, sides: Sides) -> Array:
    """The mean square by which the mean residual of a bin differs between the sides, for each assignment.

    Residuals are what came minus what a fixed relation says, so a difference at like values of the column is a change of
    the relation, whatever the column's distribution does.

    Parameters
    ----------
    rows, sums : ndarray of shape (n_units, n_bins)
        Rows with a residual, and the sum of their residuals.
    sides : ndarray of shape (n_assignments, n_units)
        From `assignments`.

    Returns
    -------
    ndarray of shape (n_assignments,)
    """
    rows_now, sums_now = sides @ rows.astype(np.float32), sides @ sums.astype(np.float32)
    rows_before, sums_before = rows.sum(axis=0) - rows_now, sums.sum(axis=0) - sums_now
    both = (rows_now > 0) & (rows_before > 0)
    gap = np.where(both, sums_now / np.maximum(rows_now, 1) - sums_before / np.maximum(rows_before, 1), 0.0)
    share = np.where(both, rows_now, 0.0)
    return np.asarray((share * gap**2).sum(axis=1) / np.maximum(share.sum(axis=1), 1), dtype=np.float64)


def judged(statistics: Mapping[str, Array]) -> dict[str, Shift]:
    """The effect of each column and its chance, all columns considered.

    Parameters
    ----------
    statistics : mapping of str to ndarray of shape (n_assignments,)
        Of each column; the first value is that of the real assignment, the others show what chance does.
    """
    if not statistics:
        return {}
    found = np.stack(list(statistics.values()))
    mean, spread = found[:, 1:].mean(axis=1), found[:, 1:].std(axis=1)
    scores = (found - mean[:, None]) / np.where(spread > 0, spread, np.inf)[:, None]
    largest = scores[:, 1:].max(axis=0)
    chances = (1 + (largest[None, :] >= scores[:, :1]).sum(axis=1)) / (1 + len(largest))
    return {
        name: Shift(float(np.sqrt(max(0.0, found[index, 0] - mean[index]))), float(chances[index]), float(mean[index]))
        for index, name in enumerate(statistics)
    }


def _jensen_shannon(first: Any, second: Any) -> Array:
    first, second = first.astype(np.float64), second.astype(np.float64)
    middle = (first + second) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(side > 0, side * np.log2(side / middle), 0.0).sum(axis=1) for side in (first, second)]
    return np.asarray(np.maximum((parts[0] + parts[1]) / 2, 0.0))

"""Conditional shift: whether a column's values, given the other columns, are other ones than in the reference.

Two models learn the column from the others, each on half of the reference's days; what they miss by there, on days that they
did not learn, is held against what they miss by now (Kolmogorov and Smirnov's distance). A mere change of the mix of rows moves
neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.ranking import Array

FOLDS = 4
MARGIN = 0.05
"""By how much the distance must exceed what the reference's own days show."""


@dataclass(frozen=True)
class ConditionalShift:
    """How far a column moved given the others.

    Parameters
    ----------
    distance : float
        Between the reference's misses and those of now, from 0 to 1.
    usual : float
        The largest distance between the misses of a quarter of the reference's days and the others'.
    """

    distance: float
    usual: float

    @property
    def is_changed(self) -> bool:
        """Whether it moved further than the reference's own days do."""
        return self.distance > self.usual + MARGIN


def conditional_shift(
    reference: tuple[Array, Array], now: tuple[Array, Array], days: np.ndarray[Any, Any], seed: int
) -> ConditionalShift:
    """Hold a column given the others against the reference.

    Parameters
    ----------
    reference, now : tuple of ndarray of shape (n_rows, n_others) and (n_rows,)
        The other columns as numbers, and the column; NaN where missing.
    days : ndarray of int of shape (n_reference,)
        The day of each row of the reference.
    seed : int
        Of the learner.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> others = random.normal(size=(1200, 2))
    >>> column = others[:, 0] + 0.1 * random.normal(size=1200)
    >>> days = np.arange(800) % 20
    >>> as_before = conditional_shift((others[:800], column[:800]), (others[800:], column[800:]), days, 0)
    >>> stuck = conditional_shift((others[:800], column[:800]), (others[800:], np.ones(400)), days, 0)
    >>> as_before.is_changed, stuck.is_changed
    (False, True)
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    others, column = (values[~np.isnan(reference[1])] for values in reference)
    fold = days[~np.isnan(reference[1])] % FOLDS
    others_now, column_now = (values[~np.isnan(now[1])] for values in now)
    half, half_now = fold % 2, np.arange(len(column_now)) % 2
    if len(column) < 100 or len(column_now) < 20 or len(np.unique(half)) < 2:
        return ConditionalShift(0.0, 1.0)
    missed, missed_now = column.copy(), column_now.copy()
    for part in (0, 1):
        learner = HistGradientBoostingRegressor(
            max_iter=20, learning_rate=0.2, max_leaf_nodes=15, min_samples_leaf=20, random_state=seed % 2**32
        ).fit(others[half != part], column[half != part])
        missed[half == part] -= learner.predict(others[half == part])
        missed_now[half_now == part] -= learner.predict(others_now[half_now == part])
    usual = max(distance(missed[fold == part], missed[fold != part]) for part in np.unique(fold))
    return ConditionalShift(distance(missed, missed_now), usual)


def distance(first: Array, second: Array) -> float:
    """The distance of Kolmogorov and Smirnov between two samples, from 0 to 1.

    Examples
    --------
    >>> distance(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    from scipy.stats import ks_2samp

    return float(ks_2samp(first, second, method="asymp").statistic)

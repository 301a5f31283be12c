"""The difference of two arms per row, with an interval that holds at every look, from rows of any number a unit.

Where the two arms decide a row alike, it comes to the same in either arm. Such rows differ between the arms by chance alone,
so they may be left out of the numerator: the expected difference per row is the same and the interval narrower (Deng and Hu
2015, Diluted treatment effect estimation for trigger analysis in online controlled experiments). It must be known of each row
what the other arm would have decided.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods import ratio_metrics
from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds, asymptotic, normal_after
from assets.methods.moments import Moments


def difference(
    units: np.ndarray[Any, Any], treated: np.ndarray[Any, Any], values: Array, *, alpha: float, planned: float
) -> tuple[float, Bounds]:
    """The mean of the treated rows less that of the others, at one look, and its interval.

    Parameters
    ----------
    units : ndarray of int of shape (n_rows,)
        The unit of each row; all rows of a unit are in one arm.
    treated : ndarray of bool of shape (n_rows,)
        Whether a row is in the treatment.
    values : ndarray of shape (n_rows,)
        What each row came to; 0 where both arms decide alike and only their difference is asked for.
    alpha : float
        The error rate at all looks together.
    planned : float
        The units at which the interval should be narrowest; see `confidence_sequences.asymptotic`.

    Returns
    -------
    tuple of float and Bounds
        The interval is infinite while the arms have too few units for their skewness (`confidence_sequences.normal_after`).

    Examples
    --------
    Of 4,000 rows the arms decide every tenth differently; there the treatment costs 1 less.

    >>> random = np.random.default_rng(1)
    >>> units, treated = np.arange(4000), random.random(4000) < 0.5
    >>> differs = np.arange(4000) % 10 == 0
    >>> costs = random.gamma(2.0, 1.0, 4000) - (differs & treated)
    >>> for values in (costs, np.where(differs, costs, 0.0)):
    ...     found, bounds = difference(units, treated, values, alpha=0.05, planned=4000)
    ...     print(round(found, 3), round(float(bounds.low), 3), round(float(bounds.high), 3))
    -0.159 -0.294 -0.025
    -0.083 -0.14 -0.025
    """
    count = int(units.max(initial=-1)) + 1
    rows = np.bincount(units, minlength=count)
    sums = np.stack([np.bincount(units, values, minlength=count), rows], axis=-1).astype(float)
    is_treated = np.bincount(units, treated, minlength=count) > 0
    arms = [Moments.of(sums[(rows > 0) & (is_treated == arm)]) for arm in (True, False)]
    effect = ratio_metrics.difference(*arms)
    bounds = asymptotic(effect, alpha=alpha, planned=planned, least=normal_after(_skewness(sums[rows > 0, 0])))
    return float(effect.value), bounds


def _skewness(values: Array) -> float:
    """The skewness of what units came to; 0 where they are all equal, which says nothing."""
    centred = values - values.mean() if len(values) else values
    spread = float(np.sqrt((centred**2).mean())) if len(values) else 0.0
    return float((centred**3).mean() / spread**3) if spread > 0 else 0.0

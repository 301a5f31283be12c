"""How precisely a metric per row is known where whole units, not rows, are dealt to arms; and what the units' past explains.

A unit's rows are not independent, so the unit is what counts: the metric is a ratio of two sums over units, whose error
`ratio_metrics` gives. What of it the units' own past explains is removed by CUPED (Deng, Xu, Kohavi and Walker 2013, "Improving
the sensitivity of online controlled experiments by utilizing pre-experiment data"), here of linear ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.moments import Moments
from assets.methods.ratio_metrics import linearized

ROUNDING = 1e-12
"""The share of the sums' variance that rounding leaves where all units have the same ratio."""


@dataclass(frozen=True)
class UnitVariation:
    """A metric of some units, and how precisely it is known.

    Parameters
    ----------
    units : int
        The units with at least one row.
    rows : float
        Their rows.
    ratio : float
        The metric: the sum of all values over the number of rows.
    relative : float
        The squared standard error of the ratio divided by the squared ratio.
    """

    units: int
    rows: float
    ratio: float
    relative: float


def variation(sums: Array, rows: Array) -> UnitVariation:
    """The variation of a metric per row between units.

    Parameters
    ----------
    sums, rows : ndarray of shape (n_units,)
        The sum of the values of each unit, and the number of its rows; units without a row are left out.

    Returns
    -------
    UnitVariation
        ``relative`` is infinite where there are fewer than two units, or the metric is zero.

    Examples
    --------
    Of 4 units with a row each it is that of a plain mean:

    >>> found = variation(np.array([1.0, 0.0, 1.0, 0.0]), np.ones(4))
    >>> found.ratio, round(found.relative, 4)
    (0.5, 0.3333)
    """
    seen = rows > 0
    moments = Moments.of(np.stack([sums, rows], axis=-1)[seen])
    units, total = int(moments.count), float(rows.sum())
    ratio = float(sums.sum() / total) if total else 0.0
    if units < 2 or ratio == 0:
        return UnitVariation(units, total, ratio, float("inf"))
    return UnitVariation(units, total, ratio, max(float(linearized(moments).variance), 0.0) / units / ratio**2)


def correlation_with_past(sums: Array, rows: Array, past_sums: Array, past_rows: Array) -> float:
    """The correlation of the units' metric with their own past, by which CUPED keeps ``1 - correlation ** 2`` of the variance.

    Parameters
    ----------
    sums, rows : ndarray of shape (n_units,)
        As `variation` takes them.
    past_sums, past_rows : ndarray of shape (n_units,)
        The same of the period before. A unit that is new in the period counts with the mean of the past, so that the gain is
        that of all units.

    Returns
    -------
    float
        0 where no unit has a past, or one of both does not vary.

    Examples
    --------
    >>> round(correlation_with_past(np.array([3.0, 1.0, 2.0]), np.ones(3), np.array([6.0, 2.0, 4.0]), np.ones(3)), 6)
    1.0
    """
    seen = rows > 0
    if not past_rows[seen].sum():
        return 0.0
    moments = Moments.of(np.stack([sums, rows, past_sums, past_rows], axis=-1)[seen])
    linear = linearized(linearized(moments).of_columns(1, 2, 0))  # the past, and the present
    spread, sums_spread = linear.scatter.diagonal(), moments.scatter.diagonal()[[2, 0]] / moments.mean[[3, 1]] ** 2
    if not (spread > ROUNDING * sums_spread).all():
        return 0.0
    return float(linear.scatter[0, 1] / np.sqrt(spread.prod()))

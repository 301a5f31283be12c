"""Ratios whose denominator is random, such as money per order or errors per request, where a unit has any number of both.

Rows of one unit are not independent, so they are summed by unit first; what is left are two sums a unit, and the ratio of
their means by the delta method (Deng, Knoblich and Lu 2018, Applying the delta method in metric analytics). This is the
cluster-robust variance with units as clusters (Liang and Zeger 1986), up to n / (n - 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods import effects
from assets.methods.bootstrap import Array
from assets.methods.effects import Effect
from assets.methods.moments import Moments


def unit_sums(units: np.ndarray[Any, Any], *columns: np.ndarray[Any, Any]) -> Array:
    """The sums of columns by unit, ready for `Moments.of`; a column of ones gives the rows of each unit.

    Parameters
    ----------
    units : array-like of shape (n_rows,)
        The unit of each row.
    *columns : array-like of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_units, n_columns)

    Examples
    --------
    >>> unit_sums(np.array(["a", "b", "a"]), np.array([1.0, 2.0, 3.0]), np.ones(3))
    array([[4., 2.],
           [2., 1.]])
    """
    _, codes = np.unique(units, return_inverse=True)
    return np.stack([np.bincount(codes, np.asarray(column, dtype=float)) for column in columns], axis=-1)


def linearized(moments: Moments, at: Moments | None = None) -> Moments:
    """The moments of the ratio of the first two columns: the delta method, by which a ratio has a value for each unit.

    Further columns, such as covariates, stay as they are.

    Parameters
    ----------
    moments : Moments of shape (...), of 2 or more columns
        Numerator, denominator, and any others.
    at : Moments, optional
        The units at whose means the ratio is made linear; these themselves if not given.

    Returns
    -------
    Moments of shape (...), of one column less

    Raises
    ------
    ValueError
        If a denominator's mean is 0 although there are units.

    Examples
    --------
    >>> found = linearized(Moments.of(np.array([[4.0, 2.0], [2.0, 1.0], [9.0, 3.0]])))
    >>> float(found.mean[0]), round(float(found.variance), 4)
    (2.5, 0.4375)
    """
    base = moments if at is None else at
    tops, bottoms = base.mean[..., 0], base.mean[..., 1]
    is_none = (moments.count > 0) & (bottoms == 0)
    if is_none.any():
        raise ValueError("the denominator of a ratio is 0 for all units: count units that have one.")
    bottoms = np.where(bottoms == 0, 1.0, bottoms)
    columns = moments.mean.shape[-1]
    change = np.zeros((*np.shape(bottoms), columns - 1, columns))
    change[..., 0, 0], change[..., 0, 1] = 1 / bottoms, -tops / bottoms**2
    change[..., range(1, columns - 1), range(2, columns)] = 1.0
    value = np.divide(moments.mean[..., 0], moments.mean[..., 1], out=np.zeros_like(tops), where=moments.mean[..., 1] != 0)
    mean = np.concatenate([value[..., None], moments.mean[..., 2:]], axis=-1)
    return Moments(moments.count, mean, change @ moments.scatter @ np.swapaxes(change, -1, -2))


def difference(treated: Moments, control: Moments) -> Effect:
    """The ratio of the treated arm less that of the control.

    Parameters
    ----------
    treated, control : Moments of shape (...), of 2 columns
        The sums of numerator and denominator by unit.

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> orders = random.poisson(2, (2, 1000)) + 1.0
    >>> money = random.gamma(orders * [[1.1], [1.0]], 10.0)
    >>> effect = difference(*(Moments.of(np.stack([m, o], axis=-1)) for m, o in zip(money, orders)))
    >>> round(float(effect.value), 2), round(float(effect.error), 2)
    (1.01, 0.25)
    """
    return effects.difference(linearized(treated), linearized(control))

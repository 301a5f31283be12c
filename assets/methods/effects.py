"""An effect and its standard error: what tests, at one look or at many, are made of.

A mean, a difference of two arms, one with covariates (`variance_reduction`) and one of ratios (`ratio_metrics`) are all
asymptotically normal; what follows is the same for each: `fixed_horizon` for one look that was planned, and
`confidence_sequences` for any number of looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.moments import Moments


@dataclass(frozen=True)
class Effect:
    """An estimate at each look.

    Parameters
    ----------
    value : ndarray of shape (...)
        The estimate.
    error : ndarray of shape (...)
        Its standard error; infinite where it is not known: fewer than two units in an arm, or an arm in which all are equal.
    count : ndarray of shape (...)
        The units of all arms.
    smallest : ndarray of shape (...)
        The units of the smallest arm: on them depends whether the estimate is normal.
    freedom : ndarray of shape (...)
        The degrees of freedom of the standard error (Welch 1947).
    """

    value: Array
    error: Array
    count: Array
    smallest: Array
    freedom: Array


def mean(moments: Moments) -> Effect:
    """The mean of the first column.

    Examples
    --------
    >>> mean(Moments.of(np.array([1.0, 2.0, 3.0]))).value
    array(2.)
    """
    return of_arms(((1.0, moments.mean[..., 0], moments.variance, moments.count),))


def difference(treated: Moments, control: Moments) -> Effect:
    """The mean of the first column of the treated less that of the control.

    Units are assigned to arms at random. The difference of arm means is then the estimator of Waudby-Smith, Arbour, Sinha,
    Kennedy and Ramdas (2024), section 3, whose outcome model is the mean of each arm, up to terms that vanish faster.

    Examples
    --------
    >>> treated, control = Moments.of(np.array([3.0, 4.0, 5.0])), Moments.of(np.array([1.0, 2.0, 3.0]))
    >>> effect = difference(treated, control)
    >>> float(effect.value), round(float(effect.error), 4), round(float(effect.freedom), 1)
    (2.0, 0.8165, 4.0)
    """
    return of_arms(tuple((sign, arm.mean[..., 0], arm.variance, arm.count) for sign, arm in ((1.0, treated), (-1.0, control))))


def stratified(effects: Sequence[Effect]) -> Effect:
    """One effect of those in strata, each weighted by its share of the units (Miratrix, Sekhon and Yu 2013).

    Where the shares of the arms change, as they do from step to step of a canary, arms must be compared within each step: over
    all of them, the arm that grew has more units of the later days, whatever it does.

    Parameters
    ----------
    effects : sequence of Effect of shape (...)
        At least one. A stratum without units has no weight; one whose error is not known makes that of all unknown.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> strata = [Effect(*np.array([value, 0.3, count, count / 2, 90.0])) for value, count in ((1.0, 100.0), (2.0, 300.0))]
    >>> found = stratified(strata)
    >>> float(found.value), round(float(found.error), 3), float(found.count)
    (1.75, 0.237, 400.0)
    """
    if not effects:
        raise ValueError("there is no stratum: give the effect of at least one.")
    counts = np.array([one.count for one in effects])
    total = counts.sum(axis=0)
    weights = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    parts = np.array([np.where(weight > 0, one.error, 0.0) for one, weight in zip(effects, weights, strict=True)])
    is_known = np.isfinite(parts).all(axis=0) & (total > 0)
    squares = (weights * np.where(np.isfinite(parts), parts, 0.0)) ** 2
    quarters = sum(part**2 / np.maximum(one.freedom, 1.0) for part, one in zip(squares, effects, strict=True))
    variance = np.where(is_known, squares.sum(axis=0), np.inf)
    freedom = np.where(is_known, squares.sum(axis=0) ** 2 / np.where(is_known, quarters, 1.0), 0.0)
    value = sum(weight * one.value for one, weight in zip(effects, weights, strict=True))
    smallest = np.sum([one.smallest for one in effects], axis=0)
    return Effect(*(np.asarray(part) for part in (value, np.sqrt(variance), total, smallest, freedom)))


def of_arms(arms: tuple[tuple[float, Array, Array, Array], ...]) -> Effect:
    """The sum of independent means with signs, each given as its sign, mean, variance of a unit, and units.

    An arm without variance says nothing of how far its mean may be from the truth: no failure among ten units is no proof of
    none among a million. The error is infinite then.
    """
    value, squares, quarters, total = (np.zeros(np.shape(arms[0][3])) for _ in range(4))
    is_known = np.ones(np.shape(arms[0][3]), dtype=bool)
    for sign, centre, variance, count in arms:
        part = np.divide(variance, count, out=np.full_like(variance, np.inf), where=count > 0)
        is_known = is_known & (count >= 2) & (part > 0) & np.isfinite(part)
        value, squares, total = value + sign * centre, squares + part, total + count
        with np.errstate(invalid="ignore"):
            quarters = quarters + part**2 / np.maximum(count - 1, 1)
    squares, quarters = np.where(is_known, squares, np.inf), np.where(is_known, quarters, 1.0)
    freedom = np.where(is_known, np.where(is_known, squares, 1.0) ** 2 / quarters, 0.0)
    smallest = np.min([count for *_, count in arms], axis=0)
    return Effect(*(np.asarray(part) for part in (value, np.sqrt(squares), total, smallest, freedom)))

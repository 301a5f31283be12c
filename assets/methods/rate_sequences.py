"""Confidence sequences of rates, and of the difference of two, from counts alone; they hold from the first row on.

A rate: the bets are mixed by a beta distribution, so that the capital is a ratio of beta functions (Robbins 1970, Statistical
methods related to the law of the iterated logarithm; Howard et al. 2021, section 3.2, the beta-binomial mixture).

A difference: where each row goes to the treated arm with a known probability, whatever went before, a row's outcome less a
constant, weighted by the inverse of its arm's probability, has the difference as its mean, is bounded, and takes four values.
Bets on it, mixed over how much is bet, need only how many rows took each value (Waudby-Smith, Wu, Ramdas, Karampatziakis and
Mineiro 2024, Anytime-valid off-policy inference for contextual bandits). The rates may change by the hour and the
day, if their difference does not; a test of one side holds if the difference is on that side of the null at every row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds, checked_level, mixture_scale

HALVINGS, LEVEL = 40, 0.05
"""How often an interval's end is halved to find it, and the error rate for which bets are narrowest; they hold for all."""
SURE, QUANTILES, GRID = 0.8, (np.arange(15) + 0.5) / 15, np.geomspace(0.999, 1e-3, 10)
"""Four fifths of the bets are those of a normal mixture (its quantiles); the rest, for differences that are much larger or
smaller than one thought, are shares of the largest bet that cannot lose everything."""


@dataclass(frozen=True)
class Counts:
    """Rows up to each look, and how many of them had an outcome of 1, of shape (...).

    Raises
    ------
    ValueError
        If there are more outcomes than rows, or fewer than none.
    """

    rows: Array
    ones: Array

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        is_off = ~((np.asarray(self.ones) >= 0) & (np.asarray(self.ones) <= np.asarray(self.rows)))
        if is_off.any():
            place = np.argwhere(is_off)[0].tolist()
            ones, rows = np.asarray(self.ones)[tuple(place)], np.asarray(self.rows)[tuple(place)]
            raise ValueError(f"{ones} outcomes of 1 among {rows} rows (look {place}): from 0 to all are allowed.")


def rate(counts: Counts, *, alpha: float, expected: float = 0.5, weight: float = 1.0) -> Bounds:
    """The interval of a rate at each look.

    Parameters
    ----------
    counts : Counts of shape (...)
        All rows up to each look.
    alpha : float
        The error rate: the chance that the rate is ever outside.
    expected, weight : float
        The mean of the beta distribution, and how many rows it is worth. The default is Jeffreys's. A rate that is known about
        narrows the interval where it is right, and widens it where it is wrong, the more so the more rows it is worth.

    Returns
    -------
    Bounds of shape (...)

    Examples
    --------
    >>> found = rate(Counts(np.array([0.0, 100.0, 10000.0]), np.array([0.0, 2.0, 200.0])), alpha=0.05)
    >>> np.round(found.low, 4), np.round(found.high, 4)
    (array([0.    , 0.0005, 0.015 ]), array([1.    , 0.1047, 0.026 ]))
    """
    from scipy.special import betaln, xlog1py, xlogy

    ones, zeros = np.asarray(counts.ones, dtype=float), np.asarray(counts.rows - counts.ones, dtype=float)
    prior = (expected * weight, (1 - expected) * weight)
    mixed = betaln(prior[0] + ones, prior[1] + zeros) - betaln(*prior)
    limit = -np.log(checked_level(alpha))

    def is_out(at: Array) -> np.ndarray[Any, Any]:
        return np.asarray(mixed - xlogy(ones, at) - xlog1py(zeros, -at) >= limit)

    rows = np.maximum(ones + zeros, 1)
    centre = np.where(ones + zeros > 0, ones / rows, expected)
    return Bounds(_end(is_out, np.zeros_like(centre), centre), _end(is_out, np.ones_like(centre), centre))


def difference(
    treated: Counts,
    control: Counts,
    *,
    probability: float,
    expected: float,
    planned: float,
    alpha: float,
    control_weight: float = 1.0,
) -> Bounds:
    """The interval of the treated arm's rate less the control's, or less a multiple of it, at each look.

    Parameters
    ----------
    treated, control : Counts of shape (...)
        All rows of the arm up to each look.
    probability : float
        The chance of a row to be treated, which was the same for all of them and independent of what went before. If units
        have several rows, count units: a unit's rows share its arm.
    expected : float
        About the rate, known before the first row: the champion's so far. A wrong one widens the interval and is no error.
    planned : float
        The rows of both arms at which the interval should be narrowest; it holds at all.
    alpha : float
        The error rate.
    control_weight : float
        By what the control's rate is multiplied, above 0. With 1.5 the interval lies below 0 where the treated arm's rate is
        surely below one and a half times the control's, which is not known either.

    Returns
    -------
    Bounds of shape (...)

    Raises
    ------
    ValueError
        If the probability, the expected rate or the weight is impossible.

    Examples
    --------
    >>> treated = Counts(np.array([50.0, 2000.0]), np.array([1.0, 40.0]))
    >>> control = Counts(np.array([950.0, 38000.0]), np.array([9.0, 380.0]))
    >>> found = difference(treated, control, probability=0.05, expected=0.01, planned=40_000, alpha=0.05)
    >>> np.round(found.low, 4), np.round(found.high, 4)
    (array([-0.0239,  0.0017]), array([0.1518, 0.0219]))
    """
    limit = np.log(2 / checked_level(alpha))

    def is_out(at: Array, *, is_above: bool) -> np.ndarray[Any, Any]:
        found = log_capital(
            treated,
            control,
            at,
            probability=probability,
            expected=expected,
            planned=planned,
            is_above=is_above,
            control_weight=control_weight,
        )
        return np.asarray(found >= limit)

    least, most = (np.full(np.shape(treated.rows), end) for end in (-control_weight, 1.0))
    return Bounds(_end(partial(is_out, is_above=True), least, most), _end(partial(is_out, is_above=False), most, least))


def log_capital(
    treated: Counts,
    control: Counts,
    null: Any,
    *,
    probability: float,
    expected: float,
    planned: float,
    is_above: bool,
    control_weight: float = 1.0,
) -> Array:
    """The logarithm of the capital of bets against a difference: evidence, an e-value, that may be looked at any time.

    Where the probability changes, as from step to step of a canary, the evidence of the steps adds up: the sum of logarithms,
    each of the counts of its own step, is evidence again. So is the mean of the capitals of both sides.

    Parameters
    ----------
    treated, control, probability, expected, planned, control_weight
        As in `difference`.
    null : float or ndarray of shape (...)
        The difference that is doubted: from minus the control's weight to 1.
    is_above : bool
        Whether the bets are that the difference is larger; else that it is smaller.

    Returns
    -------
    ndarray of shape (...)
        Ever at least log(1 / alpha) with a chance of at most alpha, if the difference is the null or on its other side.

    Raises
    ------
    ValueError
        If the probability, the expected rate or the weight is impossible.

    Examples
    --------
    >>> treated, control = Counts(np.array(2000.0), np.array(40.0)), Counts(np.array(38000.0), np.array(380.0))
    >>> found = log_capital(treated, control, 0.0, probability=0.05, expected=0.01, planned=40_000, is_above=True)
    >>> round(float(np.exp(found)))
    434
    """
    if not 0 < probability < 1:
        raise ValueError(f"the probability of the treated arm is {probability}: it must lie between 0 and 1.")
    if not 0 <= expected <= 1:
        raise ValueError(f"the expected rate is {expected}: it must lie from 0 to 1.")
    if not control_weight > 0:
        raise ValueError(f"the control's weight is {control_weight}: it must be above 0.")
    sign = 1.0 if is_above else -1.0
    cells = (
        (treated.ones, (1 - expected) / probability),
        (treated.rows - treated.ones, -expected / probability),
        (control.ones, -control_weight * (1 - expected) / (1 - probability)),
        (control.rows - control.ones, control_weight * expected / (1 - probability)),
    )
    # outcomes are taken less what is expected, of which the multiple leaves a part
    left = (control_weight - 1) * expected
    most = max(1.0, control_weight) + abs(left) + max(-sign * value for _, value in cells)
    bets, weights = _bets(probability, expected, planned, 1 / most, control_weight)
    doubted = np.asarray(null, dtype=float) + left
    parts = np.array([sum(number * np.log1p(bet * sign * (value - doubted)) for number, value in cells) for bet in bets])
    largest = parts.max(axis=0)
    return np.asarray(largest + np.log(np.tensordot(weights, np.exp(parts - largest), axes=1)))


def _bets(probability: float, expected: float, planned: float, most: float, control_weight: float) -> tuple[Array, Array]:
    """How much of the capital is bet, and on how much of it."""
    from scipy.special import ndtri

    variance = max(expected * (1 - expected), 1 / planned) * (1 / probability + control_weight**2 / (1 - probability))
    usual = ndtri((1 + QUANTILES) / 2) * np.sqrt(mixture_scale(planned, LEVEL) / variance)
    weights = np.concatenate([np.full(len(usual), SURE / len(usual)), np.full(len(GRID), (1 - SURE) / len(GRID))])
    return np.concatenate([np.minimum(usual, 0.999 * most), GRID * most]), weights


def _end(is_out: Callable[[Array], np.ndarray[Any, Any]], outer: Array, inner: Array) -> Array:
    """Where the means that are out end, on the way from the outer to the inner, by halving; the outer if none is out."""
    for _ in range(HALVINGS):
        middle = (outer + inner) / 2
        here = is_out(middle)
        outer, inner = np.where(here, middle, outer), np.where(here, inner, middle)
    return outer

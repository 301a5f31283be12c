"""Intervals that hold at every look at once, so that one may look whenever one likes and stop when one has seen enough.

Three of them. `asymptotic` is for every effect that has a standard error, at whatever looks, from moments by look; it holds
once there are enough units for a normal limit. `normal_mixture` is for outcomes whose variance bound is known, and holds from
the first unit on. `bernstein` is for bounded outcomes, from moments by look, and holds from the first unit on. Rates have
sharper ones in `rate_sequences`, and rows in their order in `betting`.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Time-uniform central limit theory and asymptotic confidence sequences,
Annals of Statistics 52; Howard, Ramdas, McAuliffe and Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence
sequences, Annals of Statistics 49; Lindon, Ham, Tingley and Bojinov (2022), Anytime-valid linear models; Waudby-Smith and
Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.effects import Effect
from assets.methods.moments import Moments


@dataclass(frozen=True)
class Bounds:
    """The lower and the upper end at each look, both of shape (...)."""

    low: Array
    high: Array


def checked_level(alpha: float) -> float:
    """An error rate that can be kept.

    Raises
    ------
    ValueError
        If it does not lie between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"the error rate alpha is {alpha}: it must lie between 0 and 1, such as 0.05.")
    return alpha


def mixture_scale(planned: float, alpha: float) -> float:
    """The variance (rho squared) of the mixture whose boundary is narrowest when `planned` units are there.

    Waudby-Smith et al. (2024), appendix; the exact minimum by Lambert's W.

    Parameters
    ----------
    planned : float
        The units at which the interval should be narrowest: those of the designed duration, or half of them.
    alpha : float
        The error rate.

    Examples
    --------
    >>> round(mixture_scale(1000, 0.05), 6)
    0.008212
    """
    from scipy.special import lambertw

    if not planned > 0:
        raise ValueError(f"the planned number of units is {planned}: it must be above 0.")
    return float(-lambertw(-(checked_level(alpha) ** 2) / np.e, -1).real - 1) / planned


def normal_mixture(time: Array, scale: float, alpha: float) -> Array:
    """How many standard errors wide each side of the interval is: Robbins' normal mixture, two-sided.

    Howard et al. (2021), section 3.2, the two-sided normal mixture. With it the interval of outcomes whose deviations are
    sub-Gaussian, with a known bound of their standard deviation, holds at all times from the first unit on.

    Parameters
    ----------
    time : ndarray of shape (...)
        The units.
    scale : float
        The variance of the mixture, from `mixture_scale`.
    alpha : float
        The error rate.

    Examples
    --------
    >>> np.round(normal_mixture(np.array([100.0, 1000.0, 10000.0]), mixture_scale(1000, 0.05), 0.05), 3)
    array([3.823, 3.035, 3.246])
    """
    ratio = np.asarray(time, dtype=float) * scale
    with np.errstate(divide="ignore"):
        return np.where(ratio > 0, np.sqrt((1 + 1 / ratio) * (np.log1p(ratio) - 2 * np.log(checked_level(alpha)))), np.inf)


def normal_after(skewness: float) -> float:
    """How many units an arm needs before the mean of a skewed outcome is as good as normal, three standard errors out.

    Twenty times the squared skewness: from there on `asymptotic` covered in at least 95.7 % of 4,000 simulations, looked at 150
    times, for conversions from 10 % down to 0.05 %, and in more for log-normal money; from half as many on, in 93.7 %. For
    single intervals of two standard errors, Kohavi, Deng, Longbotham and Xu (2014, Seven rules of thumb, rule 7) ask for 355
    times the squared skewness, so that each tail is right within half a point.

    Parameters
    ----------
    skewness : float
        The skewness of a unit's outcome, from its history.

    Examples
    --------
    A conversion of 1 % has a skewness of 9.85:

    >>> round(normal_after(9.85))
    1940
    """
    return 20 * skewness**2


def asymptotic(effect: Effect, *, alpha: float, planned: float, least: float = 0) -> Bounds:
    """The asymptotic confidence sequence of an effect.

    Waudby-Smith et al. (2024), theorem 2.2, with the error of the standard error taken into account as Lindon et al. (2022)
    do: the mixture is that of Student's t. It holds exactly for the mean of normal outcomes, is infinite where few units say
    nothing yet, and is the same for many units.

    Parameters
    ----------
    effect : Effect
        Estimate, standard error and units at each look.
    alpha : float
        The error rate: the chance that the truth is ever outside.
    planned : float
        The units at which the interval should be narrowest; all are valid.
    least : float
        With fewer units in the smallest arm the interval is infinite; see `normal_after`.

    Examples
    --------
    >>> from assets.methods.effects import mean
    >>> values = np.random.default_rng(1).normal(0.5, 1.0, 1000)
    >>> found = asymptotic(mean(Moments.of(values)), alpha=0.05, planned=1000)
    >>> round(float(found.low), 3), round(float(found.high), 3)
    (0.351, 0.541)
    """
    share = 1 / (1 + effect.count * mixture_scale(planned, alpha))
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.exp(np.log(alpha**2 * share) / (effect.freedom + 1))
        wide = np.sqrt(effect.freedom * (1 - power) / np.maximum(power - share, 0))
        half = np.where(np.isfinite(effect.error) & (effect.smallest >= least) & (power > share), wide * effect.error, np.inf)
    return Bounds(np.where(half < np.inf, effect.value - half, -np.inf), np.where(half < np.inf, effect.value + half, np.inf))


def asymptotic_e_value(effect: Effect, null: float, *, alpha: float, planned: float, least: float = 0) -> Array:
    """How many times over a bet against the null would have multiplied: evidence that may be looked at any time.

    `asymptotic` excludes the null where it is at least 1 / alpha. One over the largest so far is a p-value at every look.

    Parameters
    ----------
    effect, alpha, planned, least
        As in `asymptotic`.
    null : float
        The effect that is doubted.

    Returns
    -------
    ndarray of shape (...)
        1 where nothing is known.

    Examples
    --------
    >>> effect = Effect(np.array(0.45), np.array(0.03), np.array(1000.0), np.array(1000.0), np.array(999.0))
    >>> bool(asymptotic_e_value(effect, 0.45, alpha=0.05, planned=1000) < 1)
    True
    >>> bool(asymptotic_e_value(effect, 0.2, alpha=0.05, planned=1000) > 1000)
    True
    """
    share = 1 / (1 + effect.count * mixture_scale(planned, alpha))
    is_known = np.isfinite(effect.error) & (effect.smallest >= least) & (effect.freedom > 0)
    error, freedom = np.where(is_known, effect.error, 1.0), np.where(is_known, effect.freedom, 1.0)
    squares = np.where(is_known, (effect.value - null) / error, 0.0) ** 2 / freedom
    logarithm = 0.5 * np.log(share) + 0.5 * (freedom + 1) * (np.log1p(squares) - np.log1p(share * squares))
    return np.where(is_known, np.exp(np.minimum(logarithm, 700.0)), 1.0)


def bernstein(batches: Moments, *, alpha: float, low: float = 0.0, high: float = 1.0) -> Bounds:
    """The empirical-Bernstein confidence sequence of the mean of bounded outcomes.

    Waudby-Smith and Ramdas (2024), theorem 2: the predictable plug-in. Its guesses of mean and variance change from batch to
    batch and not from row to row, so that moments by batch are enough; how many rows a batch has must not depend on them.

    Parameters
    ----------
    batches : Moments of shape (n_looks, ...)
        What came between two looks, not running totals; the first column is the outcome.
    alpha : float
        The error rate.
    low, high : float
        The bounds of an outcome.

    Returns
    -------
    Bounds of shape (n_looks, ...)

    Raises
    ------
    ValueError
        If a mean, or the variance of a batch, is impossible within the bounds.

    Examples
    --------
    >>> rows = np.random.default_rng(1).uniform(0, 1, (50, 100))
    >>> batches = Moments(np.full(50, 100.0), rows.mean(axis=1)[:, None], rows.var(axis=1)[:, None, None] * 100)
    >>> found = bernstein(batches, alpha=0.05)
    >>> round(float(found.low[-1]), 3), round(float(found.high[-1]), 3)
    (0.484, 0.512)
    """
    count, means, scatter = batches.count, (batches.mean[..., 0] - low) / (high - low), batches.scatter[..., 0, 0]
    scatter = scatter / (high - low) ** 2
    is_off = (count > 0) & ((means < -1e-9) | (means > 1 + 1e-9) | (scatter > count * means * (1 - means) + 1e-6 * (1 + count)))
    if is_off.any():
        place = np.argwhere(is_off)[0].tolist()
        raise ValueError(f"the moments of batch {place} are impossible for outcomes from {low} to {high}: give their bounds.")
    rows = np.cumsum(count, axis=0)
    before = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    sums = np.cumsum(count * means, axis=0)
    guess = (0.5 + np.concatenate([np.zeros_like(sums[:1]), sums[:-1]])) / (before + 1)
    squares = scatter + count * (means - guess) ** 2
    spread = np.cumsum(squares, axis=0)
    variance = (0.25 + np.concatenate([np.zeros_like(spread[:1]), spread[:-1]])) / (before + 1)
    time = np.maximum(rows, 1)
    bet = np.minimum(np.sqrt(2 * np.log(2 / checked_level(alpha)) / (variance * time * np.log1p(time))), 0.5)
    weight = np.cumsum(bet * count, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.cumsum(bet * count * means, axis=0) / weight
        half = (np.log(2 / alpha) + np.cumsum(squares * (-np.log1p(-bet) - bet), axis=0)) / weight
    is_known = weight > 0
    below = np.where(is_known, np.clip(centre - half, 0, 1), 0.0)
    above = np.where(is_known, np.clip(centre + half, 0, 1), 1.0)
    return Bounds(low + (high - low) * below, low + (high - low) * above)

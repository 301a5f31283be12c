"""How large an experiment must be for a test that may be looked at every day: power, and how soon it ends.

The test rejects as soon as the asymptotic confidence sequence leaves zero out: Robbins' normal mixture, made tightest at the
planned end (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence
sequences", theorem 2.2 and appendix B.2). Its power has no closed form: paths of a Brownian motion with drift are drawn, which
is what the standardised difference of two arms is in the limit.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import mixture_scale, normal_mixture

PATHS = 10_000
"""Paths that are drawn: the standard error of a power of 80 % is 0.4 points."""


def boundary(share: Array, false_positive: float) -> Array:
    """By how many standard errors the difference must differ from zero, after a share of the planned end.

    Parameters
    ----------
    share : ndarray of shape (n_looks,)
        The share of the planned units that have come, above 0; it may go beyond 1.
    false_positive : float
        The probability with which the boundary is ever crossed where there is no difference, two-sided.

    Examples
    --------
    At the planned end it asks for 3.04 standard errors, where a test at a fixed horizon asks for 1.96.

    >>> boundary(np.array([0.1, 1.0]), 0.05).round(2).tolist()
    [3.82, 3.04]
    """
    return normal_mixture(share, mixture_scale(1.0, false_positive), false_positive)


def always_valid_noncentrality(false_positive: float, power: float, looks: int, seed: int = 0) -> float:
    """The effect, in standard errors at the planned end, that is found by then with a given power.

    Parameters
    ----------
    false_positive, power : float
        The level of the test over all looks, and the probability with which it must find the effect.
    looks : int
        The looks until the planned end, equally far apart.
    seed : int
        The seed of the paths.

    Examples
    --------
    >>> found = always_valid_noncentrality(0.05, 0.8, looks=28)
    >>> bool(3.5 < found < 3.9)
    True
    """
    return float(np.quantile(_least_drifts(looks, false_positive, seed).min(axis=1), power))


def always_valid_power(effect: float, false_positive: float, looks: int, seed: int = 0) -> float:
    """The probability with which an effect is found by the planned end, in its direction.

    Parameters
    ----------
    effect : float
        The effect in standard errors at the planned end.
    false_positive, looks, seed
        See `always_valid_noncentrality`, of which this is the inverse.
    """
    return float((_least_drifts(looks, false_positive, seed).min(axis=1) <= effect).mean())


def mean_duration(effect: float, false_positive: float, looks: int, seed: int = 0) -> float:
    """The mean share of the planned duration after which the test ends: when it finds the effect, or at the planned end.

    Examples
    --------
    A strong effect is found early:

    >>> mean_duration(8.0, 0.05, looks=28) < 0.35
    True
    """
    crossed = _least_drifts(looks, false_positive, seed) <= effect
    ends = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, looks)
    return float(ends.mean() / looks)


@lru_cache(maxsize=2)
def _least_drifts(looks: int, false_positive: float, seed: int) -> Array:
    """The drift from which each path is beyond the boundary at each look, shape (PATHS, looks)."""
    share = np.arange(1, looks + 1) / looks
    steps = np.random.default_rng(seed).standard_normal((PATHS, looks)) / np.sqrt(looks)
    paths = np.cumsum(steps, axis=1)
    return np.asarray((boundary(share, false_positive) * np.sqrt(share) - paths) / share)

"""The test of one look that was planned before the first unit: narrower than a confidence sequence, and wrong if repeated.

Welch (1947). The same as `tea_tasting.Mean` and `tea_tasting.RatioOfMeans` give, with a covariate or without; a test holds
them together. Looked at after each of 50 batches it finds a difference where there is none in a third of all experiments.
"""

from __future__ import annotations

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds, checked_level
from assets.methods.effects import Effect


def interval(effect: Effect, *, alpha: float) -> Bounds:
    """The two-sided interval of an effect, for a single look.

    Parameters
    ----------
    effect : Effect of shape (...)
    alpha : float
        The error rate.

    Examples
    --------
    >>> effect = Effect(np.array(2.0), np.array(0.5), np.array(100.0), np.array(50.0), np.array(98.0))
    >>> found = interval(effect, alpha=0.05)
    >>> round(float(found.low), 4), round(float(found.high), 4)
    (1.0078, 2.9922)
    """
    from scipy.special import stdtrit

    is_known = np.isfinite(effect.error)
    wide = stdtrit(np.where(is_known, effect.freedom, 1.0), 1 - checked_level(alpha) / 2)
    half = np.where(is_known, wide * np.where(is_known, effect.error, 0.0), np.inf)
    return Bounds(np.where(is_known, effect.value - half, -np.inf), np.where(is_known, effect.value + half, np.inf))


def p_value(effect: Effect, null: float = 0.0) -> Array:
    """The two-sided p-value of an effect, for a single look; 1 where the standard error is not known.

    Examples
    --------
    >>> round(float(p_value(Effect(np.array(1.0), np.array(0.5), np.array(100.0), np.array(50.0), np.array(98.0)))), 4)
    0.0483
    """
    from scipy.special import stdtr

    is_known = np.isfinite(effect.error)
    statistic = np.abs(effect.value - null) / np.where(is_known, effect.error, 1.0)
    return np.where(is_known, 2 * stdtr(np.where(is_known, effect.freedom, 1.0), -statistic), 1.0)

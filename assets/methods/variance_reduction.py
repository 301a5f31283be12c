"""CUPED: what was known of units before the experiment explains part of their outcomes, and is taken off in both arms.

Deng, Xu, Kohavi and Walker (2013), Improving the sensitivity of online controlled experiments by utilizing pre-experiment
data. The coefficients are those of all units of both arms, so that the arms are compared on the same outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.methods import effects
from assets.methods.bootstrap import Array
from assets.methods.effects import Effect
from assets.methods.moments import Moments


@dataclass(frozen=True)
class Adjusted:
    """An effect with covariates taken off.

    Parameters
    ----------
    effect : Effect of shape (...)
        The difference of the arms.
    coefficients : ndarray of shape (..., n_covariates)
        How much of each covariate was taken off.
    share : ndarray of shape (...)
        The share of the outcome's variance that is left: as large a share of the units gives the same error.
    """

    effect: Effect
    coefficients: Array
    share: Array


def cuped(treated: Moments, control: Moments) -> Adjusted:
    """The difference of two arms, with covariates taken off.

    Parameters
    ----------
    treated, control : Moments of shape (...), of 1 + n_covariates columns
        The outcome, then what was known of each unit before it was assigned: anything later may depend on the arm. A unit
        of which nothing is known has the mean of the others, and best also a column that says so.

    Returns
    -------
    Adjusted

    Raises
    ------
    ValueError
        If there is no covariate.

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> before = random.normal(10, 3, (2, 1000))
    >>> rows = np.stack([before + random.normal(0, 1, (2, 1000)) + [[0.5], [0.0]], before], axis=-1)
    >>> found = cuped(Moments.of(rows[0]), Moments.of(rows[1]))
    >>> round(float(found.effect.value), 2), round(float(found.effect.error), 3), round(float(found.share), 2)
    (0.55, 0.045, 0.11)
    """
    if treated.mean.shape[-1] < 2:
        raise ValueError("there is no covariate: give moments of the outcome and of at least one column known before.")
    both = treated + control
    weights = coefficients(both)
    arms = []
    for sign, arm in ((1.0, treated), (-1.0, control)):
        value = arm.mean[..., 0] - ((arm.mean - both.mean)[..., 1:] * weights).sum(axis=-1)
        arms.append((sign, value, residual_variance(arm, weights), arm.count))
    before = both.variance
    left = residual_variance(both, weights)
    share = np.divide(left, before, out=np.ones_like(left), where=(before > 0) & (before < np.inf))
    return Adjusted(effects.of_arms(tuple(arms)), weights, share)


def coefficients(moments: Moments) -> Array:
    """The least-squares coefficients of the covariates, shape (..., n_covariates); the shortest where they are not unique."""
    scatter = moments.scatter
    found = np.linalg.pinv(scatter[..., 1:, 1:], hermitian=True) @ scatter[..., 1:, :1]
    return np.asarray(found[..., 0])


def residual_variance(moments: Moments, weights: Array) -> Array:
    """The variance of the outcome with weighted covariates taken off, shape (...)."""
    signed = np.concatenate([np.ones_like(weights[..., :1]), -weights], axis=-1)
    squares = np.einsum("...i,...ij,...j->...", signed, moments.scatter, signed)
    free = moments.count - 1
    return np.asarray(np.divide(np.maximum(squares, 0.0), free, out=np.full_like(squares, np.inf), where=free > 0))

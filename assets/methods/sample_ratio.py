"""Sample-ratio mismatch: whether units reached the arms in the declared shares, tested at every look.

Lindon and Malek (2020; NeurIPS 2022), Anytime-valid inference for multinomial count data: the evidence is the likelihood of
the counts under a mixture of shares, over that under the declared ones. A fifth of the mixture is their Dirichlet distribution
around the declared shares, which finds large mismatches soon; the rest are the shares in which one arm gets somewhat more or
less. That finds 52/48 among 20,000 units in 99.5 % of experiments, and any Dirichlet distribution alone in at most 98.4 %.

A mismatch means that units were lost or doubled in one arm, so that arms are no longer alike: no verdict may be read from such
an experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array

CONCENTRATION, DIRICHLET, STEP = 100.0, 0.2, 0.025
"""How many units the Dirichlet distribution is worth, its part of the mixture, and by which part of its share an arm gets more
or less in the rest of it."""


@dataclass(frozen=True)
class SampleRatio:
    """What was found at each look.

    Parameters
    ----------
    e_value : ndarray of shape (n_looks, ...)
        The evidence against the declared shares at each look.
    p_value : ndarray of shape (n_looks, ...)
        One over the largest so far, at most 1: below alpha, ever, with a chance of at most alpha.
    shares : ndarray of shape (n_looks, ..., n_arms)
        What share of the units each arm had; the declared one before the first unit.
    """

    e_value: Array
    p_value: Array
    shares: Array


def mismatch(counts: Any, probabilities: Any) -> SampleRatio:
    """Test at each look whether units reached the arms in their shares.

    Parameters
    ----------
    counts : array-like of shape (n_looks, ..., n_arms)
        All units up to each look.
    probabilities : array-like of shape (n_arms,)
        The declared shares; they add up to 1.

    Raises
    ------
    ValueError
        If shares are not above 0 or do not add up to 1, arms differ in number, or a count is negative or falls.

    Examples
    --------
    >>> found = mismatch([[0, 0], [520, 480], [10400, 9600]], [0.5, 0.5])
    >>> found.p_value.round(3)
    array([1.   , 0.973, 0.   ])
    """
    seen, declared = np.asarray(counts, dtype=float), np.asarray(probabilities, dtype=float)
    if declared.ndim != 1 or len(declared) < 2 or (declared <= 0).any() or abs(declared.sum() - 1) > 1e-9:
        raise ValueError(f"the shares of arms are {declared.tolist()}: give two or more, each above 0, that add up to 1.")
    if seen.ndim < 2 or seen.shape[-1] != len(declared):
        raise ValueError(f"counts have the shape {seen.shape}: looks come first, and the {len(declared)} arms last.")
    if not (seen >= 0).all() or (np.diff(seen, axis=0) < 0).any():
        raise ValueError("a count of units is negative or falls from one look to the next: give all units up to each look.")
    parts = [np.log(DIRICHLET) + dirichlet(seen, declared, CONCENTRATION)]
    others = [shifted(declared, arm, 1 + sign * STEP) for arm in range(len(declared)) for sign in (1, -1)]
    parts += [np.log((1 - DIRICHLET) / len(others)) + (seen * np.log(other / declared)).sum(axis=-1) for other in others]
    logarithm = np.logaddexp.reduce(parts, axis=0)
    total = seen.sum(axis=-1, keepdims=True)
    shares = np.where(total > 0, seen / np.maximum(total, 1), declared)
    worst = np.maximum.accumulate(np.minimum(logarithm, 700.0), axis=0)
    return SampleRatio(np.exp(np.minimum(logarithm, 700.0)), np.minimum(1.0, np.exp(-worst)), shares)


def dirichlet(counts: Array, probabilities: Array, concentration: float) -> Array:
    """The logarithm of the evidence of Lindon and Malek: shares mixed by a Dirichlet distribution around the declared ones.

    Parameters
    ----------
    counts : ndarray of shape (..., n_arms)
    probabilities : ndarray of shape (n_arms,)
    concentration : float
        The sum of the distribution's parameters.

    Returns
    -------
    ndarray of shape (...)

    Examples
    --------
    >>> float(dirichlet(np.array([520.0, 480.0]), np.array([0.5, 0.5]), 100.0).round(4))
    -0.4731
    """
    from scipy.special import gammaln, xlogy

    prior, total = concentration * probabilities, counts.sum(axis=-1)
    mixed = (gammaln(prior + counts) - gammaln(prior)).sum(axis=-1) - (gammaln(concentration + total) - gammaln(concentration))
    return np.asarray(mixed - xlogy(counts, probabilities).sum(axis=-1))


def shifted(probabilities: Array, arm: int, factor: float) -> Array:
    """The shares in which one arm gets a multiple of its share, and the others get the rest in their proportions.

    Examples
    --------
    >>> shifted(np.array([0.5, 0.25, 0.25]), 0, 1.1)
    array([0.55 , 0.225, 0.225])
    """
    share = min(probabilities[arm] * factor, (1 + probabilities[arm]) / 2)
    found = probabilities * (1 - share) / (1 - probabilities[arm])
    found[arm] = share
    return np.asarray(found)

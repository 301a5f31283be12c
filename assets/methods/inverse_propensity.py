"""The difference of two arms of a bounded outcome as the mean of one bounded outcome, from moments by batch.

Where each unit goes to the treated arm with a known probability, its outcome less a constant, weighted by the inverse of the
probability of its arm and negative in the control, has the difference as its mean (Horvitz and Thompson 1952). It is bounded,
so that `confidence_sequences.bernstein` holds for it from the first unit on, as `asymptotic` does not. The price is width: at
a share of 5 % an outcome counts for twenty.
"""

from __future__ import annotations

from dataclasses import dataclass

from assets.methods.moments import Moments


@dataclass(frozen=True)
class Weighted:
    """Moments of the weighted outcomes of all units, and the bounds of such an outcome."""

    moments: Moments
    low: float
    high: float


def weighted(
    treated: Moments, control: Moments, *, probability: float, expected: float, low: float = 0.0, high: float = 1.0
) -> Weighted:
    """The weighted outcomes of both arms.

    Parameters
    ----------
    treated, control : Moments of shape (...)
        The outcomes of each arm; of each batch for `bernstein`.
    probability : float
        The chance of a unit to be treated, the same for all and independent of what went before.
    expected : float
        About the mean outcome, known before the first unit; a wrong one widens the interval and is no error.
    low, high : float
        The bounds of an outcome.

    Raises
    ------
    ValueError
        If the probability is none, or the expected outcome lies outside the bounds.

    Examples
    --------
    >>> import numpy as np
    >>> found = weighted(Moments.of(np.array([1.0, 0.0])), Moments.of(np.array([0.0, 0.0])), probability=0.5, expected=0.0)
    >>> found.moments.mean, found.low, found.high
    (array([0.5]), -2.0, 2.0)
    """
    if not 0 < probability < 1:
        raise ValueError(f"the probability of the treated arm is {probability}: it must lie between 0 and 1.")
    if not low <= expected <= high:
        raise ValueError(f"the expected outcome is {expected}: it must lie within the bounds, from {low} to {high}.")
    arms = [
        Moments(arm.count, (arm.mean[..., :1] - expected) * weight, arm.scatter[..., :1, :1] * weight**2)
        for arm, weight in ((treated, 1 / probability), (control, -1 / (1 - probability)))
    ]
    ends = [(end - expected) * weight for end in (low, high) for weight in (1 / probability, -1 / (1 - probability))]
    return Weighted(arms[0] + arms[1], min(ends), max(ends))

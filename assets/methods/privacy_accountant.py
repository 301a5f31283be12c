"""Privacy accountant: the epsilon that a sequence of noisy sums comes to, by Renyi differential privacy.

The sampled Gaussian mechanism: Mironov, Talwar and Zhang (2019), "Renyi differential privacy of the sampled Gaussian
mechanism", for whole orders. From Renyi to (epsilon, delta): Canonne, Kamath and Steinke (2020), proposition 12. A row
that is taken away is replaced by nothing, and the number of rows is public.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from assets.methods.ranking import Array

ORDERS = np.array([*range(2, 64), *range(64, 256, 8), 256, 320, 384, 512, 768, 1024], dtype=np.float64)
MOST_NOISE = 1e4
"""The largest noise multiplier that is tried."""


@dataclass(frozen=True)
class NoisySums:
    """Some sums of rows with Gaussian noise.

    Parameters
    ----------
    noise : float
        The noise's standard deviation, divided by the longest that a row's summand may be.
    sampling : float
        The chance of each row to be in a sum.
    times : int
        How many such sums are told.
    """

    noise: float
    sampling: float
    times: int


def epsilon_of(sums: Sequence[NoisySums], delta: float) -> float:
    """The epsilon of all these sums together.

    Examples
    --------
    >>> round(epsilon_of([NoisySums(noise=4.0, sampling=0.01, times=1000)], 1e-5), 3)
    0.301
    """
    total = np.zeros(len(ORDERS))
    for item in sums:
        total = total + item.times * renyi_divergence(item.noise, item.sampling)
    found = total + np.log1p(-1 / ORDERS) - (np.log(delta) + np.log(ORDERS)) / (ORDERS - 1)
    return float(max(found.min(), 0.0))


def renyi_divergence(noise: float, sampling: float) -> Array:
    """The divergence of one sampled Gaussian mechanism, shape (n_orders,).

    For whole orders it is the logarithm of a binomial sum (Mironov and others, section 3.3).
    """
    from scipy.special import gammaln, logsumexp

    if sampling == 1.0:
        return np.asarray(ORDERS / (2 * noise**2))
    found = []
    for order in ORDERS:
        k = np.arange(order + 1)
        binomial = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
        terms = binomial + k * np.log(sampling) + (order - k) * np.log1p(-sampling) + (k * k - k) / (2 * noise**2)
        found.append(float(logsumexp(terms)) / (order - 1))
    return np.asarray(found)


def noise_for(sums: Callable[[float], Sequence[NoisySums]], epsilon: float, delta: float) -> float:
    """The least noise multiplier, to a thousandth, with which the sums keep to an epsilon.

    Parameters
    ----------
    sums : callable
        What is told with a noise multiplier.
    epsilon, delta : float
        What is to be kept.

    Raises
    ------
    ValueError
        If no noise up to `MOST_NOISE` is enough.

    Examples
    --------
    >>> noise = noise_for(lambda noise: [NoisySums(noise, 1.0, 100)], 1.0, 1e-5)
    >>> epsilon_of([NoisySums(noise, 1.0, 100)], 1e-5) <= 1.0 < epsilon_of([NoisySums(noise * 0.998, 1.0, 100)], 1e-5)
    True
    """
    low, high = 1e-2, MOST_NOISE
    if epsilon_of(sums(high), delta) > epsilon:
        raise ValueError(f"no noise up to {MOST_NOISE:g} gives epsilon {epsilon:g} at delta {delta:g}")
    while high / low > 1.001:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if epsilon_of(sums(middle), delta) <= epsilon else (middle, high)
    return high

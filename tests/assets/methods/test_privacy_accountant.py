"""The accountant's epsilon is held against integrals of the mechanism, and against the exact curve of Gaussian noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from assets.methods.privacy_accountant import MOST_NOISE, ORDERS, NoisySums, epsilon_of, noise_for, renyi_divergence


@pytest.mark.parametrize(("noise", "sampling"), [(1.0, 0.01), (0.8, 0.2), (4.0, 0.5), (2.0, 1.0)])
def test_the_divergence_is_that_of_the_integral(noise: float, sampling: float) -> None:
    """For some orders, the binomial sum is the integral of the likelihood ratio's power."""
    told = dict(zip(ORDERS.tolist(), renyi_divergence(noise, sampling).tolist(), strict=True))
    for order in (2.0, 3.0, 8.0):

        def powered(x: float, order: float = order) -> float:
            ratio = 1 - sampling + sampling * np.exp((2 * x - 1) / (2 * noise**2))
            return float(norm.pdf(x, 0, noise) * ratio**order)

        whole = quad(powered, -30 * noise, 30 * noise + order, limit=500, epsabs=0, epsrel=1e-10)[0]
        assert told[order] == pytest.approx(np.log(whole) / (order - 1), rel=1e-6)


@pytest.mark.parametrize(("noise", "times"), [(1.0, 1), (5.0, 1), (20.0, 100), (60.0, 100)])
def test_the_epsilon_is_no_less_than_the_exact_one_and_close_to_it(noise: float, times: int) -> None:
    """The exact delta of Gaussian noise: Balle and Wang (2018), theorem 8."""
    delta, spread = 1e-5, noise / times**0.5
    epsilon = epsilon_of([NoisySums(noise, 1.0, times)], delta)
    exact = norm.cdf(0.5 / spread - epsilon * spread) - np.exp(epsilon) * norm.cdf(-0.5 / spread - epsilon * spread)
    assert exact <= delta
    less = 0.8 * epsilon
    assert norm.cdf(0.5 / spread - less * spread) - np.exp(less) * norm.cdf(-0.5 / spread - less * spread) > delta


def test_more_is_told_by_less_noise_more_rows_and_more_steps() -> None:
    """Epsilon grows with the sampling and the steps, and falls with the noise."""
    base = epsilon_of([NoisySums(2.0, 0.1, 100)], 1e-5)
    assert epsilon_of([NoisySums(2.5, 0.1, 100)], 1e-5) < base < epsilon_of([NoisySums(2.0, 0.2, 100)], 1e-5)
    assert base < epsilon_of([NoisySums(2.0, 0.1, 200)], 1e-5)
    assert base < epsilon_of([NoisySums(2.0, 0.1, 100), NoisySums(8.0, 1.0, 1)], 1e-5)


def test_an_impossible_epsilon_is_refused() -> None:
    """There are orders up to a limit, so an epsilon can be too small for any noise."""
    with pytest.raises(ValueError, match=f"no noise up to {MOST_NOISE:g} gives epsilon 0.0001 at delta 1e-09"):
        noise_for(lambda noise: [NoisySums(noise, 1.0, 100)], 1e-4, 1e-9)

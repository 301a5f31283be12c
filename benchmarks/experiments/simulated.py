"""Simulated experiments: units by look and run, drawn at once, and shares of runs with their intervals."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.moments import Moments
from assets.methods.rate_sequences import Counts, log_capital

RUNS, LOOKS = 5_000, 50
Row = tuple[str, str, str]
"""A figure, what was measured, and what is asked."""


def normal(random: np.random.Generator, units: int, mean: float = 0.0, *, looks: int = LOOKS, runs: int = RUNS) -> Moments:
    """Batches of units with a normal outcome of variance 1, shape (looks, runs)."""
    means = random.normal(mean, 1 / np.sqrt(units), (looks, runs, 1))
    return Moments(np.full((looks, runs), float(units)), means, random.chisquare(units - 1, (looks, runs, 1, 1)))


def conversions(random: np.random.Generator, units: int, rate: float, *, looks: int = LOOKS, runs: int = RUNS) -> Moments:
    """Batches of units of which few convert."""
    return Moments.of_rate(random.binomial(units, rate, (looks, runs)), np.full((looks, runs), float(units)))


def money(
    random: np.random.Generator,
    units: int,
    rate: float,
    spread: float,
    *,
    lift: float = 1.0,
    looks: int = LOOKS,
    runs: int = RUNS,
) -> Moments:
    """Batches of units of which few pay, and those log-normal amounts whose logarithm has a standard deviation of `spread`."""
    found = np.zeros((2, looks, runs))
    for look in range(looks):  # a look at a time, for memory
        payers = random.binomial(units, rate, runs)
        run = np.repeat(np.arange(runs), payers)
        paid = lift * random.lognormal(0.0, spread, payers.sum())
        found[:, look] = np.bincount(run, paid, runs), np.bincount(run, paid**2, runs)
    return Moments.from_sums(np.full((looks, runs), float(units)), found[0][..., None], found[1][..., None, None])


def money_moments(rate: float, spread: float) -> tuple[float, float, float]:
    """The mean, variance and skewness of what a unit of `money` pays."""
    first, second, third = (rate * np.exp(power**2 * spread**2 / 2) for power in (1, 2, 3))
    variance = second - first**2
    return float(first), float(variance), float((third - 3 * first * second + 2 * first**3) / variance**1.5)


def canary(
    random: np.random.Generator, requests: int, share: float, rates: tuple[float, float], *, looks: int, runs: int
) -> tuple[Counts, Counts]:
    """Requests and errors of the canary and of the rest up to each look, of which each has a batch of requests."""
    treated = random.binomial(requests, share, (looks, runs))
    parts = (treated, requests - treated, random.binomial(treated, rates[0]), random.binomial(requests - treated, rates[1]))
    sums = [part.cumsum(axis=0).astype(float) for part in parts]
    return Counts(sums[0], sums[2]), Counts(sums[1], sums[3])


def is_different(treated: Counts, control: Counts, *, probability: float, expected: float, planned: float) -> Any:
    """Whether bets on counts find a difference at any look, by run; looks are the first axis."""
    capital = partial(log_capital, treated, control, 0.0, probability=probability, expected=expected, planned=planned)
    return (np.maximum(capital(is_above=True), capital(is_above=False)) >= np.log(2 / 0.05)).any(axis=0)


def share(found: Any) -> str:
    """The share of runs, in percent, with its exact interval (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    found = np.asarray(found)
    ends = binomtest(int(found.sum()), len(found)).proportion_ci(0.95)
    return f"{100 * found.mean():.1f} % ({100 * ends.low:.1f} to {100 * ends.high:.1f} %)"


def first(is_found: np.ndarray[Any, Any]) -> Array:
    """The first look, from 1, at which each run finds something; infinite if none does. Looks are the first axis."""
    return np.where(is_found.any(axis=0), is_found.argmax(axis=0) + 1.0, np.inf)

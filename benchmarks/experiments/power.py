"""Experiments with the difference that they were designed for.

5,000 experiments a row, looked at 50 times until the designed end. An experiment that is looked at must be able to last longer
than one with a single look, and mostly ends sooner. Durations are shares of that of the test with a single look that has the
same power, 80 %. Conversions: 5 % of units, and 5.5 %; money: 10 % of units pay log-normal amounts, 10 % more, and a covariate
that explains half of the variance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods import effects, fixed_horizon
from assets.methods.confidence_sequences import asymptotic, mixture_scale, normal_mixture
from assets.methods.effects import Effect
from assets.methods.moments import Moments
from assets.methods.rate_sequences import Counts
from assets.methods.variance_reduction import cuped
from benchmarks.experiments.simulated import (
    LOOKS,
    RUNS,
    Row,
    conversions,
    first,
    is_different,
    money,
    money_moments,
    normal,
    share,
)

ALPHA, POWER = 0.05, 0.8


def rows() -> list[Row]:
    """Power, and mean duration, for outcomes, for effects larger and smaller than designed, and with a covariate."""
    random, longest = np.random.default_rng(2), longest_duration()
    found: list[Row] = [("the longest duration, by design", f"{longest:.2f}", "")]
    units = _units(0.05 * 0.95 / 2 + 0.055 * 0.945 / 2, 0.005, longest)
    batches = [conversions(random, units, rate) for rate in (0.055, 0.05)]
    effect = effects.difference(*(arm.running() for arm in batches))
    found += _told("conversions", effect, longest, units)
    found.append(("conversions: found by the end, by bets on counts", share(_by_counts(*batches)), ""))
    mean, variance, _ = money_moments(0.1, 0.8)
    units = _units(variance * 1.105, 0.1 * mean, longest)
    effect = effects.difference(*(money(random, units, 0.1, 0.8, lift=lift).running() for lift in (1.1, 1.0)))
    found += _told("money", effect, longest, units)
    units = _units(1.0, 0.1, longest)
    for name, factor in (("twice the effect", 2.0), ("half the effect", 0.5)):
        effect = effects.difference(normal(random, units, 0.1 * factor).running(), normal(random, units).running())
        found += _told(name, effect, longest, units, asked="")
    units = _units(0.5, 0.1, longest)
    arms_with = [_with_covariate(random, units, shift).running() for shift in (0.1, 0.0)]
    found += _told("with a covariate (CUPED), half of the units", cuped(*arms_with).effect, longest, units)
    return found


def longest_duration() -> float:
    """How long an experiment that is looked at 50 times may last, for the power of a test with a single look.

    Of paths of a Brownian motion, which the sums of outcomes are in the limit; others than those that are measured.
    """
    from scipy.stats import norm

    drift = norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER)
    steps = np.random.default_rng(20).normal(0, 1, (20_000, LOOKS))
    low, high = 1.0, 3.0
    for _ in range(20):
        longest = (low + high) / 2
        times = np.arange(1, LOOKS + 1) / LOOKS * longest
        paths = steps.cumsum(axis=1) * np.sqrt(longest / LOOKS) + drift * times
        bounds = normal_mixture(times, mixture_scale(longest / 2, ALPHA), ALPHA)
        is_enough = (np.abs(paths) > bounds * np.sqrt(times)).any(axis=1).mean() >= POWER
        low, high = (low, longest) if is_enough else (longest, high)
    return high


def _units(variance: float, effect: float, longest: float) -> int:
    """The units of an arm in each batch."""
    from scipy.stats import norm

    fixed = 2 * variance * ((norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER)) / effect) ** 2
    return int(np.ceil(fixed * longest / LOOKS))


def _told(name: str, effect: Effect, longest: float, units: int, asked: str = "at least 80 %") -> list[Row]:
    bounds = asymptotic(effect, alpha=ALPHA, planned=float(effect.count[-1, 0]) / 2)
    looks = first((bounds.low > 0) | (bounds.high < 0))
    fixed = fixed_horizon.p_value(effect)[round(LOOKS / longest) - 1] < ALPHA
    ends = np.minimum(looks, LOOKS) / LOOKS * longest
    return [
        (f"{name}: found by the end ({LOOKS * units:,} units an arm)", share(np.isfinite(looks)), asked),
        (f"{name}: found by the test with a single look", share(fixed), ""),
        (f"{name}: mean duration / that test's", f"{ends.mean():.2f} (median {np.median(ends):.2f})", ""),
    ]


def _by_counts(treated: Moments, control: Moments) -> Any:
    counts = [Counts(arm.count, np.round(arm.count * arm.mean[..., 0])) for arm in (treated.running(), control.running())]
    return is_different(*counts, probability=0.5, expected=0.05, planned=float(counts[0].rows[-1, 0]))


def _with_covariate(random: np.random.Generator, units: int, shift: float) -> Moments:
    """Batches with an outcome of variance 1 and a covariate that explains half of it."""
    before = random.normal(0, np.sqrt(0.5), (LOOKS, RUNS, units))
    outcome = before + random.normal(shift, np.sqrt(0.5), before.shape)
    sums = np.stack([outcome.sum(axis=-1), before.sum(axis=-1)], axis=-1)
    cross = (outcome * before).sum(axis=-1)
    squares = np.stack([(outcome**2).sum(axis=-1), cross, cross, (before**2).sum(axis=-1)], axis=-1)
    return Moments.from_sums(np.full((LOOKS, RUNS), float(units)), sums, squares.reshape(LOOKS, RUNS, 2, 2))

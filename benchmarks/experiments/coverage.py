"""Intervals of a mean, looked at 100 times: whether the truth is inside at every look.

2,000 runs of 20,000 units a row; of the hedged interval, which needs rows, 300 runs of 5,000. An asymptotic interval begins
when an outcome as skewed as this one is as good as normal (`normal_after`), and the run is ten times as long. The width is that
at the last look, over that of a t-interval for this look alone.
"""

from __future__ import annotations

import numpy as np

from assets.methods import betting, effects, fixed_horizon, rate_sequences
from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds, asymptotic, bernstein, mixture_scale, normal_after, normal_mixture
from assets.methods.effects import Effect
from assets.methods.rate_sequences import Counts
from benchmarks.experiments.simulated import Row, conversions, money, money_moments, normal, share

RUNS, LOOKS, UNITS, ASKED = 2_000, 100, 200, "at least 95 %"


def rows() -> list[Row]:
    """The share of runs in which the truth is inside at all looks."""
    random, found = np.random.default_rng(3), list[Row]()
    for rate in (0.005, 0.05):
        batches = conversions(random, UNITS, rate, looks=LOOKS, runs=RUNS)
        running = batches.running()
        effect = effects.mean(running)
        counts = Counts(running.count, np.round(running.count * running.mean[..., 0]))
        found.append(
            _told(f"{100 * rate:g} % convert: beta mixture (`rate`)", rate_sequences.rate(counts, alpha=0.05), rate, effect)
        )
        found.append(
            _told(f"{100 * rate:g} % convert: empirical Bernstein, by batch", bernstein(batches, alpha=0.05), rate, effect)
        )
    for rate in (0.005, 0.05):
        least = normal_after((1 - 2 * rate) / np.sqrt(rate * (1 - rate)))
        effect = effects.mean(conversions(random, int(least / 10), rate, looks=LOOKS, runs=RUNS).running())
        bounds = asymptotic(effect, alpha=0.05, planned=least * 5, least=least)
        found.append(_told(f"{100 * rate:g} % convert: asymptotic, from {least:,.0f} units on", bounds, rate, effect))
    for rate, spread in ((1.0, 1.0), (0.05, 1.0)):
        mean, _, skewness = money_moments(rate, spread)
        least = normal_after(skewness)
        effect = effects.mean(money(random, int(least / 10), rate, spread, looks=LOOKS, runs=1_000).running())
        bounds = asymptotic(effect, alpha=0.05, planned=least * 5, least=least)
        found.append(_told(f"{100 * rate:g} % pay, log-normal: asymptotic, from {least:,.0f} units on", bounds, mean, effect))
    effect = effects.mean(normal(random, UNITS, looks=LOOKS, runs=RUNS).running())
    half = normal_mixture(effect.count, mixture_scale(10_000, 0.05), 0.05) / np.sqrt(effect.count)
    bounds = Bounds(effect.value - half, effect.value + half)
    found.append(_told("normal, of known variance: Howard's normal mixture", bounds, 0.0, effect))
    found.append(_told("the same, variance estimated: asymptotic", asymptotic(effect, alpha=0.05, planned=10_000), 0.0, effect))
    return [*found, _hedged(random)]


def _told(name: str, bounds: Bounds, truth: float, effect: Effect) -> Row:
    is_in = ((bounds.low <= truth) & (truth <= bounds.high)).all(axis=0)
    once = fixed_horizon.interval(effect, alpha=0.05)
    return name, f"{share(is_in)}; width {_ratio(bounds, once):.2f}", ASKED


def _ratio(bounds: Bounds, once: Bounds) -> float:
    wide: Array = (bounds.high[-1] - bounds.low[-1]) / (once.high[-1] - once.low[-1])
    return float(np.median(wide))


def _hedged(random: np.random.Generator) -> Row:
    """A bounded, skewed outcome: of most units next to nothing."""
    looks, values = np.arange(50, 5_001, 50), random.beta(0.1, 0.9, (300, 5_000))
    ends = [betting.hedged(row, looks, alpha=0.05, points=500) for row in values]
    bounds = Bounds(np.array([one.low for one in ends]).T, np.array([one.high for one in ends]).T)
    count = np.full(300, 5_000.0)
    last = Effect(values.mean(axis=1), values.std(axis=1) / np.sqrt(5_000), count, count, count - 1)
    is_in = ((bounds.low <= 0.1) & (bounds.high >= 0.1)).all(axis=0)
    once = fixed_horizon.interval(last, alpha=0.05)
    wide = np.median((bounds.high[-1] - bounds.low[-1]) / (once.high - once.low))
    return "bounded, skewed (beta 0.1, 0.9): hedged bets on rows", f"{share(is_in)}; width {wide:.2f}", ASKED

"""Experiments without any difference, looked at after each of 50 batches.

5,000 experiments a row, of two arms with 10,000 units each; a difference is found if it is found at any look. The t-test is
Welch's at 5 %, as if each look were the only one. Conversions are 1 % of units; of money, 5 % of units pay log-normal amounts.
In an arm of 5 % little is normal: an asymptotic interval must begin as late as the skewness asks (`normal_after`).
"""

from __future__ import annotations

import numpy as np

from assets.methods import effects, fixed_horizon
from assets.methods.confidence_sequences import asymptotic, normal_after
from assets.methods.moments import Moments
from benchmarks.experiments.simulated import (
    LOOKS,
    RUNS,
    Row,
    canary,
    conversions,
    is_different,
    money,
    money_moments,
    normal,
    share,
)

UNITS = 200


def rows() -> list[Row]:
    """The share of experiments in which a difference is found."""
    random = np.random.default_rng(1)
    found: list[Row] = []
    outcomes = {
        "normal outcome": (normal(random, UNITS), normal(random, UNITS)),
        "conversions": (conversions(random, UNITS, 0.01), conversions(random, UNITS, 0.01)),
        "money": (money(random, UNITS, 0.05, 1.0), money(random, UNITS, 0.05, 1.0)),
    }
    for name, arms in outcomes.items():
        found += _found(name, *arms)
    arms = money(random, 40, 0.1, 0.5), money(random, 760, 0.1, 0.5)
    found += _found("money, an arm of 5 %", *arms, least=normal_after(money_moments(0.1, 0.5)[2]))
    arms = conversions(random, 20, 0.01), conversions(random, 380, 0.01)
    found += _found("conversions, an arm of 5 %, begun too early", *arms, asked="")
    for name, probability in (("conversions", 0.5), ("conversions, an arm of 5 %", 0.05)):
        counts = canary(random, 2 * UNITS, probability, (0.01, 0.01), looks=LOOKS, runs=RUNS)
        is_out = is_different(*counts, probability=probability, expected=0.01, planned=UNITS * LOOKS)
        found.append((f"{name}: bets on counts (`rate_sequences.difference`)", share(is_out), "at most 5 %"))
    return found


def _found(name: str, treated: Moments, control: Moments, *, least: float = 0.0, asked: str = "at most 5 %") -> list[Row]:
    effect = effects.difference(treated.running(), control.running())
    bounds = asymptotic(effect, alpha=0.05, planned=float(effect.count[-1, 0]) / 2, least=least)
    is_out = ((bounds.low > 0) | (bounds.high < 0)).any(axis=0)
    naive = (fixed_horizon.p_value(effect) < 0.05).any(axis=0)
    return [
        (f"{name}: asymptotic confidence sequence", share(is_out), asked),
        (f"{name}: t-test at each look", share(naive), "about 32 %" if name == "normal outcome" else ""),
    ]

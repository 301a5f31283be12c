"""The budget of false promotions over mixed sequences of gate tests and experiments.

400 products a row, each with 60 decisions; a share of the challengers is no better, the others are better by three standard
errors. Half of the decisions are experiments, each looked at 20 times, during which the gate judges up to three other
challengers at the levels that are left: none of these may count on the experiment that still runs. An experiment promotes if
its confidence sequence says better at its level at some look, and the gate's verdict on other rows does so at the same level.
Told are the false promotions over the promotions (one at least) of all products, which LORD++ bounds, and the mean over
products of their share.
"""

from __future__ import annotations

import numpy as np

from assets.methods import error_budget as online
from assets.methods.confidence_sequences import mixture_scale
from assets.methods.error_budget import Spent
from benchmarks.experiments.simulated import Row

BUDGET, PRODUCTS, DECISIONS, LOOKS, EFFECT = 0.1, 400, 60, 20, 3.0


def rows() -> list[Row]:
    """Shares of false promotions, by the share of challengers that are no better."""
    random, found = np.random.default_rng(48), list[Row]()
    for nulls in (0.5, 0.9, 1.0):
        pairs = np.array([_product(random, nulls) for _ in range(PRODUCTS)], dtype=float)
        false, promoted = pairs.T
        name = f"{nulls:.0%} no better"
        of_all = false.sum() / np.maximum(1, promoted).sum()
        asked = f"at most {100 * BUDGET:g} %"
        found += [
            (f"{name}: false promotions of all", f"{100 * of_all:.1f} %", asked),
            (f"{name}: mean share by product", f"{100 * (false / np.maximum(1, promoted)).mean():.1f} %", asked),
            (f"{name}: promotions a product", f"{promoted.mean():.1f}", ""),
        ]
    return found


def _product(random: np.random.Generator, nulls: float) -> tuple[int, int]:
    """False promotions and promotions of one product."""
    past: list[Spent] = []
    false = 0
    while len(past) < DECISIONS:
        place, level = len(past), online.lord_level(past, BUDGET)
        is_null = random.random() < nulls
        is_experiment = random.random() < 0.5
        past.append(Spent(level, is_rejected=False))
        for _ in range(random.integers(0, 4) if is_experiment else 0):
            other = random.random() < nulls
            given = online.lord_level(past, BUDGET)
            is_better = _gate(random, given, is_null=other)
            false += is_better and other
            past.append(Spent(given, is_better))
        is_better = _gate(random, level, is_null=is_null) and (not is_experiment or _looks(random, level, is_null=is_null))
        false += is_better and is_null
        past[place] = Spent(level, is_better)
    return false, sum(item.is_rejected for item in past)


def _gate(random: np.random.Generator, level: float, *, is_null: bool) -> bool:
    from scipy.special import ndtri

    return bool(random.normal(0.0 if is_null else EFFECT) > -ndtri(level))


def _looks(random: np.random.Generator, level: float, *, is_null: bool) -> bool:
    """Whether a confidence sequence of a normal mean of known variance ever lies above 0."""
    times = np.arange(1, LOOKS + 1, dtype=float)
    drift = 0.0 if is_null else EFFECT / np.sqrt(LOOKS)
    path = random.normal(drift, 1.0, LOOKS).cumsum()
    scale = mixture_scale(LOOKS / 2, level)
    half = np.sqrt((times * scale + 1) / scale * 2 * np.log(np.sqrt(times * scale + 1) / level))
    return bool((path > half).any())

"""Arms are told apart by the rows that they decide differently, at any look, and not by chance."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.arm_difference import difference

LOOKS = np.arange(500, 3001, 250)


def drawn(seed: int, effect: float, rows: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Units of two rows on average, their arm, whether the arms decide a row differently, and what it cost."""
    random = np.random.default_rng(seed)
    units = random.integers(0, rows // 2, rows)
    treated = (random.random(rows // 2) < 0.5)[units]
    differs = random.random(rows) < 0.15
    luck = 0.3 * random.normal(size=rows // 2)[units]  # what a unit's rows share
    costs = random.choice([0.0, 1.0, 5.0], rows, p=[0.7, 0.2, 0.1]) + luck + effect * (treated & differs)
    return units, treated, differs, costs


def test_arms_alike_are_seldom_told_apart_at_any_look() -> None:
    """Of 200 experiments without a difference, at most as many as 5 % and chance allow are ever decided."""
    false = 0
    for seed in range(200):
        units, treated, differs, costs = drawn(seed, 0.0)
        values = np.where(differs, costs, 0.0)
        bounds = [difference(units[:end], treated[:end], values[:end], alpha=0.05, planned=1500)[1] for end in LOOKS]
        false += any(found.low > 0 or found.high < 0 for found in bounds)
    assert false <= 16


def test_rows_decided_alike_only_widen_the_interval() -> None:
    """Over 200 experiments both estimates have the planted difference as their mean; the one without these rows is narrower."""
    found = []
    for seed in range(200):
        units, treated, differs, costs = drawn(seed, -1.0)
        for values in (costs, np.where(differs, costs, 0.0)):
            value, bounds = difference(units, treated, values, alpha=0.05, planned=1500)
            found.append((value, float(bounds.high - bounds.low)))
    values, widths = np.array(found).reshape(200, 2, 2).transpose(2, 1, 0)
    assert values.mean(axis=1) == pytest.approx([-0.15, -0.15], abs=0.02)
    assert widths[1].mean() < 0.6 * widths[0].mean()


def test_where_all_are_decided_alike_nothing_is_ever_said() -> None:
    """No difference among a few rows is no proof of none."""
    units, treated, *_ = drawn(0, 0.0)
    value, bounds = difference(units, treated, np.zeros(len(units)), alpha=0.05, planned=1500)
    assert value == 0
    assert (bounds.low, bounds.high) == (-np.inf, np.inf)
    value, bounds = difference(units[:0], treated[:0], np.zeros(0), alpha=0.05, planned=1500)
    assert (bounds.low, bounds.high) == (-np.inf, np.inf)

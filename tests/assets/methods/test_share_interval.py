"""Intervals of shares of rows whose units are independent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from assets.methods import effects, ratio_metrics
from assets.methods.moments import Moments
from assets.methods.share_interval import share_interval


@pytest.mark.parametrize(("ones", "rows"), [(0, 50), (50, 50), (1, 40), (13, 100)])
def test_of_independent_rows_it_is_the_exact_interval(ones: int, rows: int) -> None:
    """That of SciPy, whatever the share."""
    share = ones / rows
    expected = binomtest(ones, rows).proportion_ci(0.95, method="exact")
    low, high = share_interval(share, (share * (1 - share) / rows) ** 0.5, rows, rows, alpha=0.05)
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_it_covers_a_rare_share_of_rows_that_come_in_units() -> None:
    """Units of ten rows that mostly agree: at least 95 %, where the interval that takes rows for independent fails."""
    random, runs, units, truth = np.random.default_rng(3), 2000, 150, 0.03
    chance = random.beta(0.03, 0.97, (runs, units))
    ones = random.binomial(10, chance)
    covered = naive = 0
    for found in ones:
        moments = Moments.of(np.column_stack([found, np.full(units, 10)]))
        effect = effects.mean(ratio_metrics.linearized(moments))
        low, high = share_interval(float(effect.value), float(effect.error), units, 10 * units, alpha=0.05)
        covered += low <= truth <= high
        share = float(effect.value)
        low, high = share_interval(share, (share * (1 - share) / units / 10) ** 0.5, 10 * units, 10 * units, alpha=0.05)
        naive += low <= truth <= high
    assert covered / runs >= 0.94
    assert naive / runs < 0.7


def test_what_is_no_share_is_refused() -> None:
    """Nor of no unit."""
    for share, units in ((1.5, 10), (0.5, 0)):
        with pytest.raises(ValueError, match="no interval of share"):
            share_interval(share, 0.1, units, 10, alpha=0.05)

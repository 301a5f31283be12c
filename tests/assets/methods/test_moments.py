"""Moments: merged, cumulated and read of a database they are those of all rows, whatever is added to the outcomes."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods import effects
from assets.methods.moments import Moments

ROWS = np.random.default_rng(1).gamma(2.0, 3.0, (600, 2))


def test_merged_moments_are_those_of_all_rows() -> None:
    """Also where one side has none."""
    merged = Moments.of(ROWS[:200]) + Moments.of(ROWS[200:]) + Moments.of(np.zeros((0, 2)))
    np.testing.assert_allclose(merged.mean, ROWS.mean(axis=0))
    np.testing.assert_allclose(merged.covariance, np.cov(ROWS.T))
    assert float(merged.count) == 600


def test_running_moments_are_those_of_the_rows_so_far() -> None:
    """Batch by batch."""
    parts = [Moments.of(batch) for batch in np.split(ROWS, 6)]
    stacked = Moments(*(np.array([getattr(part, name) for part in parts]) for name in ("count", "mean", "scatter")))
    running = stacked.running()
    for look in range(6):
        np.testing.assert_allclose(running.covariance[look], np.cov(ROWS[: 100 * (look + 1)].T))


def test_a_large_constant_costs_no_digits() -> None:
    """Money around a billion, merged, has the variance of its small differences; plain sums lose it."""
    high = ROWS[:, 0] + 1e9
    merged = Moments.of(high[:100]) + Moments.of(high[100:])
    assert float(merged.variance) == pytest.approx(ROWS[:, 0].var(ddof=1), rel=1e-6)
    sums = Moments.from_sums(600, [high.sum()], [[(high**2).sum()]])
    assert float(sums.variance) != pytest.approx(ROWS[:, 0].var(ddof=1), rel=1e-2)


def test_a_databases_aggregates_give_the_same() -> None:
    """Where it has no variance, there is one unit or none."""
    found = Moments.from_covariance([600, 1, 0], [ROWS.mean(axis=0), ROWS[0], [np.nan, np.nan]], [np.cov(ROWS.T)] * 3)
    np.testing.assert_allclose(found.covariance[0], np.cov(ROWS.T))
    assert np.isinf(found.covariance[1:]).all()
    assert (found.mean[2] == 0).all()


def test_a_rate_has_the_moments_of_zeros_and_ones() -> None:
    """Counts are enough."""
    found, rows = Moments.of_rate(3, 10), np.array([1.0] * 3 + [0.0] * 7)
    assert float(found.variance) == pytest.approx(rows.var(ddof=1))


def test_a_gap_is_refused_by_its_unit() -> None:
    """It would make all figures undefined."""
    with pytest.raises(ValueError, match="unit 1 are .*nan.*: only finite numbers"):
        Moments.of(np.array([1.0, np.nan]))


def test_an_arm_in_which_all_are_equal_leaves_the_difference_unknown() -> None:
    """No failure among ten is not none among a million."""
    found = effects.difference(Moments.of_rate(0, 10), Moments.of_rate(5, 1000))
    assert float(found.error) == np.inf
    assert float(found.value) == pytest.approx(-0.005)


def test_shares_that_change_with_the_outcomes_bias_the_whole_and_not_the_strata() -> None:
    """A canary of 5 % on calm days and of half on bad ones (Simpson's paradox): errors are the same in both arms."""
    random, steps = np.random.default_rng(1), []
    for share, rate in ((0.05, 0.01), (0.5, 0.1)):
        units = np.array([20_000 * share, 20_000 * (1 - share)])
        steps.append([Moments.of_rate(random.binomial(int(count), rate), count) for count in units])
    whole = effects.difference(steps[0][0] + steps[1][0], steps[0][1] + steps[1][1])
    within = effects.stratified([effects.difference(*arms) for arms in steps])
    assert float(whole.value / whole.error) > 10
    assert abs(float(within.value / within.error)) < 3
    assert float(within.count) == 40_000


def test_a_stratum_of_which_nothing_is_known_leaves_the_effect_unknown_and_one_without_units_does_not() -> None:
    """Its units might have any effect."""
    known = effects.difference(Moments.of(ROWS[:300, 0]), Moments.of(ROWS[300:, 0]))
    single = effects.difference(Moments.of(np.array([1.0])), Moments.of(np.array([2.0])))
    none = effects.difference(Moments.of(np.zeros(0)), Moments.of(np.zeros(0)))
    assert float(effects.stratified([known, single]).error) == np.inf
    both = effects.stratified([known, none])
    assert (float(both.value), float(both.error)) == pytest.approx((float(known.value), float(known.error)))
    assert float(both.freedom) == pytest.approx(float(known.freedom))
    with pytest.raises(ValueError, match="there is no stratum"):
        effects.stratified([])

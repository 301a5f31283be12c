"""Confidence sequences: they hold at all looks together, agree with other implementations, and know what they do not know."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods import effects, fixed_horizon
from assets.methods.betting import hedged
from assets.methods.confidence_sequences import (
    asymptotic,
    asymptotic_e_value,
    bernstein,
    mixture_scale,
    normal_after,
    normal_mixture,
)
from assets.methods.effects import Effect
from assets.methods.inverse_propensity import weighted
from assets.methods.moments import Moments

RUNS, LOOKS, BATCH = 500, 50, 100
PLANNED_FOR_SCALE_001 = (mixture_scale(1.0, 0.05)) / 0.01
"""The planned units at which the mixture has a variance of 0.01: what the other implementation calls phi = 100."""


def normal_batches(seed: int, mean: float = 0.0) -> Moments:
    """Moments of normal outcomes by batch and simulation, shape (LOOKS, RUNS)."""
    random = np.random.default_rng(seed)
    means = random.normal(mean, 1 / np.sqrt(BATCH), (LOOKS, RUNS))
    scatter = random.chisquare(BATCH - 1, (LOOKS, RUNS))
    return Moments(np.full((LOOKS, RUNS), float(BATCH)), means[..., None], scatter[..., None, None])


def test_looking_fifty_times_finds_no_difference_where_there_is_none_and_the_t_test_does() -> None:
    """An A/A test: at most 5 % against about 32 %."""
    effect = effects.difference(normal_batches(1).running(), normal_batches(2).running())
    found = asymptotic(effect, alpha=0.05, planned=LOOKS * BATCH)
    assert ((found.low > 0) | (found.high < 0)).any(axis=0).mean() <= 0.05
    assert (fixed_horizon.p_value(effect) < 0.05).any(axis=0).mean() > 0.25


def test_the_boundary_is_narrowest_at_the_planned_units() -> None:
    """And is that of Robbins: sqrt((1 + 1/x) log((1 + x) / alpha^2)) with log((1 + x) / alpha^2) = x there."""
    scale = mixture_scale(1000, 0.05)
    assert np.log((1 + 1000 * scale) / 0.05**2) == pytest.approx(1000 * scale)
    at_planned = normal_mixture(np.array([1000.0]), scale, 0.05)[0]
    for other in (0.5, 0.9, 1.1, 2.0):
        assert normal_mixture(np.array([1000.0]), scale * other, 0.05)[0] > at_planned


def test_it_agrees_with_savvi_on_the_mean_of_normal_outcomes() -> None:
    """Intervals and p-values of savvi 0.3.1 (LinearRegression, phi = 100), whose freedom is one less."""
    values = np.random.default_rng(1).normal(0.5, 1, 1000)
    expected = {100: (0.09803485, 0.7547409, 0.00725338), 1000: (0.3507633, 0.54073026, 1.44070254e-36)}
    for count, (low, high, p_value) in expected.items():
        found = effects.mean(Moments.of(values[:count]))
        effect = Effect(found.value, found.error, found.count, found.smallest, found.freedom - 1)
        bounds = asymptotic(effect, alpha=0.05, planned=PLANNED_FOR_SCALE_001)
        assert (float(bounds.low), float(bounds.high)) == pytest.approx((low, high), abs=1e-6)
        e_value = asymptotic_e_value(effect, 0.0, alpha=0.05, planned=PLANNED_FOR_SCALE_001)
        assert 1 / float(e_value) == pytest.approx(p_value, rel=1e-5)


def test_with_many_units_it_is_the_normal_mixture() -> None:
    """Theorem 2.2 of Waudby-Smith and others, with the standard error as it is estimated."""
    effect = Effect(np.array(1.0), np.array(0.01), np.array(1e6), np.array(1e6), np.array(1e6 - 1))
    found = asymptotic(effect, alpha=0.05, planned=5e5)
    half = 0.01 * float(normal_mixture(np.array(1e6), mixture_scale(5e5, 0.05), 0.05))
    assert float(found.high) - 1 == pytest.approx(half, rel=1e-4)


def test_the_evidence_and_the_interval_say_the_same() -> None:
    """An e-value of 1 / alpha just where the interval ends."""
    effect = effects.mean(Moments.of(np.random.default_rng(4).normal(0.2, 1, 200)))
    end = float(asymptotic(effect, alpha=0.05, planned=500).low)
    assert float(asymptotic_e_value(effect, end, alpha=0.05, planned=500)) == pytest.approx(20)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0]], ids=["none", "one", "all equal"])
def test_what_is_not_known_is_everything(values: list[float]) -> None:
    """No unit, one unit, no variance: the interval is infinite and the evidence none."""
    effect = effects.mean(Moments.of(np.array(values)))
    found = asymptotic(effect, alpha=0.05, planned=100)
    assert (float(found.low), float(found.high)) == (-np.inf, np.inf)
    assert float(asymptotic_e_value(effect, 5.0, alpha=0.05, planned=100)) == 1


def test_too_few_units_in_the_smallest_arm_say_nothing() -> None:
    """However many are in the other."""
    arms = [Moments.of(np.random.default_rng(seed).normal(0, 1, count)) for seed, count in ((1, 40), (2, 5000))]
    found = asymptotic(effects.difference(*arms), alpha=0.05, planned=5000, least=50)
    assert float(found.high) == np.inf
    assert float(asymptotic(effects.difference(*arms), alpha=0.05, planned=5000, least=40).high) < np.inf


def test_a_rare_conversion_is_covered_once_it_is_as_good_as_normal() -> None:
    """At every look from then on; with no such rule too few are."""
    rate, skewness = 0.002, (1 - 2 * 0.002) / np.sqrt(0.002 * 0.998)
    ones = np.random.default_rng(5).binomial(1000, rate, (100, 4000))
    effect = effects.mean(Moments.of_rate(ones, np.full(ones.shape, 1000.0)).running())
    covered = {}
    for least in (0.0, normal_after(skewness)):
        found = asymptotic(effect, alpha=0.05, planned=20_000, least=least)
        covered[least] = ((found.low <= rate) & (rate <= found.high)).all(axis=0).mean()
    assert covered[0.0] < 0.95 <= covered[normal_after(skewness)]


def test_the_hedged_interval_is_that_of_confseq() -> None:
    """Its hedged_cs (0.0.11) with 500 points, on the same rows."""
    values = np.random.default_rng(1).beta(10, 30, 1000)
    found = hedged(values, np.array([10, 100, 1000]), alpha=0.05)
    np.testing.assert_allclose(found.low, [0.116, 0.22, 0.238])
    np.testing.assert_allclose(found.high, [0.6, 0.3, 0.254])


def test_the_hedged_interval_scales_with_its_bounds_and_ends_at_them() -> None:
    """Money from 0 to 10; no row, one row, all equal."""
    values = np.random.default_rng(1).beta(10, 30, 1000)
    found = hedged(10 * values, np.array([0, 1000]), alpha=0.05, high=10)
    np.testing.assert_allclose(found.low, [0, 2.38])
    np.testing.assert_allclose(found.high, [10, 2.54])
    assert (hedged(np.zeros(0), np.array([0]), alpha=0.05).high == 1).all()
    assert float(hedged(np.array([0.4]), np.array([1]), alpha=0.05).low[0]) == 0
    equal = hedged(np.full(2000, 0.4), np.array([2000]), alpha=0.05)
    assert equal.low[0] <= 0.4 <= equal.high[0] <= equal.low[0] + 0.03


def test_a_row_outside_its_bounds_is_named() -> None:
    """By its place and value."""
    with pytest.raises(ValueError, match=r"outcome 1 is 7\.5: it must lie from 0\.0 to 1\.0"):
        hedged(np.array([0.5, 7.5]), np.array([2]), alpha=0.05)
    with pytest.raises(ValueError, match="must ascend from 0 to 2"):
        hedged(np.array([0.5, 0.5]), np.array([3]), alpha=0.05)


def test_bernstein_row_by_row_is_near_confseqs() -> None:
    """Its predmix_empbern_twosided_cs starts with another guess of the mean, so that they differ by little."""
    values = np.random.default_rng(1).beta(10, 30, 1000)
    found = bernstein(Moments(np.ones(1000), values[:, None], np.zeros((1000, 1, 1))), alpha=0.05)
    np.testing.assert_allclose(found.low[[99, 999]], [0.1686, 0.2375], atol=2e-3)
    np.testing.assert_allclose(found.high[[99, 999]], [0.3224, 0.256], atol=2e-3)


def test_bernstein_holds_from_the_first_batch_on_for_rare_conversions() -> None:
    """Without any rule of when to begin."""
    ones = np.random.default_rng(5).binomial(50, 0.01, (100, RUNS))
    found = bernstein(Moments.of_rate(ones, np.full(ones.shape, 50.0)), alpha=0.05)
    assert ((found.low <= 0.01) & (found.high >= 0.01)).all(axis=0).mean() >= 0.95
    assert (found.high[-1] < 0.05).all()


def test_bernstein_refuses_moments_beyond_the_bounds() -> None:
    """Money of 3 is no outcome from 0 to 1."""
    with pytest.raises(ValueError, match=r"impossible for outcomes from 0\.0 to 1\.0"):
        bernstein(_one_batch([0.0, 3.0, 3.0]), alpha=0.05)


def test_a_difference_of_bounded_outcomes_is_the_mean_of_weighted_ones() -> None:
    """The moments are those of the rows, weighted one by one, and the interval holds the difference."""
    random = np.random.default_rng(8)
    is_treated = random.random(4000) < 0.3
    outcome = np.where(is_treated, random.beta(4, 6, 4000), random.beta(3, 7, 4000))
    by_row = np.where(is_treated, (outcome - 0.3) / 0.3, -(outcome - 0.3) / 0.7)
    found = weighted(Moments.of(outcome[is_treated]), Moments.of(outcome[~is_treated]), probability=0.3, expected=0.3)
    expected = Moments.of(by_row)
    assert float(found.moments.mean[0]) == pytest.approx(float(expected.mean[0]))
    assert float(found.moments.variance) == pytest.approx(float(expected.variance))
    assert (found.low, found.high) == pytest.approx((-1.0, 0.7 / 0.3))
    batches = by_row.reshape(40, 100)
    moments = Moments(np.full(40, 100.0), batches.mean(axis=1)[:, None], batches.var(axis=1)[:, None, None] * 100)
    bounds = bernstein(moments, alpha=0.05, low=found.low, high=found.high)
    assert 0 < bounds.low[-1] < 0.1 < bounds.high[-1]


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_an_impossible_error_rate_is_refused(alpha: float) -> None:
    """By all of them."""
    effect = effects.mean(Moments.of(np.array([1.0, 2.0])))
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        asymptotic(effect, alpha=alpha, planned=100)
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        bernstein(_one_batch([0.0, 1.0]), alpha=alpha)


def test_no_planned_units_are_refused() -> None:
    """There is nothing to be narrowest at."""
    with pytest.raises(ValueError, match="planned number of units is 0"):
        mixture_scale(0, 0.05)


def _one_batch(values: list[float]) -> Moments:
    moments = Moments.of(np.array(values))
    return Moments(moments.count[None], moments.mean[None], moments.scatter[None])

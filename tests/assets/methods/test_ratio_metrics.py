"""Ratios of units' sums: their error is that of clusters, not of rows."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods import effects, ratio_metrics
from assets.methods.moments import Moments
from assets.methods.variance_reduction import cuped


def requests(random: np.random.Generator, units: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Errors and requests by unit; a unit has its own rate of errors, so that its requests are alike."""
    count = random.poisson(20, units) + 1
    return np.stack([random.binomial(count, random.beta(1, 9, units)), count], axis=-1).astype(float)


def test_the_error_is_the_scatter_of_the_ratio_over_repetitions() -> None:
    """And rows that are taken for independent tell less than half of it."""
    random = np.random.default_rng(1)
    found = [requests(random, 200) for _ in range(400)]
    effect = [effects.mean(ratio_metrics.linearized(Moments.of(rows))) for rows in found]
    ratios = np.array([float(one.value) for one in effect])
    assert np.mean([float(one.error) for one in effect]) == pytest.approx(ratios.std(), rel=0.1)
    rows = found[0].sum(axis=0)
    by_row = np.sqrt(0.1 * 0.9 / rows[1])
    assert by_row < 0.65 * ratios.std()


def test_it_is_the_cluster_robust_variance_up_to_n_over_n_minus_one() -> None:
    """Liang and Zeger: the sum of squares of units' residuals over the squared number of rows."""
    rows = requests(np.random.default_rng(2), 50)
    effect = effects.mean(ratio_metrics.linearized(Moments.of(rows)))
    ratio = rows[:, 0].sum() / rows[:, 1].sum()
    sandwich = ((rows[:, 0] - ratio * rows[:, 1]) ** 2).sum() / rows[:, 1].sum() ** 2
    assert float(effect.value) == pytest.approx(ratio)
    assert float(effect.error) ** 2 == pytest.approx(sandwich * 50 / 49)


def test_a_denominator_of_one_is_the_plain_mean() -> None:
    """Value and error."""
    values = np.random.default_rng(3).normal(5, 2, 100)
    found = effects.mean(ratio_metrics.linearized(Moments.of(np.stack([values, np.ones(100)], axis=-1))))
    plain = effects.mean(Moments.of(values))
    assert (float(found.value), float(found.error)) == pytest.approx((float(plain.value), float(plain.error)))


def test_rows_are_summed_by_unit_in_any_order() -> None:
    """A column of ones counts them."""
    units, values = np.array([3, 1, 3, 2, 1]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert ratio_metrics.unit_sums(units, values, np.ones(5)).tolist() == [[7, 2], [4, 1], [4, 2]]
    assert ratio_metrics.unit_sums(np.zeros(0, int), np.zeros(0), np.zeros(0)).shape == (0, 2)


def test_covariates_stay_beside_the_ratio() -> None:
    """A ratio's variance is reduced like any other's."""
    random = np.random.default_rng(4)
    arms = []
    for _ in range(2):
        count, habit = random.poisson(5, 2000) + 1.0, random.normal(0, 1, 2000)
        arms.append(Moments.of(np.stack([count * (3 + habit + 0.5 * random.normal(0, 1, 2000)), count, habit], axis=-1)))
    plain = ratio_metrics.difference(*arms)
    reduced = cuped(*(ratio_metrics.linearized(arm) for arm in arms))
    assert float(reduced.effect.error) < 0.65 * float(plain.error)


def test_no_units_leave_the_ratio_unknown_and_no_denominator_is_refused() -> None:
    """The first is for later looks to mend, the second is a mistake."""
    none = Moments.of(np.zeros((0, 2)))
    assert float(ratio_metrics.difference(none, none).error) == np.inf
    with pytest.raises(ValueError, match="denominator of a ratio is 0 for all units"):
        ratio_metrics.linearized(Moments.of(np.array([[1.0, 0.0], [2.0, 0.0]])))

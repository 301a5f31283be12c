"""Cost models: known terms are found again, also under noise; none is negative; what is beyond the points is told by them."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.cost_model import TERMS, Point, StageCost, fit, relative_error

TRUE = {"start": 4.0, "row": 3e-6, "cell": 2e-6, "feature": 0.05}
SIZES = [(rows, features) for rows in (1_000, 30_000, 1_000_000) for features in (5, 20, 80)]


def points(noise: float = 0.0) -> list[Point]:
    """Costs by the true terms, each off by a share drawn from a normal distribution."""
    random = np.random.default_rng(1)
    true = StageCost(TRUE)
    return [Point(*size, cost=true.at(*size) * (1 + noise * random.normal())) for size in SIZES]


def test_the_terms_are_found_again() -> None:
    """Each to a thousandth, though the largest cost is 40 times the smallest."""
    found = fit(points()).coefficients
    assert set(found) == set(TERMS)
    assert found == pytest.approx(TRUE, rel=1e-3)


def test_a_point_ten_times_as_large_is_told_under_noise() -> None:
    """Within a tenth, of measurements that are 5 % off."""
    told, true = fit(points(noise=0.05)).at(10_000_000, 20), StageCost(TRUE).at(10_000_000, 20)
    assert abs(relative_error(told, true)) < 0.1


def test_no_term_is_negative() -> None:
    """Where more rows cost less, the rows cost nothing."""
    found = fit([Point(1_000, 5, 9.0), Point(100_000, 5, 6.0), Point(1_000, 20, 9.0), Point(100_000, 20, 6.0)])
    assert min(found.coefficients.values()) >= 0
    assert found.at(10**9, 20) == pytest.approx(found.at(0, 0), rel=1e-6)


@pytest.mark.parametrize("wrong", [[], [Point(1, 1, 0.0)], [Point(1, 1, 2.0), Point(2, 1, -1.0)]])
def test_without_costs_there_is_no_model(wrong: list[Point]) -> None:
    """A cost of nothing has no relative error."""
    with pytest.raises(ValueError, match="each is more than zero"):
        fit(wrong)

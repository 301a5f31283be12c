"""Evidence of a shortfall: seldom without one however often one looks, soon when there is one."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.shortfall import evidence

DAYS, BOUND, SURE = 365, 0.13, 20.0


def rates(random: np.random.Generator, mean: float, rows: int, spread: float) -> np.ndarray:
    """Days whose chance of a miss differs, and rows of each day."""
    chances = random.beta(mean * spread, (1 - mean) * spread, DAYS)
    return random.binomial(rows, chances) / rows


@pytest.mark.parametrize(("rows", "spread"), [(20, 1000.0), (1000, 10.0), (200, 2.0)])
def test_false_alarms_over_a_year_of_daily_looks(rows: int, spread: float) -> None:
    """Of 600 years whose rate is exactly the bound, at most 5 % ever raise one, but for three standard errors."""
    random = np.random.default_rng(7)
    raised = [evidence(rates(random, BOUND, rows, spread), BOUND).max() >= SURE for _ in range(600)]
    assert np.mean(raised) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize(("mean", "within"), [(0.3, 30), (0.2, 120)])
def test_a_shortfall_after_half_a_year_is_found_soon(mean: float, within: int) -> None:
    """In 90 of 100 worlds; a good half-year before does not hide it."""
    random, found = np.random.default_rng(8), []
    for _ in range(100):
        series = np.r_[rates(random, 0.1, 500, 30.0)[:180], rates(random, mean, 500, 30.0)[:within]]
        capital = evidence(series, BOUND)
        found.append(capital[:180].max() < SURE <= capital[180:].max())
    assert np.mean(found) >= 0.9


def test_evidence_is_the_mixture_that_is_written_down() -> None:
    """By hand, over all days on which a change may have begun."""
    from assets.methods.shortfall import STAKES

    series = np.array([0.1, 0.5, 0.3])
    stakes = STAKES / BOUND
    shares = [1 / (day * (day + 1)) for day in (1, 2, 3)]
    grown = sum(
        share * np.prod([1 + stakes * (rate - BOUND) for rate in series[start:]], axis=0) for start, share in enumerate(shares)
    )
    assert evidence(series, BOUND)[-1] == pytest.approx(grown.mean() + 1 / 4)

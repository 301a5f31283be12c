"""Power and duration: at a fixed horizon as the textbooks have it, always valid as a simulation of real data has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assets.methods.kinds import KINDS
from assets.methods.row_costs import row_costs
from assets.methods.sample_size import noncentrality, power_of
from assets.methods.sequential_power import always_valid_noncentrality, always_valid_power, boundary, mean_duration
from assets.methods.unit_variation import correlation_with_past, variation
from bentos.decisions import decide


@pytest.mark.parametrize(("difference", "units"), [(0.2, 393), (0.5, 64), (0.8, 26)])
def test_a_fixed_horizon_needs_what_cohen_tabulates(difference: float, units: int) -> None:
    """Cohen 1988, table 2.4.1: two means, 5 % two-sided, 80 %."""
    needed = next(
        number for number in range(3, 1000) if difference / np.sqrt(2 / number) >= noncentrality(0.05, 0.8, 2 * number - 2)
    )
    assert needed == pytest.approx(units, abs=1)
    assert power_of(difference / np.sqrt(2 / units), 0.05, 2 * units - 2) == pytest.approx(0.8, abs=0.01)


def test_the_boundary_is_crossed_as_rarely_as_it_says() -> None:
    """Counted rows of skewed values without a difference: 2,000 experiments with 56 looks, and beyond the planned end too."""
    random = np.random.default_rng(0)
    looks, batch = 56, 100
    drawn = random.exponential(1.0, (2000, 2 * looks, batch)).sum(axis=2) - batch
    standard = np.cumsum(drawn, axis=1) / np.sqrt(batch * np.arange(1, 2 * looks + 1))
    crossed = np.abs(standard) > boundary(np.arange(1, 2 * looks + 1) / looks, 0.05)
    assert 0.005 < crossed.any(axis=1).mean() < 0.05
    naive = (np.abs(standard[:, :looks]) > 1.96).any(axis=1).mean()
    assert naive > 0.25


def test_the_designed_power_is_that_of_counted_rows() -> None:
    """At the effect that the design says is found with 80 %, looked at 28 times."""
    random = np.random.default_rng(1)
    looks, batch = 28, 200
    effect = always_valid_noncentrality(0.05, 0.8, looks)
    drawn = random.exponential(1.0, (2000, looks, batch)).sum(axis=2) - batch + effect * np.sqrt(batch / looks)
    standard = np.cumsum(drawn, axis=1) / np.sqrt(batch * np.arange(1, looks + 1))
    crossed = standard > boundary(np.arange(1, looks + 1) / looks, 0.05)
    assert crossed.any(axis=1).mean() == pytest.approx(0.8, abs=0.03)
    assert always_valid_power(effect, 0.05, looks) == pytest.approx(0.8, abs=0.001)
    ends = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, looks).mean() / looks
    assert mean_duration(effect, 0.05, looks) == pytest.approx(ends, abs=0.03)


def test_the_delta_method_counts_units() -> None:
    """Five rows of each unit with the same value say no more than one; the truth is what 4,000 draws of units scatter by."""
    random = np.random.default_rng(2)
    rows = random.integers(1, 8, 200).astype(float)
    sums = rows * random.normal(3, 1, 200)
    places = random.integers(0, 200, (4000, 200))
    drawn = sums[places].sum(axis=1) / rows[places].sum(axis=1)
    assert np.sqrt(variation(sums, rows).relative) * variation(sums, rows).ratio == pytest.approx(drawn.std(), rel=0.05)
    assert variation(np.zeros(3), np.ones(3)).relative == float("inf")
    assert variation(np.ones(1), np.ones(1)).relative == float("inf")


def test_the_correlation_with_the_past_counts_units_that_have_none() -> None:
    """Half of the units are new: their past is the mean, and explains nothing."""
    random = np.random.default_rng(3)
    level = random.normal(10, 1, 20_000)
    now, past = (level + random.normal(0, 1, 20_000) for _ in range(2))
    ones = np.ones(20_000)
    assert correlation_with_past(now, ones, past, ones) == pytest.approx(0.5, abs=0.02)
    old = (np.arange(20_000) % 2).astype(float)
    assert correlation_with_past(now, ones, past * old, old) == pytest.approx(0.5 / np.sqrt(2), abs=0.02)
    assert correlation_with_past(now, ones, past * 0, ones * 0) == 0
    rows = random.integers(1, 8, 20_000).astype(float)
    assert correlation_with_past(2.1 * rows, rows, past, ones) == 0, "all units have the same ratio, but for rounding"


@pytest.mark.parametrize(
    ("kind", "labels", "outputs", "decision", "prices"),
    [
        ("binary", [0, 1, 1, 0], [0.1, 0.7, 0.2, 0.9], {"threshold": 0.5}, {"missed": 5.0, "false_alarm": 1.0}),
        ("multiclass", [0, 1], [[0.6, 0.4], [0.9, 0.1]], {"costs": [[0, 1], [5, 0]]}, {"costs": [[0, 1], [5, 0]]}),
        ("regression", [1.0, 5.0], [2.0, 3.0], {"offset": 0.5, "margin": 1.0}, {"under": 2.0, "over": 1.0}),
    ],
)
def test_costs_of_decisions_are_those_of_the_metric(kind: str, labels: Any, outputs: Any, decision: Any, prices: Any) -> None:
    """The mean cost of rows is `cost_per_1000` of the model that decided so."""
    labels, outputs = np.array(labels, float), np.array(outputs, float)
    costs = row_costs(kind, labels, decide(kind, outputs, decision), prices)
    asked = KINDS[kind].metric_functions(labels, outputs, decision, prices)["cost_per_1000"]
    assert 1000 * costs.mean() == pytest.approx(asked(np.ones(len(labels))))
    unknown = row_costs(kind, np.full(len(labels), np.nan), decide(kind, outputs, decision), prices)
    assert np.isnan(unknown).all()

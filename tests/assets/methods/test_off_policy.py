"""Off-policy estimates: exact where nothing is random, covering where something is, and refused where the log says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assets.errors import DataError
from assets.methods.off_policy import Bounds, evaluate
from assets.methods.overlap import overlap_of
from benchmarks.experiments import off_policy as benchmark


def logged(rows: int = 400, seed: int = 0) -> tuple[Any, Any, Any]:
    """Rewards of three actions that were drawn with known chances, and which of them the new rule takes."""
    random = np.random.default_rng(seed)
    chances = np.array([0.5, 0.3, 0.2])
    action = random.choice(3, rows, p=chances)
    rewards = (random.random(rows) < np.array([0.2, 0.5, 0.8])[action]).astype(float)
    return rewards, chances[action], (action == 2).astype(float)


def test_estimates_are_those_of_the_papers() -> None:
    """Four rows worked by hand: weights 2, 0, 4, 0."""
    rewards, propensities, chosen = (
        np.array([1.0, 9.0, 2.0, 9.0]),
        np.array([0.5, 0.5, 0.25, 0.25]),
        np.array([1.0, 0.0, 1.0, 0.0]),
    )
    many = [np.tile(part, 50) for part in (rewards, propensities, chosen)]
    expected = np.tile([0.5, 8.0, 1.0, 8.0], 50), np.tile([0.5, 1.0, 1.0, 3.0], 50)
    found = evaluate(*many, expected=expected).values
    assert found["ips"].value == pytest.approx((2 * 1 + 4 * 2) / 4)
    assert found["self-normalised"].value == pytest.approx((2 * 1 + 4 * 2) / 6)
    assert found["doubly robust"].value == pytest.approx(((0.5 + 2 * 0.5) + 1 + (1 + 4 * 1) + 3) / 4)


def test_the_rule_that_was_logged_is_worth_its_mean() -> None:
    """With the interval of a mean, by each estimator."""
    rewards = logged()[0]
    found = evaluate(rewards, np.ones(400), np.ones(400), expected=(np.full(400, 0.3), np.full(400, 0.3))).values
    half = 1.9659 * rewards.std(ddof=1) / 20
    for item in found.values():
        assert (item.value, item.high - item.value) == (pytest.approx(rewards.mean()), pytest.approx(half, rel=1e-4))


def test_biases_and_coverages_are_as_asked() -> None:
    """The benchmark of 200 simulations of an experiment's log, and of a random rule's with expectations that are wrong."""
    figures = benchmark.rows(200)
    assert len(figures) == 2 * 3 * 2 + 1
    assert [figure for figure in figures if "missed" in figure[2]] == []


def test_rows_of_one_unit_count_as_one() -> None:
    """Each row five times over is no more evidence."""
    rewards, propensities, chosen = logged(600)
    once = evaluate(rewards, propensities, chosen)
    units = np.repeat(np.arange(600), 5)
    again = evaluate(*(np.repeat(part, 5) for part in (rewards, propensities, chosen)), units=units)
    for name, item in once.values.items():
        assert vars(again.values[name]) == pytest.approx(vars(item))


def test_a_small_effective_sample_has_a_guarantee_or_a_warning() -> None:
    """Empirical Bernstein intervals where rewards are bounded: they cover at least as often as they say, by much."""
    bounds = Bounds(0, 1, least_propensity=0.2)
    plain, bounded = evaluate(*logged()), evaluate(*logged(), bounds=bounds)
    assert plain.overlap.effective_rows < 100
    assert "the interval of ips, self-normalised may be too narrow" in plain.warnings[0]
    assert "the interval of self-normalised may" in bounded.warnings[0]
    assert bounded.values["ips"].interval == "empirical bernstein"
    assert bounded.values["ips"].high - bounded.values["ips"].low > plain.values["ips"].high - plain.values["ips"].low
    found = [evaluate(*logged(seed=seed), bounds=bounds).values["ips"] for seed in range(300)]
    assert np.mean([item.low <= 0.8 <= item.high for item in found]) > 0.97
    assert evaluate(*logged(4000), bounds=bounds).warnings == ()


def test_the_best_estimate_is_doubly_robust_where_it_can_be_had() -> None:
    """And narrower, where expectations are right."""
    rewards, propensities, chosen = logged(4000)
    right = np.where(propensities == 0.5, 0.2, np.where(propensities == 0.3, 0.5, 0.8)), np.full(4000, 0.8)
    with_expectations, without = (
        evaluate(rewards, propensities, chosen, expected=right),
        evaluate(rewards, propensities, chosen),
    )
    assert (with_expectations.best.estimator, without.best.estimator) == ("doubly robust", "self-normalised")
    ips = without.values["ips"]
    assert with_expectations.best.high - with_expectations.best.low < 0.7 * (ips.high - ips.low)


@pytest.mark.parametrize(
    ("propensities", "chosen", "more", "message"),
    [
        (np.full(400, 0.5), np.r_[np.ones(40), np.zeros(360)], {}, r"its 400 rows are worth 40 of the rule's own, and 50 are needed"),
        (np.full(400, 0.01), np.r_[np.ones(4), np.zeros(396)], {}, r"are worth 4 .* the largest weight is 100\. Evaluate a rule that is nearer"),
        (np.ones(400), np.r_[np.ones(300), np.zeros(100)], {}, r"says nothing of 25\.0% of this rule's decisions"),
        (np.full(400, 0.5), np.ones(400), {"never_taken": np.full(400, 0.1)}, r"says nothing of 10\.0% of this rule's decisions"),
        (np.r_[0.0, np.ones(399)], np.ones(400), {}, r"row 1 of the log has the propensity 0, and it must be above 0 and at most 1"),
        (np.r_[np.ones(399), np.nan], np.ones(400), {}, r"row 400 of the log has the propensity nan"),
        (np.ones(400), np.full(400, 1.5), {}, r"has the probability under the new rule 1\.5, and it must be from 0 to 1"),
        (np.ones(0), np.ones(0), {}, r"the log holds no row with an outcome"),
    ],
)  # fmt: skip
def test_too_little_overlap_is_refused_with_what_to_do(propensities: Any, chosen: Any, more: Any, message: str) -> None:
    """And so are probabilities that are none."""
    with pytest.raises(DataError, match=message):
        evaluate(np.ones(len(propensities)), propensities, chosen, **more)


def test_little_that_was_never_taken_is_a_warning() -> None:
    """Three percent of the decisions: the estimate says nothing of them."""
    rewards = logged(2000)[0]
    found = evaluate(rewards, np.ones(2000), np.ones(2000), never_taken=np.full(2000, 0.03))
    assert found.warnings == ("3.0% of the rule's decisions were never taken in such cases, so nothing is known of them",)
    assert evaluate(rewards, np.ones(2000), np.ones(2000)).warnings == ()


def test_chance_is_not_taken_for_a_lack_of_support() -> None:
    """The mean weight differs from 1 by chance: nothing is told as never taken."""
    assert {overlap_of(*logged(seed=seed)[1:]).never_taken for seed in range(20)} == {0.0}

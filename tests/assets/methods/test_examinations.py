"""The statistics behind the gates: paired tests, weak slices, single columns, stress, ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from assets.methods import stress, weak_slices
from assets.methods.paired import TESTS, Gain, at_most
from assets.methods.ranking import Array, Ranking
from assets.methods.ranks import rank_correlation
from assets.methods.strength import single_column
from assets.methods.weak_slices import Slice


def scored(seed: int, noise: float, rows: int = 4000) -> tuple[Array, Array, Any]:
    """Labels, scores that order them the worse the more noise, and clusters of 40 rows."""
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.4).astype(float)
    return labels, labels + random.normal(0, noise, rows), np.arange(rows) // 40


@pytest.mark.parametrize("name", list(TESTS))
def test_a_better_model_gains_surely_and_a_worse_one_does_not(name: str) -> None:
    """Both tests agree on gain and error; the lower end is below the gain."""
    labels, good, clusters = scored(1, 1.0)
    bad = scored(1, 1.6)[1]
    pair = (Ranking(labels, good).roc_auc, Ranking(labels, bad).roc_auc)
    given = {"confidence": 0.95, "replicates": 400, "seed": 3}
    found = TESTS[name](pair, clusters, sign=1.0, **given)
    assert 0 < found.low < found.value
    assert TESTS[name](pair[::-1], clusters, sign=1.0, **given).low < 0
    assert TESTS[name](pair[::-1], clusters, sign=-1.0, **given).value == pytest.approx(found.value)
    assert found.error == pytest.approx(TESTS["jackknife_t"](pair, clusters, sign=1.0, **given).error, rel=0.2)


@pytest.mark.parametrize("name", list(TESTS))
def test_equal_models_gain_nothing(name: str) -> None:
    """Not even by rounding."""
    labels, scores, clusters = scored(1, 1.0)
    metric = Ranking(labels, scores).roc_auc
    found = TESTS[name]((metric, metric), clusters, sign=1.0, confidence=0.95, replicates=100, seed=3)
    assert (found.value, found.low) == (0.0, 0.0)


@pytest.mark.parametrize("name", list(TESTS))
def test_the_confidence_is_kept_on_clusters_without_a_difference(name: str) -> None:
    """Of 300 comparisons of models that are equally good, about 5 in 100 look surely better."""
    promoted = 0
    for seed in range(300):
        labels, first, clusters = scored(seed, 1.2, rows=1200)
        second = labels + np.random.default_rng(10_000 + seed).normal(0, 1.2, len(labels))
        pair = (Ranking(labels, first).roc_auc, Ranking(labels, second).roc_auc)
        promoted += TESTS[name](pair, clusters, sign=1.0, confidence=0.95, replicates=100, seed=seed).low > 0
    assert 4 <= promoted <= 30


def test_many_comparisons_share_one_confidence() -> None:
    """The more slices, the further the bound."""
    gain = Gain(-0.02, -0.03, 0.008)
    assert at_most(gain, 0.95, 1) < 0 < at_most(gain, 0.95, 30)


def groups(seed: int = 0, rows: int = 4000) -> dict[str, Any]:
    """A number with gaps, a category with gaps, and noise."""
    random = np.random.default_rng(seed)
    number = random.normal(0, 1, rows).astype(np.float32)
    number[random.random(rows) < 0.1] = np.nan
    category = random.choice(np.array(["a", "b", "c", "d", None], dtype=object), rows)
    return {"number": number, "category": category, "noise": random.normal(0, 1, rows).astype(np.float32)}


@pytest.mark.parametrize(
    ("weak", "told"),
    [
        (lambda columns: columns["number"] > 0.8, "number > "),
        (lambda columns: np.isnan(columns["number"]), "number"),
        (lambda columns: np.isin(columns["category"].astype(str), ["b", "d"]), "category in b, d"),
    ],
)
def test_a_weak_group_is_found_and_found_again_on_other_rows(weak: Callable[[Any], Any], told: str) -> None:
    """By a number, by a gap, by categories; from its record too."""
    columns = groups()
    losses = 0.2 + 0.8 * weak(columns) + np.random.default_rng(5).random(4000) * 0.1
    worst = weak_slices.find(columns, losses, seed=0)[0]
    assert told in str(worst)
    assert "noise" not in str(worst)
    others = groups(seed=9)
    inside = Slice.from_json(worst.as_json()).holds(others)
    assert (inside == worst.holds(others)).all()
    assert weak(others)[inside].mean() > 0.95
    assert inside[weak(others)].mean() > 0.95


def test_without_a_weak_group_nothing_much_is_found() -> None:
    """Too few rows give none at all."""
    assert weak_slices.find({"a": np.arange(50.0)}, np.ones(50), seed=0) == []


@pytest.mark.parametrize(
    ("label", "low", "high"),
    [
        (lambda x, _: x > 0.5, 0.99, 1.0),
        (lambda x, _: np.abs(x) > 1, 0.97, 1.0),
        (lambda _, noise: noise > 0, 0.45, 0.55),
    ],
)
def test_one_column_tells_what_it_knows_in_any_shape(label: Callable[[Any, Any], Any], low: float, high: float) -> None:
    """A step, a dent, nothing."""
    random = np.random.default_rng(2)
    x, noise = random.normal(0, 1, 6000), random.normal(0, 1, 6000)
    truth = label(x, noise).astype(float)[:, None]
    assert low <= single_column(x[:3000], truth[:3000], x[3000:], truth[3000:], is_class=True) <= high


@pytest.mark.parametrize("rows", [200, 500, 1000, 4000])
def test_a_column_tells_of_a_number_what_it_knows_however_few_rows_there_are(rows: int) -> None:
    """A share of variance of 0.99 and of 0.5, of a line and of steps; gaps tell nothing."""
    random = np.random.default_rng(rows)
    half = rows // 2

    def told(column: Array, truth: Array) -> float:
        return single_column(column[:half], truth[:half, None], column[half:], truth[half:, None], is_class=False)

    x, noise = random.normal(0, 1, rows), random.normal(0, 1, rows)
    assert told(x, x + 0.1 * noise) == pytest.approx(0.99, abs=0.015)
    steps = np.clip(np.round(x), -2, 2)
    assert told(steps, steps**2 + 0.1 * noise) > 0.95
    assert told(x, x + noise) == pytest.approx(0.5, abs=0.15)
    gappy = np.where(random.random(rows) < 0.3, np.nan, x)
    assert 0.5 < told(gappy, x) < 0.8
    assert max(told(random.normal(0, 1, rows), noise) for _ in range(200)) < 0.15
    letters = np.array(list("abcdefgh"), dtype=object)[random.integers(0, 8, rows)]
    assert told(letters, np.array([ord(letter) for letter in letters]) + 0.2 * noise) > 0.95


def test_columns_of_gaps_or_of_one_value_or_with_one_far_away_are_measured_too() -> None:
    """The first two tell nothing; the last row of the third does not hide what the others tell."""
    truth = np.random.default_rng(3).normal(0, 1, 400)
    for column in (np.full(400, np.nan), np.ones(400)):
        assert single_column(column[:200], truth[:200, None], column[200:], truth[200:, None], is_class=False) < 0.01
    far = np.where(np.arange(400) == 399, 1e12, truth)
    assert single_column(far[:200], truth[:200, None], far[200:], truth[200:, None], is_class=False) > 0.9


def test_a_category_that_is_learnt_by_heart_tells_nothing() -> None:
    """Each value once: known in training, new in the test."""
    names = np.array([f"id{number}" for number in range(2000)], dtype=object)
    truth = (np.random.default_rng(0).random(2000) < 0.5).astype(float)[:, None]
    assert single_column(names[:1000], truth[:1000], names[1000:], truth[1000:], is_class=True) == 0.5


def test_stress_leaves_what_is_given_as_it_is() -> None:
    """And does what it says."""
    columns = groups()
    before = {name: column.copy() for name, column in columns.items()}
    spreads = {"number": 1.0, "noise": 2.0}
    noisy = stress.noisy(columns, spreads, 0.1, seed=1)
    gappy = stress.gappy(columns, 0.25, seed=1)
    shuffled = stress.permuted(columns["category"], seed=1)
    assert np.nanstd(noisy["noise"] - columns["noise"]) == pytest.approx(0.2, rel=0.1)
    assert 0.2 < np.isnan(gappy["noise"]).mean() < 0.3
    assert sorted(map(str, shuffled)) == sorted(map(str, columns["category"]))
    assert (shuffled != columns["category"]).any()
    assert set(stress.unknown(columns)["category"]) == {stress.UNKNOWN}
    swept = stress.swept(columns, "noise", np.array([1.0, 2.0]))
    assert len(swept["number"]) == 8000
    assert set(swept["noise"][:4000]) == {1.0}
    for name, column in columns.items():
        assert all(a == b or (a != a and b != b) for a, b in zip(column, before[name], strict=True))  # noqa: PLR0124


@pytest.mark.parametrize(("second", "expected"), [([1.0, 2.0, 3.0], 1.0), ([3.0, 2.0, 1.0], -1.0), ([1.0, 1.0, 1.0], 1.0)])
def test_ranks_agree_or_not(second: list[float], expected: float) -> None:
    """As scipy says, where it says something."""
    assert rank_correlation(np.array([1.0, 5.0, 9.0]), np.array(second)) == expected

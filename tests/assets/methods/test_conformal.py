"""Conformal prediction: what crepes answers on the same rows, the promised coverage on rows alike, and under drift by adapting."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods import conformal
from bentos.uncertainty import Uncertainty

ASKED = 7
OF_ALL = [[-4.227264503629591, 2.2272645036295913], [-2.2272645036295913, 4.227264503629591]]
BY_GROUP = [[-2.911262803697828, 0.9112628036978279], [-5.985989310326396, 4.652655976993062]]
SETS = ["010", "110", "011", "111", "011", "111", "010"]
SETS_BY_GROUP = ["010", "110", "111", "011", "011", "001", "110"]
"""What crepes 0.9.1 gives for the rows below at a confidence of 0.9: `ConformalRegressor` (`predict_int`) and `ConformalClassifier`
with hinge scores (`predict_set`, not smoothed), without and with Mondrian categories."""


def rows() -> tuple[np.random.Generator, np.ndarray, list[conformal.Slice]]:
    """The generator behind the reference, and the group of each of its 240 rows."""
    group = np.where(np.arange(240) % 3 == 0, "b", "a")
    return np.random.default_rng(20), group, [(str(name),) for name in group]


def served(kind: str, found: conformal.Thresholds) -> Uncertainty:
    """The thresholds as a service has them."""
    return Uncertainty(kind, ("0", "1", "2"), 0.9, ("group",), found.whole, found.slices)


@pytest.mark.parametrize("is_by_group", [False, True])
def test_intervals_are_those_of_crepes(is_by_group: bool) -> None:
    """For all rows alike, and by group."""
    random, group, groups = rows()
    labels, outputs = random.normal(0, np.where(group == "a", 1.0, 3.0)), np.full(240, 0.25)
    found = conformal.mondrian(
        conformal.scores("regression", labels, outputs), groups if is_by_group else [()] * 240, 0.9, fewest=50
    )
    asked = {"group": ["a", "b", "a", "b", "a", "b", "a"]}
    told = served("regression", found).of_columns(np.linspace(-1, 1, ASKED), asked)
    expected = BY_GROUP if is_by_group else [OF_ALL[0]]
    for place, ends in enumerate(expected):
        assert [told["low"][place], told["high"][place]] == pytest.approx(ends, abs=1e-12)
    if not is_by_group:
        assert [told["low"][-1], told["high"][-1]] == pytest.approx(OF_ALL[1], abs=1e-12)


@pytest.mark.parametrize(("is_by_group", "expected"), [(False, SETS), (True, SETS_BY_GROUP)])
def test_sets_are_those_of_crepes(is_by_group: bool, expected: list[str]) -> None:
    """Of three classes."""
    random, group, groups = rows()
    random.normal(0, np.where(group == "a", 1.0, 3.0))
    chances = random.dirichlet([1, 1, 1], 240)
    labels = np.array([random.choice(3, p=chance) for chance in chances], dtype=float)
    asked = random.dirichlet([1, 1, 1], ASKED)
    scores = conformal.scores("multiclass", labels, chances)
    found = conformal.mondrian(scores, groups if is_by_group else [()] * 240, 0.9, fewest=50)
    told = served("multiclass", found).of_columns(asked, {"group": ["a", "b", "a", "b", "a", "b", "a"]})
    assert ["".join(str(int(name in held)) for name in "012") for held in told["prediction_set"]] == expected
    assert told["is_certain"] == [item.count("1") == 1 for item in expected]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_new_rows_alike_are_covered_as_promised(kind: str, coverage: float) -> None:
    """The share of outcomes inside what is served, over 300 calibrations: within three standard errors of the promise."""
    random, found = np.random.default_rng(1), []
    for _ in range(300):
        chances = random.dirichlet([1, 1, 1] if kind == "multiclass" else [1, 1], 500)
        labels = (random.random((500, 1)) > chances.cumsum(axis=1)).sum(axis=1).astype(float)
        outputs = chances if kind == "multiclass" else chances[:, 1]
        if kind == "regression":
            labels = outputs + random.normal(0, 1, 500)
        scores = conformal.scores(kind, labels, outputs)
        threshold = conformal.quantile(scores[:199], coverage)
        answers = Uncertainty(kind, ("0", "1", "2"), coverage, (), threshold, {}).of_columns(outputs[199:], {})
        truth = labels[199:]
        if kind == "regression":
            inside = (answers["low"] <= truth) & (truth <= answers["high"])
        else:
            names = np.array(["no", "yes"] if kind == "binary" else ["0", "1", "2"])[truth.astype(int)]
            inside = np.array([name in held for name, held in zip(names, answers["prediction_set"], strict=True)])
        assert np.array_equal(inside, scores[199:] <= threshold)
        found.append(inside.mean())
    assert abs(np.mean(found) - coverage) < 3 * np.std(found) / np.sqrt(300) + 0.5 / 200


def test_a_slice_of_too_few_rows_has_the_threshold_of_all() -> None:
    """It is counted, and has none of its own."""
    scores = np.r_[np.ones(150), np.full(150, 5.0), np.full(20, 9.0)]
    groups = [("a",)] * 150 + [("b",)] * 150 + [("c",)] * 20
    found = conformal.mondrian(scores, groups, 0.9)
    assert (found.slices, found.rows) == ({("a",): 1.0, ("b",): 5.0}, {("a",): 150, ("b",): 150, ("c",): 20})
    assert found.of([("a",), ("c",), ("never seen",)]).tolist() == [1.0, found.whole, found.whole]


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_least_rows_is_where_the_quantile_is_a_score_below_none(coverage: float) -> None:
    """One row fewer would ask for a rank that no row has."""
    least = conformal.least_rows(coverage)
    assert np.ceil((least + 1) * coverage) <= least
    assert np.ceil(least * coverage) > least - 1


def test_the_level_makes_up_for_misses_whatever_comes() -> None:
    """Over T steps the misses differ from the promise by at most (1 + gamma) / (gamma T) (Gibbs and Candès 2021, prop. 4.1)."""
    random, level, missed, gamma = np.random.default_rng(3), 0.1, [], 0.05
    pool = np.abs(random.normal(size=1000))
    for step in range(2000):
        score = abs(random.normal()) * (1 + step / 500)
        reach = np.inf if level <= 0 else -np.inf if level >= 1 else conformal.quantile(pool, 1 - level)
        missed.append(float(score > reach))
        level = conformal.next_level(level, missed[-1], coverage=0.9, gamma=gamma)
    assert abs(np.mean(missed) - 0.1) <= (1 + gamma) / (gamma * 2000)

"""Each kind of target: its metrics agree with scikit-learn, weights are copies, and its decisions are the cheapest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from assets.methods import multiclass, regression
from assets.methods.kinds import KINDS
from assets.spec.judging import DECIDING, METRICS, PRICES
from bentos.decisions import decide

COSTS: dict[str, dict[str, Any]] = {
    "binary": {"missed": 5.0, "false_alarm": 1.0},
    "multiclass": {"costs": [[0, 1, 1], [1, 0, 1], [4, 1, 0]]},
    "regression": {"under": 3.0, "over": 1.0},
}


def rows(kind: str, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Labels and outputs that know something of them."""
    random = np.random.default_rng(5)
    if kind == "multiclass":
        labels = random.integers(0, 3, count).astype(float)
        scores = random.random((count, 3)) + 0.8 * np.eye(3)[labels.astype(int)]
        return labels, scores / scores.sum(axis=1, keepdims=True)
    if kind == "binary":
        labels = (random.random(count) < 0.3).astype(float)
        return labels, np.clip(0.3 * labels + 0.6 * random.random(count), 0, 1)
    labels = random.normal(10, 4, count)
    return labels, labels + random.normal(0.5, 2, count)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_metrics_of_a_kind_are_those_that_may_be_declared(kind: str) -> None:
    """Each within its range, and the deciding one among them."""
    labels, outputs = rows(kind)
    functions = KINDS[kind].metric_functions(labels, outputs, KINDS[kind].choose(labels, outputs, COSTS[kind]), COSTS[kind])
    assert set(functions) == set(METRICS[kind])
    assert DECIDING[kind] in functions
    assert PRICES[kind]
    assert set(functions) >= KINDS[kind].LOWER_IS_BETTER
    for name, function in functions.items():
        low, high = METRICS[kind][name]
        assert low <= function(np.ones_like(labels)) <= high, name


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_weight_is_a_number_of_copies(kind: str) -> None:
    """What the bootstrap rests on."""
    labels, outputs = rows(kind)
    weights = np.random.default_rng(1).integers(0, 4, len(labels)).astype(float)
    copies = np.repeat(np.arange(len(labels)), weights.astype(int))
    rule = KINDS[kind].choose(labels, outputs, COSTS[kind])
    of_rows = KINDS[kind].metric_functions(labels, outputs, rule, COSTS[kind])
    of_copies = KINDS[kind].metric_functions(labels[copies], outputs[copies], rule, COSTS[kind])
    for name, function in of_rows.items():
        assert function(weights) == pytest.approx(of_copies[name](np.ones(len(copies)))), name


def test_multiclass_metrics_agree_with_scikit_learn() -> None:
    """For weighted rows."""
    labels, outputs = rows("multiclass")
    weights = np.random.default_rng(2).random(len(labels))
    equal = {"costs": (1 - np.eye(3)).tolist()}
    found = multiclass.metric_functions(labels, outputs, equal, equal)
    said = outputs.argmax(axis=1)
    expected = {
        "roc_auc_macro": reference.roc_auc_score(labels, outputs, multi_class="ovr", sample_weight=weights),
        "accuracy": reference.accuracy_score(labels, said, sample_weight=weights),
        "balanced_accuracy": reference.balanced_accuracy_score(labels, said, sample_weight=weights),
        "f1_macro": reference.f1_score(labels, said, average="macro", sample_weight=weights),
        "log_loss": reference.log_loss(labels, outputs, sample_weight=weights),
        "cost_per_1000": 1000 * reference.zero_one_loss(labels, said, sample_weight=weights),
    }
    for name, value in expected.items():
        assert found[name](weights) == pytest.approx(value), name


def test_a_class_is_said_where_its_expected_cost_is_least() -> None:
    """A costly mistake moves the decision away from the likeliest class."""
    outputs = np.array([[0.5, 0.2, 0.3]])
    assert decide("multiclass", outputs, {"costs": [[0, 1, 1], [1, 0, 1], [1, 1, 0]]}).tolist() == [0]
    assert decide("multiclass", outputs, COSTS["multiclass"]).tolist() == [2]


def test_regression_metrics_agree_with_scikit_learn() -> None:
    """For weighted rows."""
    labels, outputs = rows("regression")
    weights = np.random.default_rng(2).random(len(labels))
    found = regression.metric_functions(labels, outputs, {"offset": 0.0}, COSTS["regression"])
    assert found["mae"](weights) == pytest.approx(reference.mean_absolute_error(labels, outputs, sample_weight=weights))
    assert found["rmse"](weights) == pytest.approx(reference.root_mean_squared_error(labels, outputs, sample_weight=weights))
    assert found["r2"](weights) == pytest.approx(reference.r2_score(labels, outputs, sample_weight=weights))
    assert "interval_coverage" not in found, "a baseline promises no interval"


def test_the_offset_is_the_cheapest_and_the_margin_covers_what_it_promises() -> None:
    """Against a fine grid of offsets, and on rows that were not used."""
    labels, outputs = rows("regression", 4000)
    rule = regression.choose(labels[:2000], outputs[:2000], COSTS["regression"])

    def spent(offset: float) -> float:
        functions = regression.metric_functions(labels[:2000], outputs[:2000], {"offset": offset}, COSTS["regression"])
        return functions["cost_per_1000"](np.ones(2000))

    assert spent(rule["offset"]) <= min(spent(offset) for offset in np.linspace(-5, 5, 201)) * 1.0005
    fresh = regression.metric_functions(labels[2000:], outputs[2000:], rule, COSTS["regression"])
    assert fresh["interval_coverage"](np.ones(2000)) == pytest.approx(regression.COVERAGE, abs=0.02)


def test_a_class_that_no_row_has_leaves_every_metric_defined() -> None:
    """As in a window that lacks a class: each metric is finite, and the ROC AUC that of the classes that are there."""
    labels, outputs = rows("multiclass")
    held = labels < 2
    cost = COSTS["multiclass"]
    functions = KINDS["multiclass"].metric_functions(labels[held], outputs[held], cost, cost)
    ones = np.ones(int(held.sum()))
    assert all(np.isfinite(function(ones)) for function in functions.values())
    expected = np.mean([reference.roc_auc_score(labels[held] == index, outputs[held][:, index]) for index in (0, 1)])
    assert functions["roc_auc_macro"](ones) == pytest.approx(expected)

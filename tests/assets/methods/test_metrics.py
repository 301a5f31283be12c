"""Metrics: they agree with scikit-learn, for weights as for repeated rows, and the threshold is the cheapest."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from assets.methods import binary as metrics
from assets.methods.bootstrap import centred

RULE, COST = {"threshold": 0.4}, {"missed": 5.0, "false_alarm": 1.0}


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with many ties, and whole-number weights."""
    random = np.random.default_rng(7)
    labels = (random.random(500) < 0.3).astype(float)
    scores = np.round(np.clip(0.3 * labels + random.random(500) * 0.7, 0, 1), 2)
    return labels, scores, random.integers(0, 4, 500).astype(float)


def test_ranking_metrics_agree_with_scikit_learn(rows: tuple[np.ndarray, ...]) -> None:
    """Weighted, with ties."""
    labels, scores, weights = rows
    ranking = metrics.Ranking(labels, scores)
    assert ranking.roc_auc(weights) == pytest.approx(reference.roc_auc_score(labels, scores, sample_weight=weights))
    assert ranking.average_precision(weights) == pytest.approx(
        reference.average_precision_score(labels, scores, sample_weight=weights)
    )


def test_losses_agree_with_scikit_learn(rows: tuple[np.ndarray, ...]) -> None:
    """Brier score and log loss."""
    labels, scores, weights = rows
    scores = np.clip(scores, 0.01, 0.99)
    found = {name: metric(weights) for name, metric in metrics.metric_functions(labels, scores, RULE, COST).items()}
    assert found["brier"] == pytest.approx(reference.brier_score_loss(labels, scores, sample_weight=weights))
    assert found["log_loss"] == pytest.approx(reference.log_loss(labels, scores, sample_weight=weights))


def test_a_weight_is_a_number_of_copies(rows: tuple[np.ndarray, ...]) -> None:
    """Every metric of weighted rows is the metric of repeated rows: what the bootstrap rests on."""
    labels, scores, weights = rows
    copies = np.repeat(np.arange(len(labels)), weights.astype(int))
    of_rows = metrics.metric_functions(labels, scores, RULE, COST)
    of_copies = metrics.metric_functions(labels[copies], scores[copies], RULE, COST)
    for name, function in of_rows.items():
        assert function(weights) == pytest.approx(of_copies[name](np.ones(len(copies)))), name


def test_the_cheapest_threshold_is_found_by_trying_all(rows: tuple[np.ndarray, ...]) -> None:
    """No threshold on a fine grid costs less."""
    labels, scores, _ = rows
    ones = np.ones_like(labels)

    def cost(threshold: float) -> float:
        return metrics.metric_functions(labels, scores, {"threshold": threshold}, COST)["cost_per_1000"](ones)

    chosen = metrics.cheapest_threshold(labels, scores, missed=5.0, false_alarm=1.0)
    assert cost(chosen) == pytest.approx(min(cost(threshold) for threshold in np.linspace(0, 1.01, 500)))


def test_it_may_be_cheapest_never_to_say_yes() -> None:
    """When false alarms cost far more than misses."""
    labels, scores = np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.9, 0.5])
    assert metrics.cheapest_threshold(labels, scores, missed=1.0, false_alarm=100.0) > scores.max()


def test_a_perfectly_calibrated_score_has_no_calibration_error() -> None:
    """And a score that is off by a tenth has a tenth, less what chance gives at this number of rows."""
    labels = np.array([0.0, 1.0] * 50)
    ones = np.ones(100)
    assert metrics.calibration_error(labels, np.full(100, 0.5))(ones) == pytest.approx(0.0)
    assert metrics.calibration_error(labels, np.full(100, 0.6))(ones) == pytest.approx(np.sqrt(0.01 - 0.25 / 99))


@pytest.mark.parametrize("off", [0.0, 0.05, 0.15])
def test_the_interval_of_the_calibration_error_holds_the_truth_as_often_as_it_says(off: float) -> None:
    """300 samples of 400 rows whose probabilities are off by a known amount: at least nine in ten of the 95 % intervals do."""
    random, held = np.random.default_rng(0), 0
    for _ in range(300):
        scores = random.uniform(0.2, 0.8, 400)
        labels = (random.random(400) < scores + off).astype(float)
        ones = np.ones(400)
        weights = random.multinomial(400, np.full(400, 1 / 400), size=100).astype(float)
        squared = metrics.squared_calibration(labels, scores)
        drawn = np.array([squared(drawn) for drawn in weights])
        found = centred(squared(ones), drawn, 0.95)
        assert found.low <= found.value <= found.high
        held += max(found.low, 0.0) <= off**2 <= max(found.high, 0.0)
    assert held / 300 >= 0.9


def test_a_ranking_without_one_class_is_undefined() -> None:
    """NaN, and no zero that looks like a figure."""
    ranking = metrics.Ranking(np.zeros(3), np.array([0.1, 0.2, 0.3]))
    assert np.isnan(ranking.roc_auc(np.ones(3)))
    assert np.isnan(ranking.average_precision(np.ones(3)))

"""Quality before labels: near the truth while the relation holds, blind when it breaks, with intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods import expected
from assets.methods.kinds import KINDS

RULE = ({"threshold": 0.2}, {"missed": 4.0, "false_alarm": 1.0})


def drawn(random: np.random.Generator, rows: int, mean: float, luck: float = 0.0) -> tuple[np.ndarray, ...]:
    """Days of rows, their log odds, and their labels; a day has luck of its own."""
    days = np.repeat(np.arange(rows // 100), 100)
    odds = random.normal(mean, 1.0, rows)
    chances = 1 / (1 + np.exp(-odds - random.normal(0, luck, rows // 100)[days]))
    return days, 1 / (1 + np.exp(-odds)), (random.random(rows) < chances).astype(float)


def test_expected_metrics_are_near_the_realised_ones_when_rows_shift() -> None:
    """The model's outputs are off by a scaling that the reference shows; later rows are likelier."""
    random = np.random.default_rng(1)
    days, truth, labels = drawn(random, 20_000, -1.5)
    calibrator = expected.Calibrator.fitted(labels, truth**1.5, days, 1)
    assert calibrator.luck < 0.1
    days, truth, labels = drawn(random, 20_000, -0.5)
    draws = expected.Draws(days, 60, 0.95, 1)
    told = expected.of_probabilities("binary", truth**1.5, calibrator, RULE, draws)
    came = KINDS["binary"].metric_functions(labels, truth**1.5, *RULE)
    for metric, item in told.items():
        value = came[metric](np.ones(len(labels)))
        assert item["low"] <= value <= item["high"], metric
        assert item["value"] == pytest.approx(value, rel=0.05), metric
    assert "calibration_error" not in told


def test_intervals_know_that_days_have_luck() -> None:
    """Of 30 months whose days have luck of their own, most realised AUCs and costs lie inside; without it, few do."""
    random = np.random.default_rng(2)
    days, outputs, labels = drawn(random, 6000, -1.0, luck=0.8)
    calibrator = expected.Calibrator.fitted(labels, outputs, days, 2)
    assert calibrator.luck == pytest.approx(0.8, abs=0.2)
    inside = {True: 0, False: 0}
    for _ in range(30):
        days, outputs, labels = drawn(random, 3000, -1.0, luck=0.8)
        value = KINDS["binary"].metric_functions(labels, outputs, *RULE)["cost_per_1000"](np.ones(len(labels)))
        for lucky in inside:
            known = calibrator if lucky else expected.Calibrator(calibrator.scaling, (calibrator.scaling,), 0.0)
            told = expected.of_probabilities("binary", outputs, known, RULE, expected.Draws(days, 40, 0.95, 3))
            inside[lucky] += told["cost_per_1000"]["low"] <= value <= told["cost_per_1000"]["high"]
    assert inside[True] >= 25
    assert inside[False] < inside[True]


def test_it_cannot_see_that_the_relation_broke() -> None:
    """Labels become coin tosses; the outputs do not know."""
    random = np.random.default_rng(3)
    days, outputs, labels = drawn(random, 10_000, 0.0)
    calibrator = expected.Calibrator.fitted(labels, outputs, days, 3)
    told = expected.of_probabilities("binary", outputs, calibrator, RULE, expected.Draws(days, 30, 0.95, 1))
    tossed = (random.random(len(labels)) < 0.5).astype(float)
    came = KINDS["binary"].metric_functions(tossed, outputs, *RULE)["roc_auc"](np.ones(len(labels)))
    assert told["roc_auc"]["value"] > came + 0.15


def test_expected_losses_follow_the_features_that_make_them() -> None:
    """Errors grow with a feature; later rows have more of it, and the expected error is the one that comes."""
    random = np.random.default_rng(4)

    def made(rows: int, most: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        feature = random.uniform(0, most, rows)
        return feature[:, None], np.abs(random.normal(0, 1 + feature)), np.repeat(np.arange(rows // 100), 100)

    features, losses, days = made(8000, 1.0)
    asked, came, later = made(8000, 0.9)
    asked = 1 - asked * 0.3
    came = np.abs(random.normal(0, 1 + asked[:, 0]))
    model = expected.LossModel.fitted({"mae": losses}, features, days, 1)
    told = model.expected(asked, expected.Draws(later, 100, 0.95, 1))["mae"]
    assert told["low"] <= came.mean() <= told["high"]
    assert told["value"] == pytest.approx(came.mean(), rel=0.05)
    assert losses.mean() < came.mean() * 0.9

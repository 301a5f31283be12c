"""Adaptive conformal inference: the coverage holds when errors grow, and nothing that was not known is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assets.methods import conformal
from assets.methods.adaptive_conformal import FULL, GAMMA, WINDOW, Followed, follow, summary

DAYS, A_DAY = 180, 200


def world(seed: int, growth: float, late: int = 1) -> tuple[np.ndarray, dict[str, Any]]:
    """Scores of rows by day, whose errors grow, with labels that come so many days later; and what `follow` takes."""
    random = np.random.default_rng(seed)
    asked = np.repeat(np.arange(DAYS), A_DAY)
    spread = 1 + growth * asked / DAYS
    # rows of a day are alike: a storm hits all of them
    spread = spread * np.exp(0.2 * random.normal(size=DAYS))[asked]
    scores = np.abs(random.normal(size=len(asked))) * spread
    return scores, {
        "asked": asked,
        "known": asked + late,
        "pool": np.abs(random.normal(size=2000) * np.exp(0.2 * random.normal(size=2000))),
        "coverage": 0.9,
        "start": 0,
        "end": DAYS,
    }


def followed(scores: np.ndarray, given: dict[str, Any]) -> Followed:
    """What following comes to."""
    return follow(scores, **given)


@pytest.mark.parametrize(("growth", "late"), [(0.0, 1), (2.0, 1), (2.0, 7), (-0.6, 1)])
def test_the_coverage_holds_whatever_becomes_of_the_errors(growth: float, late: int) -> None:
    """Over half a year within 1 % where labels come the next day, 2 % a week later; static misses far more when errors grow."""
    scores, given = world(1, growth, late)
    inside = scores <= followed(scores, given).reach
    static = scores <= conformal.quantile(given["pool"], 0.9)
    assert abs(inside.mean() - 0.9) < (0.01 if late == 1 else 0.02)
    by_month = inside.reshape(6, -1).mean(axis=1)
    assert np.abs(by_month - 0.9).max() < 0.03
    assert growth == 0 or abs(static.mean() - 0.9) > 0.04


@pytest.mark.parametrize("cut", [40, 90, 150])
def test_a_threshold_knows_no_label_that_came_later(cut: int) -> None:
    """With every later outcome changed, and every label that arrives later, thresholds up to the day are the same."""
    scores, given = world(2, 1.0, 5)
    before = followed(scores, given).reach
    turned = np.where(given["known"] > cut, 1000.0, scores)
    after = followed(turned, given).reach
    upto = given["asked"] <= cut
    assert np.array_equal(before[upto], after[upto])
    assert not np.array_equal(before, after)
    cut_off = follow(np.where(given["known"] <= cut, scores, np.nan)[upto], **{
        **given, "asked": given["asked"][upto], "known": given["known"][upto], "end": cut})  # fmt: skip
    assert np.array_equal(cut_off.reach, before[upto])
    assert cut_off.threshold == before[given["asked"] == cut][0]


def test_the_level_follows_the_equation_of_the_paper() -> None:
    """Day by day, by hand: the misses known by then, against the thresholds that those rows were answered with."""
    scores, given = world(3, 1.0)
    found = followed(scores, given)
    level, recent = 0.1, given["pool"]
    for day in range(DAYS + 1):
        if day > 0:
            rows = slice((day - 1) * A_DAY, day * A_DAY)
            level += GAMMA * min(1.0, A_DAY / FULL) * (0.1 - np.mean(scores[rows] > found.reach[rows]))
        if day >= WINDOW // 4:
            recent = scores[max(0, day - WINDOW) * A_DAY : day * A_DAY]
        level = float(np.clip(level, 1 / (len(recent) + 1), 1 - 1 / (len(recent) + 1)))
        expected = conformal.quantile(recent, 1 - level)
        assert (found.reach[day * A_DAY] if day < DAYS else found.threshold) == expected, day
    assert found.level == pytest.approx(level)


def test_without_labels_the_calibration_stands() -> None:
    """A model that was made today answers as it was calibrated."""
    scores, given = world(4, 1.0)
    found = followed(np.full_like(scores, np.nan), given)
    assert set(found.reach) == {found.threshold} == {conformal.quantile(given["pool"], 0.9)}
    assert (found.labels, found.level) == (0, pytest.approx(0.1))


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_a_summary_has_the_quantiles_of_all(coverage: float) -> None:
    """Within the share of a row that it leaves out."""
    scores = np.abs(np.random.default_rng(5).normal(size=5000))
    low, high = (conformal.quantile(scores, coverage + sign * 0.005) for sign in (-1, 1))
    assert low <= conformal.quantile(summary(scores), coverage) <= high

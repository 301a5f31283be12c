"""Two histories of the same months: the money's difference rests on the days that both have, and on the same draws."""

from __future__ import annotations

from typing import Any

import pytest

from assets.errors import DataError
from assets.review.replay_comparison import History, compared, history
from assets.storage.home import Home

RECORD: dict[str, Any] = {
    "policies": [{"name": "declared"}], "step": "month", "metric": "roc_auc", "unit": "EUR", "months": ["2024-09", "2024-10"],
    "confidence": 0.95,
}  # fmt: skip


def of_days(daily: dict[str, float], training_cost: float = 0.0) -> History:
    """A history of these days."""
    return History(daily, training_cost, 0.8, 1, 1, 0, 0, 0)


def test_what_both_share_is_no_uncertainty() -> None:
    """Days differ by a hundred, and the second costs one more on each: that is sure."""
    days = {f"2024-09-{day:02}": 100.0 * (day % 7) for day in range(1, 29)}
    found = compared(of_days(days), of_days({day: cost + 1 for day, cost in days.items()}, 50.0), RECORD, seed=1)
    assert (found.days, found.difference) == (28, pytest.approx(78))
    assert (found.low, found.high) == (pytest.approx(78), pytest.approx(78))


def test_a_difference_that_is_chance_has_zero_within() -> None:
    """One day is dearer by what another is cheaper."""
    days = {f"2024-09-{day:02}": 100.0 for day in range(1, 29)}
    after = {day: cost + (30.0 if number % 2 else -30.0) for number, (day, cost) in enumerate(days.items())}
    found = compared(of_days(days), of_days(after | {"2024-10-01": 1.0}), RECORD, seed=1)
    assert found.days == 28
    assert found.low < 0 < found.high or found.low == found.high == 0


def test_no_common_day_or_another_format_is_one_clear_error(home: Home) -> None:
    """Such as of a revision whose records are others."""
    with pytest.raises(DataError, match="no day was labelled under both"):
        compared(of_days({"2024-09-01": 1.0}), of_days({"2024-09-02": 1.0}), RECORD, seed=1)
    with pytest.raises(DataError, match="another format than this version reads"):
        history(home, "churn", {"policies": []})

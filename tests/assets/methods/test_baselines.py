"""Baselines and splits: known answers."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from assets.methods import baselines
from assets.methods.split import month_windows


def test_the_base_rate_is_the_rate_of_the_training_rows() -> None:
    """The same for each row."""
    assert baselines.constant(np.array([0.0, 0.0, 0.0, 1.0]), 3).tolist() == [0.25, 0.25, 0.25]
    assert baselines.constant(np.array([[1.0, 0.0], [0.0, 1.0]]), 1).tolist() == [[0.5, 0.5]]


def test_a_cell_is_shrunk_towards_the_overall_rate() -> None:
    """Twenty rows of the overall rate, and the cell's own; a cell never seen has the overall rate."""
    train = pd.DataFrame({"carrier": ["A", "A", "B", "B"], "minute": [10.0, 50.0, 70.0, 70.0]})
    asked = pd.DataFrame({"carrier": ["A", "B", "C"], "minute": [59.0, 119.0, 0.0]})
    rates = baselines.table(train, np.array([1.0, 1.0, 0.0, 0.0]), asked, {"carrier": None, "minute": 60.0})
    assert rates.tolist() == pytest.approx([12 / 22, 10 / 22, 0.5])


def test_windows_follow_each_other_without_gap() -> None:
    """Counted back from the last test month, at local midnight."""
    windows = month_windows("2013-03", 8, 2, 1, "America/New_York")
    assert windows.train.start == datetime(2012, 5, 1, 4)
    assert windows.train.end == windows.validate.start == datetime(2013, 1, 1, 5)
    assert windows.validate.end == windows.test.start == datetime(2013, 3, 1, 5)
    assert windows.test.end == datetime(2013, 4, 1, 4), "daylight saving began in March"


def test_a_window_holds_its_start_and_not_its_end() -> None:
    """So that no row is in two windows."""
    window = month_windows("2013-03", 1, 1, 1, "UTC").test
    times = pd.Series([window.start, window.end])
    assert window.holds(times).tolist() == [True, False]

"""Splits without months and folds: shares are kept, groups stay together, nothing of the future trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.methods.folds import expanding_folds, hashed_folds
from assets.methods.split import random_parts, share_windows

SHARES = (0.6, 0.2, 0.2)


def test_a_random_split_keeps_the_shares_in_every_stratum() -> None:
    """Exactly, up to one row."""
    strata = np.repeat(["rare", "common"], [50, 950])
    parts = random_parts([f"k{number}" for number in range(1000)], SHARES, seed=4, strata=strata)
    for stratum, size in (("rare", 50), ("common", 950)):
        counts = np.bincount(parts[strata == stratum], minlength=3)
        assert np.abs(counts - size * np.array(SHARES)).max() <= 1


def test_a_random_split_follows_keys_and_seed_and_not_the_order_of_rows() -> None:
    """The same rows in another order are dealt the same; another seed deals them otherwise."""
    keys = np.array([f"k{number}" for number in range(500)])
    parts = random_parts(keys, SHARES, seed=4)
    order = np.random.default_rng(0).permutation(500)
    assert (random_parts(keys[order], SHARES, seed=4) == parts[order]).all()
    assert (random_parts(keys, SHARES, seed=5) != parts).mean() > 0.3


def test_rows_of_a_group_stay_together() -> None:
    """And the shares are still about kept."""
    groups = np.random.default_rng(1).integers(0, 200, 2000)
    parts = random_parts(np.arange(2000), SHARES, seed=2, groups=groups)
    assert pd.Series(parts).groupby(groups).nunique().max() == 1
    assert np.bincount(parts) / 2000 == pytest.approx(SHARES, abs=0.03)


@pytest.mark.parametrize("absent", [None, np.nan, pd.NA, pd.NaT], ids=str)
def test_rows_without_a_group_are_one_group(absent: Any) -> None:
    """As a bootstrap draws them: they stay on one side, and the rows of other groups are dealt."""
    groups = np.random.default_rng(1).integers(0, 200, 2000).astype(object)
    groups[::50] = absent
    parts = random_parts(np.arange(2000), SHARES, seed=2, groups=groups)
    assert len(set(parts[::50])) == 1
    assert pd.Series(parts).groupby(groups).nunique().max() == 1
    assert np.bincount(parts) / 2000 == pytest.approx(SHARES, abs=0.05)


def test_windows_by_share_follow_each_other_and_begin_at_local_midnight() -> None:
    """So that no day is in two windows."""
    times = pd.Series(pd.date_range("2024-01-01", periods=5000, freq="37min"))
    windows = share_windows(times, (0.7, 0.15, 0.15), "America/New_York")
    assert windows.train.end == windows.validate.start
    assert windows.validate.end == windows.test.start
    assert windows.test.holds(times).iloc[-1]
    for moment in (windows.validate.start, windows.test.start):
        assert pd.Timestamp(moment, tz="UTC").tz_convert("America/New_York").strftime("%H:%M") == "00:00"
    shares = [window.holds(times).mean() for window in (windows.train, windows.validate, windows.test)]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.02)
    assert sum(shares) == pytest.approx(1)


def test_rows_within_one_day_are_cut_at_a_moment() -> None:
    """Where midnights would leave a window empty."""
    times = pd.Series(pd.date_range("2024-01-01 08:00", periods=300, freq="1min"))
    windows = share_windows(times, SHARES, "UTC")
    assert [window.holds(times).sum() for window in (windows.train, windows.validate, windows.test)] == [180, 60, 60]


def test_folds_in_order_of_time_train_on_what_was_known() -> None:
    """A label that came later than the fold begins does not train for it."""
    times = pd.Series(pd.date_range("2024-01-01", periods=400, freq="1h"))
    known = times + pd.Timedelta(hours=10)
    folds = expanding_folds(times, known, 3)
    assert len(folds) == 3
    for fold in folds:
        start = times.iloc[fold.test].min()
        assert known.iloc[fold.train].max() < start
        assert len(fold.train) > 0
    tested = np.concatenate([fold.test for fold in folds])
    assert len(np.unique(tested)) == len(tested) == 300


def test_folds_by_hash_hold_each_row_once_and_keep_groups() -> None:
    """Rows of equal key are in one fold."""
    keys = np.repeat(np.arange(100), 5)
    folds = hashed_folds(keys, 4, seed=1)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(500))
    for fold in folds:
        assert not set(keys[fold.train]) & set(keys[fold.test])

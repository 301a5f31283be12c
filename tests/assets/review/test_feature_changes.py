"""Two snapshots are compared by the entity of their rows: what came, what went, and which values are others, by how much."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from assets.features.snapshots import Snapshot
from assets.review.feature_changes import feature_changes


def snapshot(path: Path, frame: pd.DataFrame) -> Snapshot:
    """Rows as a snapshot."""
    frame.to_parquet(path)
    return Snapshot(path, "0" * 64, len(frame))


def test_rows_columns_and_values_that_differ_are_counted(tmp_path: Path) -> None:
    """A missing value differs from any other and not from another missing one."""
    before = pd.DataFrame({"id": ["a", "b", "c", "d"], "x": [0.0, 2.0, None, None], "kind": ["p", "p", "q", "q"], "gone": 1})
    after = pd.DataFrame({"id": ["e", "d", "c", "b"], "x": [9.0, None, 1.0, 3.0], "kind": ["q", "p", "q", "p"], "new": 1})
    found = feature_changes(snapshot(tmp_path / "b.parquet", before), snapshot(tmp_path / "a.parquet", after), "id")
    assert (found.rows, found.rows_added, found.rows_removed) == (3, 1, 1)
    assert (found.columns_added, found.columns_removed) == (("new",), ("gone",))
    x, kind = found.changed
    assert (x.name, x.rows, x.share) == ("x", 2, pytest.approx(2 / 3))
    assert x.distance is None  # of the rows in both, only one had a number, which does not vary
    # of b, c, d the kinds were p, q, q and are p, q, p: one of three moved
    assert (kind.name, kind.rows, kind.distance) == ("kind", 1, pytest.approx(1 / 3))


def test_a_numbers_distance_is_in_standard_deviations(tmp_path: Path) -> None:
    """All moved by one standard deviation; integers that became decimals are compared as numbers."""
    before = pd.DataFrame({"id": [1, 2, 3, 4], "x": [0, 0, 10, 10]})
    found = feature_changes(
        snapshot(tmp_path / "b.parquet", before), snapshot(tmp_path / "a.parquet", before.assign(x=before["x"] + 5.0)), "id"
    )
    assert [(item.rows, item.distance) for item in found.changed] == [(4, pytest.approx(1.0))]


def test_the_same_rows_in_another_order_differ_in_nothing(tmp_path: Path) -> None:
    """Not even where a column's numbers became others of the same value."""
    before = pd.DataFrame({"id": ["a", "b"], "x": [1, 2], "at": pd.to_datetime(["2024-01-01", "2024-01-02"])})
    after = before.iloc[::-1].assign(x=lambda rows: rows["x"].astype("int32"))
    found = feature_changes(snapshot(tmp_path / "b.parquet", before), snapshot(tmp_path / "a.parquet", after), "id")
    assert found.is_empty
    assert found.rows == 2

"""Offline features: as known at a moment, by hand-made answers and by another program; and what is refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError
from assets.features.offline_features import features_of, retrieve
from assets.storage.home import Home
from tests.assets.features.online_world import ago, entities_file, meters, published, readings


@pytest.fixture
def filled(home: Home) -> Home:
    """A home with the snapshot of the meters."""
    published(home, meters(), readings())
    return home


def test_each_row_gets_the_last_one_that_was_known_by_its_moment(filled: Home) -> None:
    """A row of the same moment counts, a later one never does, and an unknown key has nothing."""
    asked = pd.DataFrame(
        {
            "meter": ["a", "a", "a", "b", "c", "z"],
            "at": [ago(24), ago(24.001), ago(0), ago(0), ago(0), ago(0)],
            "more": range(6),
        }
    )
    found = features_of(filled, meters(), asked, time_column="at")
    assert found["level"].fillna(-1).tolist() == [2.0, 1.0, 3.0, 7.0, -1, -1]
    assert found["plan"].fillna("").tolist() == ["free", "free", "pro", "basic", "", ""]
    assert found["more"].tolist() == list(range(6))
    assert found["features_known_at"].isna().tolist() == [False] * 4 + [True] * 2


def test_one_moment_for_all_gives_the_same_as_a_column_of_it(filled: Home) -> None:
    """As of each moment, with and without an offset."""
    for hours in (0, 3, 25, 40):
        asked = pd.DataFrame({"meter": ["a", "b", "c"], "at": [ago(hours)] * 3})
        by_column = features_of(filled, meters(), asked, time_column="at").drop(columns="at")
        for moment in (ago(hours), ago(hours).replace(tzinfo=None)):
            pd.testing.assert_frame_equal(features_of(filled, meters(), asked[["meter"]], as_of=moment), by_column)


def test_what_is_too_old_is_missing_and_counted(filled: Home, tmp_path: Path) -> None:
    """By the hours of its group; at exactly that age it still counts."""
    spec = meters(ttl_hours=24, ttl_hours_of={"reading": 2})
    asked = entities_file(
        tmp_path, "asked.parquet", pd.DataFrame({"meter": ["a", "a", "b", "z"], "at": [ago(0), ago(-1), ago(0), ago(0)]})
    )
    found = retrieve(filled, spec, asked, tmp_path / "out.parquet", time_column="at")
    frame = pd.read_parquet(found.path).sort_values(["meter", "at"])
    assert frame["level"].fillna(-1).tolist() == [3.0, -1, -1, -1]
    assert frame["plan"].fillna("").tolist() == ["pro", "pro", "", ""]
    assert (found.rows, found.unknown) == (4, 1)
    assert found.expired == {"plan": 1, "level": 2, "flow": 2}


def test_it_equals_what_pandas_says_of_many_rows(home: Home) -> None:
    """A thousand readings of twenty meters, asked at five thousand moments, against `merge_asof`."""
    random = np.random.default_rng(5)
    hours = np.round(random.uniform(0, 500, 1000), 4)
    rows = [(f"m{random.integers(20)}", hour, "free", float(number % 90), None) for number, hour in enumerate(hours)]
    frame = readings(rows)
    published(home, meters(), frame)
    asked = pd.DataFrame(
        {
            "meter": [f"m{number}" for number in random.integers(0, 22, 5000)],
            "at": [pd.Timestamp(ago(hour)).tz_localize(None) for hour in random.uniform(-10, 510, 5000)],
        }
    )
    found = features_of(home, meters(ttl_hours=100), asked, time_column="at")
    expected = (
        pd.merge_asof(
            asked.reset_index().sort_values("at"),
            frame.sort_values("read_at")[["meter", "read_at", "level"]],
            left_on="at",
            right_on="read_at",
            by="meter",
            tolerance=pd.Timedelta(hours=100),
        )
        .set_index("index")
        .sort_index()
    )
    np.testing.assert_array_equal(found["level"], expected["level"])
    assert found["level"].isna().any()


def test_a_csv_file_gives_a_csv_file(filled: Home, tmp_path: Path) -> None:
    """Moments with an offset are moments."""
    asked = entities_file(tmp_path, "asked.csv", pd.DataFrame({"meter": ["a"], "at": [ago(24).isoformat()]}))
    found = retrieve(filled, meters(), asked, tmp_path / "out.csv", time_column="at")
    assert pd.read_csv(found.path)["level"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("frame", "moment", "told"),
    [
        (
            {"meter": ["z"]},
            {"as_of": ago(0)},
            r"no key of .* had features by its moment\. Its first is z; meter is written as a here",
        ),
        ({"meter": ["a"]}, {"as_of": datetime(2001, 1, 1)}, r"before all data: the first row was known at "),
        ({"meter": [7]}, {"as_of": ago(0)}, r"the key 'meter' is bigint, but meters has varchar"),
        ({"gauge": ["a"]}, {"as_of": ago(0)}, r"has no column meter\. It has: gauge\. meters is asked by meter"),
        ({"meter": ["a"]}, {"time_column": "at"}, r"has no column at\."),
        ({"meter": ["a"]}, {}, r"give --as-of, one moment for all entities, or --time-column"),
        ({"meter": ["a"], "at": [ago(0)]}, {"as_of": ago(0), "time_column": "at"}, r"exactly one of them"),
        ({"meter": ["a"], "level": [1.0]}, {"as_of": ago(0)}, r"has columns that are looked up: level"),
        ({"meter": ["a"], "at": ["tomorrow"]}, {"time_column": "at"}, r"cannot be read: .*tomorrow"),
        ({"meter": []}, {"as_of": ago(0)}, r"has no rows"),
    ],
)
def test_what_cannot_be_asked_is_one_error_and_nothing_is_written(
    filled: Home, tmp_path: Path, frame: dict[str, Any], moment: dict[str, Any], told: str
) -> None:
    """What, where, and what is allowed."""
    types = {"meter": "str"} if frame.get("meter") == [] else {}
    asked = entities_file(tmp_path, "asked.parquet", pd.DataFrame(frame).astype(types))
    with pytest.raises(DataError, match=told):
        retrieve(filled, meters(), asked, tmp_path / "out.parquet", **moment)
    assert not (tmp_path / "out.parquet").exists()


def test_a_file_that_cannot_be_read_is_one_error(filled: Home, tmp_path: Path) -> None:
    """Missing, of another kind, or broken."""
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 is not all")
    (tmp_path / "asked.txt").write_text("meter\na\n")
    for name, told in (
        ("none.csv", "is no file"),
        ("asked.txt", "must be a Parquet or CSV file"),
        ("broken.parquet", "cannot be read"),
    ):
        with pytest.raises(DataError, match=told):
            retrieve(filled, meters(), tmp_path / name, tmp_path / "out.parquet", as_of=ago(0))


def test_rows_of_one_key_and_moment_that_differ_are_refused(home: Home) -> None:
    """Unless they differ only in what the request brings."""
    published(home, meters(), readings([("a", 5, "free", 1.0, 0.5), ("a", 5, "free", 2.0, 0.5), ("b", 1, "pro", 1.0, 0.5)]))
    asked = pd.DataFrame({"meter": ["a"]})
    with pytest.raises(DataError, match=r"2 rows of the key \(meter a\) and the moment .* differ in level, so none of them"):
        features_of(home, meters(), asked, as_of=ago(0))
    assert features_of(home, meters(request=["level"]), asked, as_of=ago(0))["plan"].tolist() == ["free"]


def test_rows_without_time_are_asked_without_a_moment(home: Home) -> None:
    """And a moment is refused: nothing says when they were known."""
    spec = meters()
    declared = spec.model_dump(exclude_unset=True)
    declared["features"].pop("event_time")
    declared["split"]["by"] = "random"
    timeless = type(spec).model_validate(declared)
    rows = readings([("a", 5, "free", 1.0, 0.5), ("b", 1, "pro", 2.0, None)])
    published(home, timeless, rows)
    asked = pd.DataFrame({"meter": ["b", "z"]})
    assert features_of(home, timeless, asked)["level"].fillna(-1).tolist() == [2.0, -1]
    with pytest.raises(DataError, match="its rows have no time, so they cannot be asked as of a moment"):
        features_of(home, timeless, asked, as_of=ago(0))

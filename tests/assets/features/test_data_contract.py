"""The contract: each kind of break names its column, its rule, its count and some keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pytest

from assets.errors import ContractError
from assets.features import data_contract, snapshots
from assets.features.data_contract import Break
from assets.storage.home import Home
from tests.world import World


@pytest.fixture(scope="module")
def rows(world: World, ran: Home) -> pd.DataFrame:
    """A thousand real rows that keep the contract."""
    frame = snapshots.read(snapshots.current(ran, "flight_delay"))
    return frame.sample(1000, random_state=1)


@contextmanager
def relation(frame: pd.DataFrame) -> Iterator[ir.Table]:
    """A frame as a relation in DuckDB."""
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute("create table relation as select * from frame")
        yield ibis.duckdb.from_connection(connection).table("relation")


def broken(world: World, frame: pd.DataFrame) -> list[Break]:
    """The breaks of a frame, checked inside DuckDB."""
    with relation(frame) as table:
        return data_contract.check(table, world.product)


def test_real_rows_keep_the_contract(world: World, rows: pd.DataFrame) -> None:
    """So what the other tests see is what they planted."""
    assert broken(world, rows) == []


def set_value(column: str, value: object, count: int = 7) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Put a value into the first rows of a column."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame.index[:count], column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "column", "rule", "count"),
    [
        (set_value("distance_miles", -1.0), "distance_miles", "must be at least 1", 7),
        (set_value("distance_miles", 9000.0), "distance_miles", "must be at most 6000", 7),
        (set_value("distance_miles", None), "distance_miles", "must not be missing", 7),
        (set_value("origin", "LAX"), "origin", "must be one of EWR, JFK, LGA", 7),
        (set_value("plane_seats", None, 1000), "plane_seats", "may be missing in at most 30% of rows", 1000),
        (set_value("predicted_utc", pd.Timestamp("2014-06-01")), "predicted_utc",
         "predicted_before_departure: predicted_utc < scheduled_departure_utc", 7),
        (set_value("flight_id", "same"), "flight_id", "must identify a row", 1),
    ],
)  # fmt: skip
def test_a_break_is_named(
    world: World, rows: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], column: str, rule: str, count: int
) -> None:
    """With at most five keys of rows that break it."""
    found = [item for item in broken(world, change(rows.copy())) if (item.column, item.rule) == (column, rule)]
    assert [item.rows for item in found] == [count]
    assert 1 <= len(found[0].examples) <= 5
    assert column in str(found[0])
    assert rule in str(found[0])


def test_a_feature_without_any_value_is_a_break(world: World, rows: pd.DataFrame) -> None:
    """Even one that may often be missing."""
    found = broken(world, rows.assign(wind_gust_mph=pd.Series([None] * len(rows), dtype="float64").to_numpy()))
    assert [(item.column, item.rows) for item in found] == [("wind_gust_mph", 1000)]


def test_rules_of_wide_relations_are_asked_together_and_found_all_the_same(
    world: World, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range, a vocabulary and a share; what nothing breaks is asked of Pandera no more."""
    hurt = set_value("distance_miles", -1.0)(set_value("origin", "LAX")(set_value("plane_seats", None, 1000)(rows.copy())))
    apart = broken(world, hurt)
    monkeypatch.setattr(data_contract, "MOST_QUERIES", 0)
    assert broken(world, hurt) == apart
    assert {item.column for item in apart} >= {"distance_miles", "origin", "plane_seats"}
    assert broken(world, rows) == []


def test_a_column_of_another_type_is_a_break(world: World, rows: pd.DataFrame) -> None:
    """Text where a number was declared."""
    (found,) = broken(world, rows.assign(distance_miles=rows["distance_miles"].astype(str)))
    assert found.column == "distance_miles"
    assert "has type string" in found.rule


def test_a_column_that_is_not_there_is_a_break(world: World, rows: pd.DataFrame) -> None:
    """Named, before any rule is tried."""
    (found,) = broken(world, rows.drop(columns="plane_seats"))
    assert str(found) == "plane_seats: is no column of features.flight_delay (0 rows)"


def test_the_message_says_what_to_do(world: World, rows: pd.DataFrame) -> None:
    """And that nothing was published."""
    with (
        relation(set_value("origin", "LAX")(rows.copy())) as table,
        pytest.raises(ContractError, match=r"no snapshot was published. origin: must be one of .*Mend the feature model"),
    ):
        data_contract.require(table, world.product)

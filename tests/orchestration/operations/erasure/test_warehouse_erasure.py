"""Erasure from a product of the warehouse, whose key no landed column holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.errors import DataError, SpecificationError
from assets.features import snapshots
from assets.ingestion import landed_tables
from assets.spec.privacy import LandedKeySpec
from assets.storage.home import Home
from orchestration.operations.erasure import erasure, erasure_request
from orchestration.operations.verification.verify import verify
from tests.orchestration.operations.erasure.test_erasure import NOW, named_in
from tests.world import World

PRODUCT = "flight_delay"


def test_a_key_that_the_warehouse_makes_of_columns_is_erased_from_landing_on(ran_copy: Home, world: World) -> None:
    """Of a dbt product: its landed row and its snapshot's go, and the next landing and the warehouse lack it.

    It takes as long as a whole run does, which alone shows that nothing brings the row back.
    """
    home, spec = ran_copy, world.product
    key = str(snapshots.read(snapshots.current(home, PRODUCT))["flight_id"].iloc[7])
    sources = [(world.source, Path("/"))]
    with pytest.raises(SpecificationError, match=r"no landed table has a column 'flight_id' .* Say of which .* 'landed_key:"):
        erasure_request.look(home, spec.model_copy(update={"landed_key": None}), sources, key, actor="tester", now=NOW)
    unknown = LandedKeySpec(table="flights.weather", key="{carrier}")
    with pytest.raises(SpecificationError, match="'landed_key.table' flights.weather has not all of the key's columns"):
        erasure_request.look(home, spec.model_copy(update={"landed_key": unknown}), sources, key, actor="tester", now=NOW)
    with pytest.raises(DataError, match="is in no row of flight_id"):
        erasure_request.look(home, spec, sources, f"{key}0", actor="tester", now=NOW)
    before = {item.partition: item.rows_in for item in landed_tables.records(home, "flights", "flights")}
    request, raw = erasure_request.look(home, spec, sources, key, actor="tester", now=NOW)
    assert {"landing": 1, "snapshots": 1}.items() <= request.rows.items()
    assert [len(rows) for rows in raw.values()] == [1]
    aside = home.warehouse.parent / "warehouse.duckdb.tmp"  # as a killed build leaves it
    aside.mkdir()
    (aside / "duckdb_temp_storage-0.tmp").write_text(key)
    erasure.erase(home, request)
    assert named_in(home, (key.encode(),)) == set()
    assert verify(home, deep=True).problems == []
    left = {item.partition for item in landed_tables.records(home, "flights", "flights")}
    (month,) = before.keys() - left
    executed = world.run(home).executed
    assert {name.split("[")[0] for name in executed} >= {"landing/flights/flights", f"{PRODUCT}/snapshot", f"{PRODUCT}/model"}
    after = {item.partition: item.rows_in for item in landed_tables.records(home, "flights", "flights")}
    assert after == {**before, month: before[month] - 1}
    assert key not in set(snapshots.read(snapshots.current(home, PRODUCT))["flight_id"])
    assert named_in(home, (key.encode(),)) == set()

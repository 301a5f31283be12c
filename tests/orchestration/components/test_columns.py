"""Columns in the UI: every column of the snapshot is followed to the raw files that it comes from."""

from __future__ import annotations

import dagster as dg

from assets.storage.home import Home
from orchestration import resources
from tests.world import World


def test_every_feature_is_followed_from_the_snapshot_to_the_raw_files(world: World, ran: Home) -> None:
    """Through the materializations of one run; each asset on the way shows the columns that are asked of it."""
    graph = world.definitions(ran).resolve_asset_graph()
    with resources.instance(ran) as instance:
        lineage = {}
        for key in graph.toposorted_asset_keys:
            event = instance.get_latest_materialization_event(key)
            found = event and event.asset_materialization and event.asset_materialization.metadata.get("dagster/column_lineage")
            if isinstance(found, dg.TableColumnLineageMetadataValue):
                lineage[key] = found.column_lineage.deps_by_column
    reached: dict[str, set[str]] = {}
    for name in world.product.columns:
        waiting = [(dg.AssetKey([world.product.name, "snapshot"]), name)]
        while waiting:
            key, column = waiting.pop()
            assert graph.has(key), key
            if key.path[0] == "raw":
                reached.setdefault(name, set()).add(f"{key.path[-1]}.{column}")
            else:
                waiting += [(dep.asset_key, dep.column_name) for dep in lineage[key].get(column, [])]
    assert set(reached) == set(world.product.columns)
    assert reached["temperature_fahrenheit"] >= {"weather.temp"}
    assert "flights.dep_delay" in reached["carrier_departures_mean_delay_minutes"]
    schema = graph.get(dg.AssetKey(["landing", "flights", "weather"])).metadata["dagster/column_schema"]
    assert {column.name: column.type for column in schema.columns}["temp"] == "number"

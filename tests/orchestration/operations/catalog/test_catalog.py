"""The catalog: what it says is what the home holds, private columns are not shown, and others can read it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from assets.ingestion import landed_tables
from assets.storage.home import Home
from orchestration import resources
from orchestration.operations.catalog import dcat, open_lineage
from orchestration.operations.catalog.catalog import catalog, write_page
from orchestration.operations.catalog.dataset import Dataset
from orchestration.operations.catalog.dataset_samples import HIDDEN
from tests.world import World

EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["eventType", "eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {"type": "string", "format": "uri"},
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {"runId": {"format": "uuid"}, "facets": {"$ref": "#/$defs/facets"}},
        },
        "job": {"type": "object", "required": ["namespace", "name"], "properties": {"facets": {"$ref": "#/$defs/facets"}}},
        "inputs": {"type": "array", "items": {"$ref": "#/$defs/dataset"}},
        "outputs": {"type": "array", "items": {"$ref": "#/$defs/dataset"}},
    },
    "$defs": {
        "facets": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["_producer", "_schemaURL"],
                "properties": {
                    "_schemaURL": {"pattern": r"^https://openlineage\.io/spec/facets/\d-\d-\d/\w+\.json#/\$defs/\w+$"}
                },
            },
        },
        "dataset": {
            "type": "object",
            "required": ["namespace", "name"],
            "properties": {
                "facets": {"$ref": "#/$defs/facets"},
                "outputFacets": {"$ref": "#/$defs/facets"},
                "inputFacets": {"$ref": "#/$defs/facets"},
            },
        },
    },
}
"""What the specification of OpenLineage requires of a run's event (https://openlineage.io/docs/spec/object-model)."""


def read(world: World, home: Home) -> dict[str, Dataset]:
    """The catalog of a world, by name."""
    with resources.instance(home) as instance:
        graph = world.definitions(home).resolve_asset_graph()
        return {item.name: item for item in catalog(graph, instance, home, [world.product], [world.source])}


def test_it_says_what_the_home_holds(world: World, ran: Home) -> None:
    """Rows, bytes, columns with what they are made of, checks, seconds, and lineage both ways."""
    found = read(world, ran)
    landed, snapshot = found["landing/flights/flights"], found["flight_delay/snapshot"]
    records = landed_tables.records(ran, "flights", "flights")
    assert landed.kind == "landed table"
    assert landed.rows == sum(record.rows_good for record in records)
    assert landed.size_bytes == sum((ran.root / record.file).stat().st_size for record in records)
    assert "key: year, month, day, sched_dep_time, carrier, flight, origin, dest" in landed.promises
    assert landed.producers == ["raw/flights/flights"]
    assert "staging/stg_flights" in landed.consumers
    assert snapshot.producers == ["features/flight_delay"]
    assert {"flight_delay/model", "flight_delay/predictions"} <= set(snapshot.consumers)
    assert snapshot.owner == world.product.owner
    assert snapshot.seconds is not None
    assert [check.passed for check in snapshot.checks if check.name == "contract"] == [True]
    assert {column.name: column.made_of for column in snapshot.columns}["carrier"] == ("features/flight_delay.carrier",)
    assert found["flight_delay.carrier"].kind == "feature"
    assert found["flight_delay.carrier"].consumers == ["flight_delay/model", "flight_delay/snapshot"]
    assert len(snapshot.sample) == 6
    assert found["raw/flights/flights"].size_bytes
    for item in found.values():  # lineage both ways: who names whom is named by it
        if item.kind != "feature":
            assert all(item.name in found[name].consumers for name in item.producers)


def test_private_columns_are_not_shown(world: World, ran: Home) -> None:
    """Neither in the product's own tables nor under the name that the column had before; others are."""
    found = read(world.with_product(privacy={"destination": "hash", "carrier": "drop"}), ran)
    for name, private in {"flight_delay/snapshot": "destination", "landing/flights/flights": "dest"}.items():
        header, *rows = found[name].sample
        assert {row[header.index(private)] for row in rows} == {HIDDEN}
        assert {row[header.index("carrier")] for row in rows} == {HIDDEN}
        assert HIDDEN not in {row[header.index("origin")] for row in rows}
    assert "carrier" not in found["landing/flights/weather"].private.difference({"carrier", "destination"})


def test_the_page_finds_and_asks_nobody(world: World, ran: Home, tmp_path: Path) -> None:
    """Each dataset has a place that others link to; what the page shows is escaped; it loads nothing."""
    found = list(read(world, ran).values())
    found[0].description = "<script>alert(1)</script>"
    found[0].fresh_days, found[0].made_at = 1.0, datetime.now(UTC) - timedelta(days=2)
    html = write_page(Home(tmp_path), found, datetime.now(UTC)).read_text()
    places = re.findall(r'<details class="set" id="([^"]+)"', html)
    assert len(places) == len(set(places)) == len(found)
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(places)
    assert "<script>alert" not in html
    assert "stale: older than" in html
    assert not re.search(r'(src|href)="(?!#)', html)
    assert "http" not in re.sub(r"http://[\w.]*purl[^\"]*", "", html).replace("https://www.w3.org", "")


def test_others_read_it(world: World, ran: Home, tmp_path: Path) -> None:
    """OpenLineage events are what the specification asks for; DCAT names every dataset and what it is derived from."""
    found = list(read(world, ran).values())
    count = open_lineage.write(ran, found, tmp_path / "events.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert (
        len(lines)
        == count
        == 2 * sum(item.made_at is not None and bool(item.run_id) and item.kind != "feature" for item in found)
    )
    validator = jsonschema.Draft202012Validator(EVENT)
    assert [error.message for event in lines for error in validator.iter_errors(event)] == []
    assert all(UUID(event["run"]["runId"]) and datetime.fromisoformat(event["eventTime"]).tzinfo for event in lines)
    snapshot = next(
        event for event in lines if event["job"]["name"] == "flight_delay/snapshot" and event["eventType"] == "COMPLETE"
    )
    assert [item["name"] for item in snapshot["inputs"]] == ["features/flight_delay"]
    (output,) = snapshot["outputs"]
    assert output["facets"]["columnLineage"]["fields"]["carrier"]["inputFields"][0]["field"] == "carrier"
    assert output["outputFacets"]["outputStatistics"]["rowCount"] > 0
    model = next(event for event in lines if event["job"]["name"] == "flight_delay/model")
    (read_by_it,) = [item for item in model["inputs"] if item["name"] == "flight_delay/snapshot"]
    assertions = read_by_it["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert {"assertion": "contract", "success": True} in assertions

    dcat.write(ran, found, tmp_path / "dcat.json", datetime.now(UTC))
    graph = json.loads((tmp_path / "dcat.json").read_text())
    ids = {item["@id"] for item in graph["dcat:dataset"]}
    assert graph["@type"] == "dcat:Catalog"
    assert {link["@id"] for item in graph["dcat:dataset"] for link in item["prov:wasDerivedFrom"]} <= ids
    prefixes = {key.partition(":")[0] for item in graph["dcat:dataset"] for key in item if not key.startswith("@")}
    assert prefixes <= set(graph["@context"])


@pytest.mark.parametrize(
    "kind", ["snapshot", "model", "predictions", "raw file", "landed table", "warehouse relation", "feature"]
)
def test_every_kind_is_there(world: World, ran: Home, kind: str) -> None:
    """What the issue lists is listed."""
    assert any(item.kind == kind for item in read(world, ran).values())

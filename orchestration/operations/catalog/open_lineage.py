"""OpenLineage: the last run of each dataset as events that Marquez, DataHub and others read (https://openlineage.io)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from assets.storage.home import Home
from assets.storage.publishing import publishing
from orchestration.operations.catalog.dataset import Column, Dataset

PRODUCER = "https://openlineage.io/producer/loopline"
EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets"


def write(home: Home, datasets: Sequence[Dataset], path: Path) -> int:
    """Write the events of all datasets that were made, one JSON object a line: a start and an end for each.

    Parameters
    ----------
    home : Home
        Whose datasets; its folder is the namespace.
    datasets : sequence of Dataset
        The catalog.
    path : Path
        The file.

    Returns
    -------
    int
        How many events it holds.
    """
    lines = [json.dumps(event, ensure_ascii=False) for event in events(home.root.as_uri(), datasets)]
    with publishing(path.expanduser().absolute()) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def events(namespace: str, datasets: Sequence[Dataset]) -> Iterator[dict[str, Any]]:
    """The events, in the order in which the datasets were made.

    A run of Dagster makes many datasets; each has a run of its own here, whose parent that run is, so that a look at one job
    shows what just this job read and wrote. Features are columns of their dataset.
    """
    known = {item.name: item for item in datasets}
    made = [item for item in datasets if item.made_at is not None and item.run_id and item.kind != "feature"]
    for item in sorted(made, key=lambda item: str(item.made_at)):
        assert item.made_at is not None  # noqa: S101 - as they were chosen
        began = item.made_at - timedelta(seconds=item.seconds or 0.0)
        common: dict[str, Any] = {
            "producer": PRODUCER,
            "schemaURL": EVENT,
            "run": {
                "runId": str(uuid5(NAMESPACE_URL, f"{namespace}/{item.run_id}/{item.name}")),
                "facets": {
                    "parent": _facet(
                        "1-2-0/ParentRunFacet",
                        run={"runId": item.run_id},
                        job={"namespace": namespace, "name": "loopline run"},
                    )
                },
            },
            "job": {
                "namespace": namespace,
                "name": item.name,
                "facets": {
                    "documentation": _facet("1-1-0/DocumentationJobFacet", description=item.description),
                    "jobType": _facet(
                        "2-0-4/JobTypeJobFacet",
                        processingType="BATCH",
                        integration="LOOPLINE",
                        jobType="ASSET",
                    ),
                },
            },
            "inputs": [_input(namespace, known[name]) for name in item.producers if name in known],
        }
        yield {**common, "eventType": "START", "eventTime": began.isoformat(), "outputs": [_named(namespace, item)]}
        yield {**common, "eventType": "COMPLETE", "eventTime": item.made_at.isoformat(), "outputs": [_output(namespace, item)]}


def _named(namespace: str, item: Dataset) -> dict[str, Any]:
    return {"namespace": namespace, "name": item.name}


def _input(namespace: str, item: Dataset) -> dict[str, Any]:
    """What was read, with the results of its checks: who reads it rests on them."""
    assertions = [{"assertion": check.name, "success": check.passed} for check in item.checks if check.passed is not None]
    facets = (
        {"dataQualityAssertions": _facet("1-1-0/DataQualityAssertionsDatasetFacet", assertions=assertions)}
        if assertions
        else {}
    )
    return {**_named(namespace, item), "inputFacets": facets}


def _output(namespace: str, item: Dataset) -> dict[str, Any]:
    fields = [{"name": column.name, "type": column.type, "description": column.promise} for column in item.columns]
    facets = {
        "documentation": _facet("1-1-0/DocumentationDatasetFacet", description=item.description),
        "ownership": _facet("1-0-1/OwnershipDatasetFacet", owners=[{"name": item.owner}]),
        "version": _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=item.digest),
    }
    if fields:
        facets["schema"] = _facet("1-2-0/SchemaDatasetFacet", fields=fields)
    if traced := {column.name: _traced(namespace, column) for column in item.columns if column.made_of}:
        facets["columnLineage"] = _facet("1-2-0/ColumnLineageDatasetFacet", fields=traced)
    counted = {name: value for name, value in {"rowCount": item.rows, "size": item.size_bytes}.items() if value is not None}
    out = {"outputStatistics": _facet("1-0-2/OutputStatisticsOutputDatasetFacet", **counted)}
    return {**_named(namespace, item), "facets": facets, "outputFacets": out}


def _traced(namespace: str, column: Column) -> dict[str, Any]:
    found = [origin.rpartition(".") for origin in column.made_of]
    return {"inputFields": [{"namespace": namespace, "name": name, "field": field} for name, _, field in found]}


def _facet(place: str, **told: Any) -> dict[str, Any]:
    """A facet by its version and name, such as ``1-2-0/SchemaDatasetFacet``."""
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/{place}.json#/$defs/{place.partition('/')[2]}", **told}

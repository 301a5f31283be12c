"""DCAT: the catalog as linked data that data portals harvest (DCAT 3, https://www.w3.org/TR/vocab-dcat-3/), as JSON-LD."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.rendering.catalog_page import anchor
from assets.storage.home import Home
from assets.storage.publishing import publishing
from orchestration.operations.catalog.dataset import Dataset

CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "prov": "http://www.w3.org/ns/prov#",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def write(home: Home, datasets: Sequence[Dataset], path: Path, written: datetime) -> int:
    """Write the catalog; the number of datasets in it. Features are keywords of their dataset.

    Parameters
    ----------
    home : Home
        Whose datasets.
    datasets : sequence of Dataset
        The catalog.
    path : Path
        The file.
    written : datetime
        When this is (aware).
    """
    chosen = [item for item in datasets if item.kind != "feature"]
    with publishing(path.expanduser().absolute()) as temporary:
        temporary.write_text(json.dumps(document(home, chosen, written), indent=1, ensure_ascii=False), encoding="utf-8")
    return len(chosen)


def document(home: Home, datasets: Sequence[Dataset], written: datetime) -> dict[str, Any]:
    """The catalog as JSON-LD."""
    base = f"{home.root.as_uri()}#"
    known = {item.name for item in datasets}
    return {
        "@context": CONTEXT,
        "@id": f"{base}catalog",
        "@type": "dcat:Catalog",
        "dct:title": f"Loopline: {home.root.name}",
        "dct:modified": _time(written),
        "dcat:dataset": [_dataset(base, item, known) for item in datasets],
    }


def _dataset(base: str, item: Dataset, known: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "@id": f"{base}{anchor(item.name)}",
        "@type": "dcat:Dataset",
        "dct:identifier": item.name,
        "dct:title": item.name,
        "dct:description": item.description,
        "dct:type": item.kind,
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": item.owner},
        "dcat:keyword": [column.name for column in item.columns],
        "prov:wasDerivedFrom": [{"@id": f"{base}{anchor(name)}"} for name in item.producers if name in known],
    }
    if item.made_at is not None:
        found["dct:modified"] = _time(item.made_at)
    if item.digest:
        found["dcat:version"] = item.digest
    if item.size_bytes is not None:
        size = {"@type": "xsd:nonNegativeInteger", "@value": str(item.size_bytes)}
        found["dcat:distribution"] = {"@type": "dcat:Distribution", "dct:title": item.name, "dcat:byteSize": size}
    return found


def _time(moment: datetime) -> dict[str, str]:
    return {"@type": "xsd:dateTime", "@value": moment.isoformat(timespec="seconds")}

"""The asset `quality`: how good landed rows are, in six dimensions."""

from __future__ import annotations

from assets.ingestion import data_quality, quality_page
from assets.spec import SourceSpec
from assets.storage.asset_result import AssetResult, Link
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json


def measure_quality(home: Home, source: SourceSpec) -> AssetResult:
    """Score what is landed, and write record and page."""
    path = data_quality.measure(home, source)
    record = read_json(path)
    page = quality_page.write(home, record)
    scores = {
        f"{table}_{dimension}": score["value"]
        for table, found in record["tables"].items()
        for dimension, score in found["scores"].items()
    }
    return AssetResult(value_digest(record), {**scores, "page": Link(home.relative(page))}, path)

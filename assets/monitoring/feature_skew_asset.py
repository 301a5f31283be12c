"""The asset `feature_skew`: what services looked up by key, held against the offline store; its check warns of differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assets.errors import DataError
from assets.monitoring import feature_skew
from assets.monitoring.feature_skew import Skew
from assets.storage.asset_result import ROWS, AssetResult, CheckResult, Markdown
from assets.storage.digests import value_digest
from assets.storage.publishing import write_json

if TYPE_CHECKING:
    from assets.spec import ProductSpec
    from assets.storage.home import Home

SKEW = "skew"
RECORD = "feature_skew.json"


def compare_served_features(home: Home, spec: ProductSpec) -> AssetResult:
    """Compare all logged look-ups; where there are none, there is nothing that differs."""
    try:
        found = feature_skew.compare(home, spec)
    except DataError:
        found = Skew(0, 0, 0, 0)
    record: dict[str, Any] = {"product": spec.name, **found.as_json()}
    path = write_json(home.monitoring / spec.name / RECORD, record)
    lines = [
        [
            item.feature,
            f"{item.rows:,}",
            f"{item.later:,}",
            "" if item.largest is None else f"{item.largest:g}",
            item.request_id,
        ]
        for item in found.skews
    ]
    figures = {
        ROWS: found.rows,
        "compared": found.compared,
        "skews": Markdown.table(["feature", "rows", "of a later row", "largest difference", "a request"], lines),
        "record": path,
    }
    result = CheckResult(SKEW, not found.skews, {"features": [item.feature for item in found.skews]}, warns=True)
    return AssetResult(value_digest(record), figures, path, [result])

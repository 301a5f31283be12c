"""The asset `online_features`: the features that the service looks up by key, filled from the published snapshot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from assets.errors import FeatureStoreError
from assets.features import online_store
from assets.storage.asset_result import ROWS, AssetResult, CheckResult, FailedCheckError

if TYPE_CHECKING:
    from assets.features.online_store import Credentials, Filled
    from assets.spec import ProductSpec
    from assets.storage.home import Home

READ_BACK = "read_back"


def fill_online_store(home: Home, spec: ProductSpec, credentials: Credentials) -> AssetResult:
    """Fill the online store, and read a sample of it back; what it held before is replaced only if that is right.

    Raises
    ------
    FailedCheckError
        If a key of the sample gives something else than the offline store says as of the same moment.
    """
    results: list[CheckResult] = []

    def agrees(filled: Filled) -> None:
        figures = {"sampled": filled.sampled, "differing": filled.differing[:10]}
        results.append(CheckResult(READ_BACK, not filled.differing, figures))
        if filled.differing:
            told = (
                f"{len(filled.differing)} of {filled.sampled} keys that were read back differ from the offline store, such as "
            )
            error = FeatureStoreError(f"{spec.name}: {told}{filled.differing[0]}. What the store held before stays.")
            raise FailedCheckError(results[0], error)

    filled = online_store.fill(home, spec, datetime.now(UTC), credentials, agrees)
    figures = {
        ROWS: filled.filling.rows,
        "snapshot": filled.filling.snapshot,
        "filled_at": filled.filling.filled_at,
        "digest": filled.digest,
        "store": (spec.serving.online.store if spec.serving.online is not None else None) or "SQLite",
        "record": filled.record,
    }
    return AssetResult(filled.digest, figures, filled.record, results)

"""The asset `sql`: the champion as SQL, where its estimator can be written so."""

from __future__ import annotations

from typing import Any

from assets.errors import TranslationError
from assets.promotion.ledger import require_champion
from assets.serving import sql_export
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult
from assets.storage.digests import value_digest
from assets.storage.home import Home


def write_sql(home: Home, spec: ProductSpec) -> AssetResult:
    """Write the champion as SQL, if it is wanted; where its estimator cannot be, say so, or fail if SQL is required."""
    champion = require_champion(home, spec.name)
    refusal = "serving.sql is off" if spec.serving.sql == "off" else None
    try:
        done = None if refusal else sql_export.translate(home, spec, champion)
    except TranslationError as error:
        if spec.serving.sql == "required":
            raise
        done, refusal = None, str(error)
    if done is None:
        sql_export.withdraw(home, spec.name)
        return AssetResult(
            value_digest([champion.model_digest, refusal]), {"version": champion.version, "not_written": refusal}
        )
    figures: dict[str, Any] = {"version": champion.version, "size_bytes": done.size_bytes, "path": done.folder}
    return AssetResult(done.digest, figures, done.folder / "duckdb.sql")

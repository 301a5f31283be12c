"""The asset `report`: the challenger's model card with the gate's verdict."""

from __future__ import annotations

from assets.promotion import ledger, model_card, model_registry, verdict_records, verdicts
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult, Link
from assets.storage.digests import value_digest
from assets.storage.home import Home


def write_report(home: Home, spec: ProductSpec) -> AssetResult:
    """Write the model card of the challenger with the gate's verdict, and lay both beside its MLflow run."""
    verdict, record = verdicts.current(home, spec.name), verdicts.current_path(home, spec.name)
    serving = ledger.standing(home, spec.name).champion
    if serving is not None and serving.verdict is not None and serving.model_digest == verdict.challenger_digest:
        # not what is said of it since: that it is itself
        verdict, record = verdicts.opened(home, serving), verdict_records.place_of(home, serving)
    page = model_card.report(home, spec, verdict.as_json())
    model_registry.attach(home, model_registry.require_challenger(home, spec.name), page, record)
    return AssetResult(value_digest([verdict.digest]), {"report": Link(home.relative(page))}, page)

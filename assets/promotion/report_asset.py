"""The asset `report`: the challenger's model card with the gate's verdict."""

from __future__ import annotations

from assets.promotion import ledger, model_card, model_registry, verdicts
from assets.spec import ProductSpec
from assets.storage.asset_result import AssetResult, Link
from assets.storage.digests import value_digest
from assets.storage.home import Home


def write_report(home: Home, spec: ProductSpec) -> AssetResult:
    """Write the model card of the challenger with the gate's verdict, and lay both beside its MLflow run."""
    verdict = verdicts.current(home, spec.name)
    serving = ledger.standing(home, spec.name).champion
    if serving is not None and serving.verdict is not None and serving.model_digest == verdict.challenger_digest:
        verdict = verdicts.opened(home, serving)  # not what is said of it since: that it is itself
    page = model_card.report(home, spec, verdict.as_json())
    model_registry.attach(home, model_registry.require_challenger(home, spec.name), page, verdicts.record_path(home, verdict))
    return AssetResult(value_digest([verdict.digest]), {"report": Link(home.relative(page))}, page)

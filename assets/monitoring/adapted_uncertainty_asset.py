"""The asset `adapted_uncertainty`: the champion's thresholds, widened or narrowed by the labels that arrived since."""

from __future__ import annotations

from typing import Any

from assets.evaluation.coverage_history import history
from assets.features import snapshots
from assets.features.snapshots import Snapshot
from assets.promotion import adapted_uncertainty
from assets.promotion.ledger import require_champion
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS, AssetResult
from assets.storage.digests import file_digest
from assets.storage.home import Home
from bentos.runtime import Model


def adapt_uncertainty(home: Home, spec: ProductSpec) -> AssetResult:
    """Follow the labels of the current snapshot."""
    champion, snapshot = require_champion(home, spec.name), snapshots.current(home, spec.name)
    record = adapt(home, spec, snapshot, champion)
    path = adapted_uncertainty.publish(home, champion, record)
    figures: dict[str, Any] = {
        ROWS: record["rows"],
        "labels": record["labels"],
        "coverage": record["coverage"],
        "static_coverage": record["static_coverage"],
        "threshold": record["threshold"],
        "level": record["level"],
        "path": path,
    }
    return AssetResult(file_digest(path), figures, path)


def adapt(home: Home, spec: ProductSpec, snapshot: Snapshot, champion: Entry) -> dict[str, Any]:
    """What the labels since say: the thresholds to answer by, and the coverage that led to them.

    A champion that was made before `uncertainty.adaptive` was declared keeps its own thresholds.
    """
    model = Model.load(home.models / spec.name / champion.model_digest, champion.model_digest)
    told = model.signature.get("uncertainty")
    named = {
        "product": spec.name,
        "model_version": champion.version,
        "model_digest": champion.model_digest,
        "snapshot_digest": snapshot.digest,
    }
    if told is None or not told["adaptive"]:
        own = {"threshold": None, "slices": []} if told is None else {name: told[name] for name in ("threshold", "slices")}
        return {**named, **own, "level": None, "rows": 0, "labels": 0, "coverage": None, "static_coverage": None, "months": []}
    since = history(spec, model, snapshot)
    known, whole = since.labelled, since.parts[()]
    slices = [
        {"values": list(group), "threshold": part.threshold, "level": part.level, "labels": part.labels}
        for group, part in since.parts.items()
        if group
    ]
    return {
        **named,
        "declared": told["coverage"],
        "threshold": whole.threshold,
        "level": whole.level,
        "slices": slices,
        "rows": len(known),
        "labels": whole.labels,
        "coverage": float(since.inside(since.adaptive)[known].mean()) if known.any() else None,
        "static_coverage": float(since.inside(since.static)[known].mean()) if known.any() else None,
        "months": since.by_month(),
    }

"""The asset `fallback`: what the champion's service answers without the model, where `serving.fallback` is declared."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.errors import DataError, DigestError
from assets.evaluation.evidence import Case
from assets.features import snapshots
from assets.methods import baselines, conformal
from assets.promotion import fallback_entries
from assets.promotion.ledger import require_champion
from assets.serving import fallback_record, fallback_switch
from assets.serving.breaker_ranges import breaker_of
from assets.spec import ProductSpec
from assets.spec.fallback import BASELINE
from assets.storage.asset_result import ROWS, AssetResult
from assets.storage.digests import file_digest, value_digest
from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.training.uncertainty import coverage_of
from bentos.fallback import Fallback, cells_of
from bentos.runtime import read_signature


def make_fallback(home: Home, spec: ProductSpec) -> AssetResult:
    """Fit the fallback on the rows that the champion was fitted on.

    A champion that was trained under another declaration goes on with the one that it has, or is packaged without: that it
    serves, which may be by a rollback, must not wait for its fallback.
    """
    champion = require_champion(home, spec.name)
    try:
        record = fitted(home, spec, champion.version, champion.model_digest)
    except (DataError, DigestError) as error:
        told = {"version": champion.version, "not_fitted": str(error)}
        before = fallback_record.current(home, spec.name, champion.model_digest)
        if before is None:
            return AssetResult(value_digest([champion.model_digest, None]), {**told, ROWS: 0})
        path, digest = before
        return AssetResult(digest, {**told, ROWS: read_json(path)["rows"], "path": path}, path)
    path = fallback_record.publish(home, champion, record)
    figures: dict[str, Any] = {
        ROWS: record["rows"],
        "version": champion.version,
        "declared": str(record["declared"]),
        "cells": len(record.get("cells", ())),
        "held_out_rows": record["held_out_rows"],
        "breaker_opens_at": (record.get("breaker") or {}).get("trips_at"),
        "path": path,
    }
    return AssetResult(file_digest(path), figures, path)


def require_possible(home: Home, spec: ProductSpec, version: int, model_digest: str) -> None:
    """Refuse a version as the next champion if it cannot have a fallback although a person wants the fallback to answer.

    Raises
    ------
    LedgerError
        If none is declared, or the version was trained under a declaration that is too different.
    """
    entry = fallback_entries.in_force(home, spec.name)
    if entry is None:
        return
    if spec.serving.fallback is None:
        raise fallback_switch.not_declared(spec.name, entry)
    if fallback_record.current(home, spec.name, model_digest) is not None:
        return
    try:
        fitted(home, spec, version, model_digest)
    except (DataError, DigestError) as error:
        raise fallback_switch.model_instead(spec.name, entry, f"version {version} can have none ({error})") from error


def fitted(home: Home, spec: ProductSpec, version: int, model_digest: str) -> dict[str, Any]:
    """What the service reads: see `bentos.fallback.Fallback`; and what it was fitted on.

    Parameters
    ----------
    home, spec
        Where the model and its snapshot lie, and the declaration.
    version : int
        The version that it is the fallback of.
    model_digest : str
        The digest of its model.

    Raises
    ------
    DataError
        If the model has other features, or another kind of target, than are declared now, or the split finds no rows.
    DigestError
        If the snapshot that it was trained on is gone, or was changed.
    """
    trained_on = read_signature(home.models / spec.name / model_digest)["snapshot_digest"]
    case = Case.load(home, spec, snapshots.opened(home, spec.name, trained_on), model_digest)
    # rows that neither the model nor a table of means was fitted on
    held_out = "test" if case.has_learnt_validation else "validate"
    record: dict[str, Any] = {
        "product": spec.name,
        "model_version": version,
        "model_digest": model_digest,
        "snapshot_digest": trained_on,
        "declared": spec.serving.fallback,
        "rows": len(case.learnt.rows),
        "held_out": held_out,
        "held_out_rows": len(case.parts[held_out].rows),
        "reach": None,
        **_answers(case),
    }
    if spec.kind == "regression":
        labels, columns = case.labels(held_out), case.columns(held_out)
        answers = Fallback(record, "").outputs(columns, len(labels)).reshape(-1)
        record["reach"] = conformal.quantile(conformal.scores("regression", labels, answers), coverage_of(spec))
    if spec.serving.breaker is not None:
        record["breaker"] = breaker_of(case, held_out)
    return record


def _answers(case: Case) -> dict[str, Any]:
    """What is answered: a declared constant; or the table of means that evaluation holds the model against, by its cells."""
    spec, declared = case.spec, case.spec.serving.fallback
    if declared is None or declared == BASELINE:
        by, rows, taught = spec.baseline.by, case.learnt.rows, case.taught()
        columns = case.columns_of(rows)
        first: dict[Any, int] = {}
        for place, cell in enumerate(cells_of(columns, by)):
            first.setdefault(cell, place)
        means = baselines.table(rows, taught, rows.iloc[list(first.values())], by)
        cells = [[list(cell), _outputs(spec, mean)] for cell, mean in zip(first, means, strict=True)]
        return {
            "by": [[name, width] for name, width in by.items()],
            "cells": cells,
            "otherwise": _outputs(spec, baselines.constant(taught, 1)[0]),
        }
    if isinstance(declared, dict):
        return {"otherwise": [float(declared[name]) for name in spec.target.classes or ()]}
    return {"otherwise": _outputs(spec, declared)}


def _outputs(spec: ProductSpec, mean: Any) -> list[float]:
    """An answer as the model's graph gives it: the probabilities of the classes, of two as well; or the value."""
    values = [float(value) for value in np.atleast_1d(mean)]
    return [1 - values[0], *values] if spec.kind == "binary" else values

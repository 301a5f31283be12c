"""Leakage: signs that a model knows what it could not have known: the answer, the future, or the test rows.

Each sign is counted here; how much of it is too much is for the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.features.copy_groups import copies_among
from assets.features.snapshots import Snapshot
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.copies import NO_COPY
from assets.methods.kinds import KINDS
from assets.methods.strength import single_column_metric
from assets.spec import ProductSpec
from assets.storage.home import Home

WELL, REDRAWS = 0.8, 100
"""From which strength a column is measured with an interval, and by how many draws of whole clusters."""


def look(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Count the signs.

    The record holds

    - ``single_column``: how well each feature alone tells the target (ROC AUC, or share of variance); and
      ``single_column_low``, for those that tell it well, what that surely exceeds;
    - ``known_too_late``: for each feature that declares `known_at`, the rows in which it came after the prediction;
    - ``rows``: for training and validation, whether the model's rows are those that the split gives;
    - ``shared_entities``, ``shared_groups``: test rows whose entity, or group of the split, is in the rows that the model was
      fitted on;
    - ``before_training_ended``: test rows of a moment that those rows also reach;
    - ``copies``: how many of the labelled test rows are copies of those rows (`assets.methods.copies`): equal to one in all
      features and the target, while no row differs from them in one column only.
    """
    case = Case.load(home, spec, snapshot, model_digest)
    return case.publish(
        home,
        "leakage",
        {
            **_single_columns(case),
            "known_too_late": _known_too_late(case),
            "rows": {name: _rows_as_split(case, name) for name in ("train", "validate")},
            "shared_entities": _shared(case, spec.features.entity),
            "shared_groups": _shared(case, spec.split.group_column) if spec.split.group_column else 0,
            "before_training_ended": _before_training_ended(case),
            "copies": _copies(case),
        },
    )


def _single_columns(case: Case) -> dict[str, dict[str, float | None]]:
    spec = case.spec
    kind, classes = KINDS[spec.kind], len(spec.target.classes or ())
    told, true = (
        kind.indicators(rows.labels(spec), classes).reshape(-1, max(classes, 1)) for rows in (case.learnt, case.parts["test"])
    )
    train, test = case.columns_of(case.learnt.rows), case.columns("test")
    metrics = {
        name: single_column_metric(train[name], told, test[name], true, is_class=spec.kind != "regression")
        for name in spec.columns
    }
    ones = np.ones(len(true))
    strengths = {name: metric(ones) for name, metric in metrics.items()}
    clusters = case.parts["test"].clusters(spec)
    strong = {name: metrics[name] for name, value in strengths.items() if value > WELL}
    drawn = replicate(strong, clusters, cluster_weights(clusters, REDRAWS, spec.model.seed)) if strong else {}
    return {
        "single_column": {name: value if np.isfinite(value) else None for name, value in strengths.items()},
        "single_column_low": {
            name: interval(strengths[name], values, spec.evaluation.confidence).low for name, values in drawn.items()
        },
    }


def _known_too_late(case: Case) -> dict[str, int]:
    moment = case.spec.features.predicted_at or case.spec.features.event_time
    rows = {name: part.rows for name, part in case.parts.items()}
    return {
        name: sum(int((part[feature.known_at] > part[moment]).sum()) for part in rows.values())
        for name, feature in case.spec.columns.items()
        if feature.known_at is not None
    }


def _rows_as_split(case: Case, part: str) -> dict[str, Any]:
    """Which rows the model says it has seen, and which the split gives."""
    said = case.model.signature.get("rows", {}).get(part, {})
    return {"said": said.get("digest"), "split": case.parts[part].digest(case.spec)}


def _shared(case: Case, column: str) -> int:
    seen = set(case.learnt.rows[column].tolist())
    return sum(value in seen for value in case.parts["test"].rows[column].tolist())


def _before_training_ended(case: Case) -> int:
    time = case.spec.features.event_time
    if time is None or case.spec.split.by == "random":
        return 0
    return int((case.parts["test"].rows[time] <= case.learnt.rows[time].max()).sum())


def _copies(case: Case) -> dict[str, int]:
    """Test rows that are copies of rows that the model was fitted on; rows of all parts tell what is equal by chance."""
    others = [part for part in case.parts if part != "test"]
    first = copies_among(case.spec, *(case.parts[name].rows for name in (*others, "test")))
    ends = np.cumsum([len(case.parts[name].rows) for name in others])
    by_part = dict(zip((*others, "test"), np.split(first, ends), strict=True))
    seen = np.concatenate([by_part[name] for name in case.model.signature["fitted_on"]])
    is_copy = (by_part["test"] != NO_COPY) & np.isin(by_part["test"], seen)
    return {"rows": int(is_copy.sum()), "of": len(is_copy)}


def _figures(_: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    strengths = {name: value for name, value in record["single_column"].items() if value is not None}
    return {"strongest_column": max(strengths.values(), default=None), "single_column": strengths}


EXAMINATION = Examination(
    "leakage", look, _figures, "Signs that the model knows the answer, the future, or the test rows.", ("numpy", "pandas")
)

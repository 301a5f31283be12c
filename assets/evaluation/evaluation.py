"""Evaluation: what the model is worth on the untouched test rows, against baselines, with intervals.

The rows are scored through the ONNX graph that will be served. Whether the figures are good enough is for the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from assets.evaluation import plots, slices
from assets.evaluation.estimates import Estimates
from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.evaluation.judged_rows import BASELINES, JudgedRows, judged, tested
from assets.features.snapshots import Snapshot
from assets.methods.abstention import of_rows
from assets.methods.binary import calibration_curve
from assets.methods.bootstrap import cluster_weights, interval, replicate, widened
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS
from assets.storage.home import Home

SMALLEST_SLICE = 30
"""Slices of fewer rows are counted but not measured."""


def evaluate(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Score the test rows, measure, compare with the baselines, and write the record with its plots.

    Raises
    ------
    DataError
        If the test part lacks labelled rows.
    """
    case = Case.load(home, spec, snapshot, model_digest)
    rows = judged(case)
    evidence = case.publish(home, "evaluation", measured(case, rows))
    plots.draw(evidence.path.with_name(plots.PLOTS), evidence.record, rows.labels, rows.outputs)
    return evidence


def measured(case: Case, rows: JudgedRows) -> dict[str, Any]:
    """What is found out about a model by the rows that judge it."""
    spec, labels = case.spec, rows.labels
    weights = cluster_weights(rows.clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)
    estimates = Estimates(spec, rows, weights)
    return {
        "description": spec.description,
        "kind": spec.kind,
        "classes": list(spec.target.classes or ()),
        "unit": spec.target.unit,
        "target_means": spec.target.meaning,
        "use": spec.card.use,
        "limits": _limits(spec),
        "estimator": case.model.signature["estimator"],
        "parameters": case.model.signature["parameters"],
        "candidates": case.model.signature["candidates"],
        "features": len(spec.columns),
        "windows": {name: part.span for name, part in case.parts.items()},
        "rows": len(labels),
        "judged_by": rows.told,
        "fitted_on": case.model.signature["fitted_on"],
        "train_rows": len(case.parts["train"].rows),
        "validate_rows": len(case.parts["validate"].rows),
        "test_rows": len(case.parts["test"].rows),
        "clusters": {
            "count": int(rows.clusters.max()) + 1,
            "of": rows.rows.cluster_name(spec),
            "are_too_few": rows.rows.has_few_clusters(spec),
        },
        "unlabelled": rows.rows.unlabelled,
        "label_mean": float(labels.mean()) if spec.kind != "multiclass" else None,
        "decision": case.model.decision,
        "calibration_method": case.model.signature["calibration"],
        "confidence": spec.evaluation.confidence,
        "bootstrap_replicates": spec.evaluation.bootstrap_replicates,
        "cost": spec.cost.model_dump(exclude_none=True, exclude_defaults=False),
        "deciding_metric": spec.metric,
        "baseline_by": list(spec.baseline.by),
        "metrics": {name: estimates.metrics(name) for name in rows.outputs},
        "gain": {name: estimates.gains(name) for name in BASELINES},
        "kept_when_served": _kept_when_served(case, estimates) if rows.are_cross_fitted else None,
        "confusion": _confusion(spec, labels, rows.said),
        "calibration": _calibration(spec, labels, rows.outputs["model"]),
        "beyond_training_range": _beyond_training_range(spec, case.labels("test"), case.learnt.labels(spec)),
        "months": _by_month(case, rows),
        "slices": [_measured(case, rows, item, weights) for item in slices.declared(spec, rows.rows.rows)],
        "weak_slices": [] if rows.are_cross_fitted else [_measured(case, rows, item, weights) for item in slices.weak(case)],
    }


def _limits(spec: ProductSpec) -> list[str]:
    """What is declared, and what follows from the declaration."""
    found = list(spec.card.limits)
    if spec.split.by == "random":
        found.append(
            "The split is random, so leaks through time are not controlled: if rows come in order of time, expect worse "
            "figures on new rows than on these."
        )
        if spec.split.group is None:
            found.append("Rows are taken to be independent; rows of one person or thing on both sides would flatter the model.")
    if spec.kind == "regression":
        found.append("The prediction interval covers what it promises only for rows that are like the validation rows.")
    return found


def _kept_when_served(case: Case, estimates: Estimates) -> dict[str, float | None] | None:
    """The share of the cross-fitted gain over the constant that the model itself has on the test rows, with its interval.

    None where there is no such gain. Cross-fitting judges how a model is made; this shows whether the one made is worse.
    """
    spec, rows = case.spec, tested(case)
    weights = cluster_weights(rows.clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)
    asked = {name: {spec.metric: rows.functions[name][spec.metric]} for name in ("model", "constant")}
    gain = Estimates(spec, replace(rows, functions=asked), weights).gains("constant")[spec.metric]
    whole = estimates.gains("constant")[spec.metric]["value"]
    return {name: _finite(value / whole) for name, value in gain.items()} if whole > 0 else None


def _confusion(spec: ProductSpec, labels: Array, said: Any) -> dict[str, Any] | None:
    """How many rows of each true class were said to be of which: ``counts[true][said]``."""
    if spec.kind == "regression":
        return None
    names = ["no", "yes"] if spec.kind == "binary" else list(spec.target.classes or ())
    size = len(names)
    counts = np.bincount(labels.astype(int) * size + said.astype(int), minlength=size * size).reshape(size, size)
    return {"classes": names, "counts": counts.tolist()}


def _calibration(spec: ProductSpec, labels: Array, outputs: Array) -> list[dict[str, float]]:
    """What was predicted against what came, in bins; for several classes the confidence against the share that was right."""
    if spec.kind == "multiclass":
        return calibration_curve((outputs.argmax(axis=1) == labels).astype(np.float64), outputs.max(axis=1))
    return calibration_curve(labels, outputs)


def _beyond_training_range(spec: ProductSpec, labels: Array, learnt: Array) -> float | None:
    """The share of test rows whose target no row reaches that the model was fitted on; None where the target is a class."""
    if spec.kind != "regression":
        return None
    return float(np.mean((labels < learnt.min()) | (labels > learnt.max())))


def _by_month(case: Case, rows: JudgedRows) -> list[dict[str, Any]]:
    if case.spec.features.event_time is None:
        return []
    months = rows.rows.local_times(case.spec).dt.strftime("%Y-%m").to_numpy()
    found = []
    for month in sorted(set(months)):
        inside = months == month
        ones = np.ones(int(inside.sum()))
        functions = case.metrics_of(rows.labels[inside], rows.outputs["model"][inside], of_rows(rows.rule, inside))
        figures = {metric: _finite(function(ones)) for metric, function in functions.items()}
        found.append({"month": month, "rows": len(ones), **figures})
    return found


def _measured(case: Case, rows: JudgedRows, group: slices.SliceRows, weights: Array) -> dict[str, Any]:
    """The deciding metric and the cost of a slice, with the rows they rest on."""
    inside, ones = group.inside, np.ones(int(group.inside.sum()))
    entry: dict[str, Any] = {"name": group.name, "rows": len(ones), "conditions": group.conditions, "metrics": {}}
    if len(ones) >= SMALLEST_SLICE:
        functions = case.metrics_of(rows.labels[inside], rows.outputs["model"][inside], of_rows(rows.rule, inside))
        chosen = {name: functions[name] for name in dict.fromkeys((case.spec.metric, "cost_per_1000"))}
        drawn = replicate(chosen, rows.clusters[inside], weights)
        for name, function in chosen.items():
            if np.isfinite(point := function(ones)):
                found = interval(point, widened(point, drawn[name], rows.widening), case.spec.evaluation.confidence)
                entry["metrics"][name] = vars(found)
    return entry


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _figures(spec: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    model = record["metrics"]["model"]
    return {
        ROWS: record["rows"],
        **{metric: estimate["value"] for metric, estimate in model.items()},
        **{f"{metric}_{end}": estimate[end] for metric, estimate in model.items() for end in ("low", "high")},
        f"table_{spec.metric}": record["metrics"]["table"][spec.metric]["value"],
    }


EXAMINATION = Examination(
    "evaluation",
    evaluate,
    _figures,
    "Metrics with intervals on the untouched test rows, against baselines; declared and weak slices; plots.",
    ("numpy", "onnxruntime", "scikit-learn", "matplotlib"),
    reads=frozenset(("baseline", "evaluation", "card")),
    plots=plots.PLOTS,
)

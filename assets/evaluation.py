"""Evaluation: what the model is worth on the untouched test rows, against baselines, with intervals.

The rows are scored through the ONNX graph that will be served. Whether the figures are good enough is for the gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assets import charts, slices
from assets.evidence import Case, Evidence
from assets.methods import baselines
from assets.methods.binary import calibration_curve
from assets.methods.bootstrap import centred, cluster_weights, interval, replicate
from assets.methods.kinds import KINDS
from assets.methods.ranking import Array
from assets.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.storage import Home

BASELINES = ("constant", "table")
SMALLEST_SLICE = 30
"""Slices of fewer rows are counted but not measured."""


def evaluate(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Score the test rows, measure, compare with the baselines, and write the record with its plots.

    Raises
    ------
    DataError
        If the test part lacks labelled rows.
    """
    kind, case = KINDS[spec.kind], Case.load(home, spec, snapshot, model_digest)
    model, train_part, test_part = case.model, case.parts["train"], case.parts["test"]
    labels, train_labels = case.labels("test"), case.labels("train")
    taught = kind.indicators(train_labels, len(spec.target.classes or ()))
    outputs = {
        "model": model.predict(case.columns("test")),
        "constant": baselines.constant(taught, len(labels)),
        "table": baselines.table(train_part.rows, taught, test_part.rows, spec.baseline.by),
    }
    rules = {"model": model.decision} | dict.fromkeys(BASELINES, kind.indifferent(spec.prices))
    clusters = test_part.clusters(spec)
    weights = cluster_weights(clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)
    points: dict[str, dict[str, float]] = {}
    draws: dict[str, dict[str, Array]] = {}
    for name, given in outputs.items():
        functions = kind.metric_functions(labels, given, rules[name], spec.prices)
        points[name] = {metric: function(np.ones_like(labels)) for metric, function in functions.items()}
        draws[name] = replicate(functions, clusters, weights)
    record = {
        "description": spec.description,
        "kind": spec.kind,
        "classes": list(spec.target.classes or ()),
        "unit": spec.target.unit,
        "target_means": spec.target.meaning,
        "use": spec.card.use,
        "limits": _limits(spec),
        "estimator": spec.model.estimator,
        "parameters": model.signature["parameters"],
        "features": len(spec.columns),
        "windows": {name: part.span for name, part in case.parts.items()},
        "rows": len(labels),
        "train_rows": len(train_labels),
        "validate_rows": len(case.parts["validate"].rows),
        "clusters": {"count": int(clusters.max()) + 1, "of": _cluster_name(spec)},
        "unlabelled": test_part.unlabelled,
        "label_mean": float(labels.mean()) if spec.kind != "multiclass" else None,
        "decision": model.decision,
        "calibration_method": model.signature["calibration"],
        "confidence": spec.evaluation.confidence,
        "bootstrap_replicates": spec.evaluation.bootstrap_replicates,
        "cost": spec.cost.model_dump(exclude_none=True, exclude_defaults=False),
        "deciding_metric": spec.metric,
        "baseline_by": list(spec.baseline.by),
        "metrics": {
            name: _with_intervals(spec, points[name], draws[name])
            | _calibration_error(spec, labels, outputs[name], clusters, weights)
            for name in outputs
        },
        "gain": _gains(spec, points, draws),
        "confusion": _confusion(spec, labels, model.decide(outputs["model"])),
        "calibration": _calibration(spec, labels, outputs["model"]),
        "beyond_training_range": _beyond_training_range(spec, labels, train_labels),
        "months": _by_month(case, labels, outputs["model"]),
        "slices": [_measured(case, item, outputs["model"], clusters, weights) for item in slices.declared(case)],
        "weak_slices": [_measured(case, item, outputs["model"], clusters, weights) for item in slices.weak(case)],
    }
    evidence = case.publish(home, "evaluation", record)
    charts.draw(evidence.path.with_name(charts.PLOTS), evidence.record, labels, outputs)
    return evidence


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


def _cluster_name(spec: ProductSpec) -> str:
    if spec.features.event_time is not None:
        return "days"
    return f"groups of equal {spec.split.group}" if spec.split.group else "random groups of rows"


def _with_intervals(spec: ProductSpec, points: dict[str, float], draws: dict[str, Array]) -> dict[str, Any]:
    return {metric: vars(interval(value, draws[metric], spec.evaluation.confidence)) for metric, value in points.items()}


def _gains(spec: ProductSpec, points: dict[str, dict[str, float]], draws: dict[str, dict[str, Array]]) -> dict[str, Any]:
    """How much better the model is than each baseline on the same rows; positive is better for every metric."""
    gains: dict[str, Any] = {}
    for baseline in BASELINES:
        gains[baseline] = {}
        for metric, value in points["model"].items():
            if metric not in points[baseline]:
                continue
            sign = -1.0 if metric in KINDS[spec.kind].LOWER_IS_BETTER else 1.0
            gains[baseline][metric] = vars(
                interval(
                    sign * (value - points[baseline][metric]),
                    sign * (draws["model"][metric] - draws[baseline][metric]),
                    spec.evaluation.confidence,
                )
            )
    return gains


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


def _calibration_error(spec: ProductSpec, labels: Array, outputs: Array, clusters: Any, weights: Array) -> dict[str, Any]:
    """The calibration error with an interval of its square, whose bootstrap replicates are biased."""
    squared = KINDS[spec.kind].squared_calibration(labels, outputs)
    if squared is None:
        return {}
    drawn = replicate({"squared": squared}, clusters, weights)["squared"]
    found = centred(squared(np.ones_like(labels)), drawn, spec.evaluation.confidence)
    return {"calibration_error": {name: float(np.sqrt(max(value, 0.0))) for name, value in vars(found).items()}}


def _beyond_training_range(spec: ProductSpec, labels: Array, train_labels: Array) -> float | None:
    """The share of test rows whose target no training row reaches; None where the target is a class."""
    if spec.kind != "regression":
        return None
    return float(np.mean((labels < train_labels.min()) | (labels > train_labels.max())))


def _by_month(case: Case, labels: Array, outputs: Array) -> list[dict[str, Any]]:
    if case.spec.features.event_time is None:
        return []
    months = case.parts["test"].local_times(case.spec).dt.strftime("%Y-%m").to_numpy()
    found = []
    for month in sorted(set(months)):
        inside = months == month
        ones = np.ones(int(inside.sum()))
        figures = {metric: function(ones) for metric, function in case.metrics_of(labels[inside], outputs[inside]).items()}
        found.append({"month": month, "rows": len(ones), **{name: _finite(value) for name, value in figures.items()}})
    return found


def _measured(case: Case, group: slices.SliceRows, outputs: Array, clusters: Any, weights: Array) -> dict[str, Any]:
    """The deciding metric and the cost of a slice, with the rows they rest on."""
    inside, ones = group.inside, np.ones(int(group.inside.sum()))
    entry: dict[str, Any] = {"name": group.name, "rows": len(ones), "conditions": group.conditions, "metrics": {}}
    if len(ones) >= SMALLEST_SLICE:
        functions = case.metrics_of(case.labels("test")[inside], outputs[inside])
        chosen = {name: functions[name] for name in dict.fromkeys((case.spec.metric, "cost_per_1000"))}
        drawn = replicate(chosen, clusters[inside], weights)
        for name, function in chosen.items():
            if np.isfinite(point := function(ones)):
                entry["metrics"][name] = vars(interval(point, drawn[name], case.spec.evaluation.confidence))
    return entry


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None

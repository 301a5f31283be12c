"""Evaluation: what the model is worth on the untouched test rows, against baselines, with intervals.

The rows are scored through the ONNX graph that will be served. Whether the figures are good enough is for the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets import charts
from assets.errors import DigestError
from assets.methods import baselines
from assets.methods.binary import calibration_curve
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.kinds import KINDS
from assets.methods.ranking import Array
from assets.snapshots import LabelledRows, Snapshot, labelled, read
from assets.spec import ProductSpec
from assets.storage import Home, published, read_json, value_digest, write_json
from bentos.runtime import Model

BASELINES = ("constant", "table")
SMALLEST_SLICE = 30
"""Slices of fewer rows are counted but not measured."""


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of one model on one snapshot: its record, where it lies, and the record's digest."""

    record: dict[str, Any]
    path: Path
    report: Path
    digest: str


def evaluate(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evaluation:
    """Score the test rows, measure, compare with the baselines, and write the record and the report.

    Raises
    ------
    DataError
        If the test part lacks labelled rows.
    """
    kind = KINDS[spec.kind]
    parts = labelled(spec, read(snapshot))
    train_part, test_part = parts["train"], parts["test"]
    model = Model.load(home.models / spec.name / model_digest, model_digest)
    labels, train_labels = test_part.labels(spec), train_part.labels(spec)
    taught = kind.indicators(train_labels, len(spec.target.classes or ()))
    outputs = {
        "model": model.predict({name: test_part.rows[name].to_numpy() for name in spec.columns}),
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
        "product": spec.name,
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
        "model_digest": model_digest,
        "snapshot_digest": snapshot.digest,
        "windows": {name: part.span for name, part in parts.items()},
        "rows": len(labels),
        "train_rows": len(train_labels),
        "validate_rows": len(parts["validate"].rows),
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
        "metrics": {name: _with_intervals(spec, points[name], draws[name]) for name in outputs},
        "gain": _gains(spec, points, draws),
        "confusion": _confusion(spec, labels, model.decide(outputs["model"])),
        "calibration": _calibration(spec, labels, outputs["model"]),
        "months": _by_month(spec, test_part, labels, outputs["model"], model.decision),
        "slices": _by_slice(spec, test_part, labels, outputs["model"], model.decision),
    }
    folder = home.report_folder(spec.name, model_digest, snapshot.digest)
    path = write_json(folder / "evaluation.json", record)
    report = charts.write_report(folder / "evaluation.html", record, labels, outputs)
    done = Evaluation(record, path, report, value_digest(record))
    write_json(home.reports / spec.name / "current.json", {"folder": folder.name, "digest": done.digest})
    return done


def current(home: Home, product: str) -> Evaluation:
    """The evaluation that was made last.

    Raises
    ------
    DigestError
        If there is none, or its record was changed.
    """
    pointer = published(home.reports / product / "current.json", f"{product}: no model is evaluated")
    folder = home.reports / product / pointer["folder"]
    record = read_json(folder / "evaluation.json")
    if value_digest(record) != pointer["digest"]:
        raise DigestError(f"{folder}/evaluation.json was changed after it was published. Run `loopline run {product}` again.")
    return Evaluation(record, folder / "evaluation.json", folder / "evaluation.html", pointer["digest"])


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


def _by_month(
    spec: ProductSpec, part: LabelledRows, labels: Array, outputs: Array, rule: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if spec.features.event_time is None:
        return []
    months = part.local_times(spec).dt.strftime("%Y-%m").to_numpy()
    found = []
    for month in sorted(set(months)):
        inside = months == month
        functions = KINDS[spec.kind].metric_functions(labels[inside], outputs[inside], rule, spec.prices)
        ones = np.ones(int(inside.sum()))
        figures = {metric: function(ones) for metric, function in functions.items()}
        found.append({"month": month, "rows": int(inside.sum()), **{name: _finite(value) for name, value in figures.items()}})
    return found


def _by_slice(
    spec: ProductSpec, part: LabelledRows, labels: Array, outputs: Array, rule: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The deciding metric and the cost of each value of each declared slice, with the rows they rest on."""
    found = []
    clusters = part.clusters(spec)
    weights = cluster_weights(clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)
    for column in spec.evaluation.slices:
        values = part.rows[column].fillna("(missing)").astype(str).to_numpy()
        for value in sorted(set(values)):
            inside = values == value
            entry: dict[str, Any] = {"column": column, "value": value, "rows": int(inside.sum()), "metrics": {}}
            if inside.sum() >= SMALLEST_SLICE:
                functions = KINDS[spec.kind].metric_functions(labels[inside], outputs[inside], rule, spec.prices)
                chosen = {name: functions[name] for name in dict.fromkeys((spec.metric, "cost_per_1000"))}
                drawn = replicate(chosen, clusters[inside], weights)
                for name, function in chosen.items():
                    point = function(np.ones(int(inside.sum())))
                    if np.isfinite(point):
                        entry["metrics"][name] = vars(interval(point, drawn[name], spec.evaluation.confidence))
            found.append(entry)
    return found


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None

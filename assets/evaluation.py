"""Evaluation: what the model is worth on the untouched test window, against baselines, with intervals.

The rows are scored through the ONNX graph that will be served. Whether the figures are good enough is for the gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets import charts
from assets.errors import DigestError
from assets.methods import baselines
from assets.methods.bootstrap import Array, cluster_weights, interval, replicate
from assets.methods.metrics import LOWER_IS_BETTER, calibration_curve, metric_functions
from assets.snapshots import LabelledRows, Snapshot, labelled, read
from assets.spec import ProductSpec
from assets.storage import Home, published, read_json, value_digest, write_json
from bentos.runtime import Model


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of one model on one snapshot: its record, where it lies, and the record's digest."""

    record: dict[str, Any]
    path: Path
    report: Path
    digest: str


def evaluate(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evaluation:
    """Score the test window, measure, compare with the baselines, and write the record and the report.

    Raises
    ------
    DataError
        If the test window lacks labelled rows of both classes.
    """
    parts = labelled(spec, read(snapshot))
    train_part, test_part = parts["train"], parts["test"]
    model = Model.load(home.models / spec.name / model_digest, model_digest)
    labels = test_part.labels(spec).to_numpy()
    train_labels = train_part.labels(spec).to_numpy()
    days = test_part.days(spec)
    scores = {
        "model": model.predict({name: test_part.rows[name].to_numpy() for name in spec.features.columns}),
        "base_rate": baselines.base_rate(train_labels, len(labels)),
        "rate_table": baselines.rate_table(train_part.rows, train_labels, test_part.rows, spec.baseline.by),
    }
    thresholds = {"model": model.threshold} | dict.fromkeys(("base_rate", "rate_table"), _indifference(spec))
    weights = cluster_weights(days, spec.evaluation.bootstrap_replicates, spec.model.seed)
    points: dict[str, dict[str, float]] = {}
    draws: dict[str, dict[str, Array]] = {}
    for name, given in scores.items():
        functions = metric_functions(labels, given, thresholds[name], spec.cost.missed, spec.cost.false_alarm)
        points[name] = {metric: function(np.ones_like(labels)) for metric, function in functions.items()}
        draws[name] = replicate(functions, days, weights)
    record = {
        "product": spec.name,
        "description": spec.description,
        "positive_means": spec.target.meaning,
        "model_digest": model_digest,
        "snapshot_digest": snapshot.digest,
        "window": [test_part.window.start.isoformat(), test_part.window.end.isoformat()],
        "rows": len(labels),
        "train_rows": len(train_labels),
        "days": int(days.max()) + 1,
        "unlabelled": test_part.unlabelled,
        "positive_rate": float(labels.mean()),
        "train_positive_rate": float(train_labels.mean()),
        "threshold": model.threshold,
        "confidence": spec.evaluation.confidence,
        "bootstrap_replicates": spec.evaluation.bootstrap_replicates,
        "cost": {"missed": spec.cost.missed, "false_alarm": spec.cost.false_alarm, "unit": spec.cost.unit},
        "metrics": {name: _with_intervals(spec, points[name], draws[name]) for name in scores},
        "gain": _gains(spec, points, draws),
        "decisions": _decisions(labels, scores["model"], model.threshold),
        "calibration": calibration_curve(labels, scores["model"]),
        "months": _by_month(spec, test_part, labels, scores["model"], model.threshold),
    }
    folder = home.report_folder(spec.name, model_digest, snapshot.digest)
    path = write_json(folder / "evaluation.json", record)
    report = charts.write_report(folder / "evaluation.html", record, labels, scores)
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


def _indifference(spec: ProductSpec) -> float:
    """The probability at which yes and no cost the same: a baseline's best threshold if it is calibrated."""
    return spec.cost.false_alarm / (spec.cost.false_alarm + spec.cost.missed)


def _with_intervals(spec: ProductSpec, points: dict[str, float], draws: dict[str, Array]) -> dict[str, Any]:
    return {metric: vars(interval(value, draws[metric], spec.evaluation.confidence)) for metric, value in points.items()}


def _gains(spec: ProductSpec, points: dict[str, dict[str, float]], draws: dict[str, dict[str, Array]]) -> dict[str, Any]:
    """How much better the model is than each baseline on the same rows; positive is better for every metric."""
    gains: dict[str, Any] = {}
    for baseline in ("base_rate", "rate_table"):
        gains[baseline] = {}
        for metric, value in points["model"].items():
            sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
            gains[baseline][metric] = vars(
                interval(
                    sign * (value - points[baseline][metric]),
                    sign * (draws["model"][metric] - draws[baseline][metric]),
                    spec.evaluation.confidence,
                )
            )
    return gains


def _decisions(labels: Array, scores: Array, threshold: float) -> dict[str, int]:
    said = scores >= threshold
    return {
        "true_positive": int((said & (labels == 1)).sum()),
        "false_positive": int((said & (labels == 0)).sum()),
        "false_negative": int((~said & (labels == 1)).sum()),
        "true_negative": int((~said & (labels == 0)).sum()),
    }


def _by_month(spec: ProductSpec, part: LabelledRows, labels: Array, scores: Array, threshold: float) -> list[dict[str, Any]]:
    months = part.local_times(spec).dt.strftime("%Y-%m").to_numpy()
    found = []
    for month in sorted(set(months)):
        inside = months == month
        functions = metric_functions(labels[inside], scores[inside], threshold, spec.cost.missed, spec.cost.false_alarm)
        ones = np.ones(int(inside.sum()))
        found.append(
            {
                "month": month,
                "rows": int(inside.sum()),
                "positive_rate": float(labels[inside].mean()),
                **{metric: function(ones) for metric, function in functions.items()},
            }
        )
    return found

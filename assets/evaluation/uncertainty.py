"""Uncertainty: whether outcomes of the test rows lie where the answers say, and how wide those are.

Whether the coverage is good enough is for the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assets.evaluation.coverage_history import history
from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.features.snapshots import Snapshot
from assets.methods import conformal
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.ranking import Array, mean_of
from assets.spec import ProductSpec
from assets.spec.applicability import declares_uncertainty
from assets.storage.home import Home
from assets.training.uncertainty import slices_of
from bentos.uncertainty import Uncertainty

SMALLEST_SLICE = 30
"""Slices of fewer rows are counted but not measured."""


def look(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Measure coverage and size on the labelled test rows; where labels are followed, both ways.

    The record holds

    - ``declared``: the promised coverage; ``rows``: the test rows;
    - ``coverage``: of what is served, with its interval; ``static_coverage``: of the model's own thresholds;
    - ``size`` and ``static_size``: the mean width, or the mean number of classes in a set; ``certain``: the share of sets of
      exactly one class;
    - ``slices``: rows, coverage and size of each slice by which the width differs, or would if it had rows enough;
    - ``months``: the same by month, where rows have a time.
    """
    case = Case.load(home, spec, snapshot, model_digest)
    told, own, part = case.model.signature["uncertainty"], Uncertainty.of(case.model.signature), case.parts["test"]
    assert own is not None  # noqa: S101 - for the type checker: it looks at models that declare it
    outputs = case.model.predict(case.columns("test"))
    scores, groups = conformal.scores(spec.kind, part.labels(spec), outputs), slices_of(own.by, part.rows)
    static = conformal.Thresholds(own.whole, own.slices, {}).of(groups)
    months: list[dict[str, Any]] = []
    reach = static
    if told["adaptive"]:
        since = history(spec, case.model, snapshot)
        of_rows = dict(zip(since.keys.tolist(), since.adaptive.tolist(), strict=True))
        reach = np.array([of_rows[key] for key in part.rows[spec.features.entity].tolist()])
    if spec.features.event_time is not None:
        names = part.local_times(spec).dt.strftime("%Y-%m").to_numpy()
        both = {"": reach, "static_": static}
        for name in sorted(set(names)):
            inside = names == name
            measured = {
                f"{kind}{figure}": float(value)
                for kind, far in both.items()
                for figure, value in (
                    ("coverage", np.mean(scores[inside] <= far[inside])),
                    ("size", conformal.sizes(spec.kind, outputs[inside], far[inside]).mean()),
                )
            }
            months.append({"month": name, "rows": int(inside.sum()), **measured})
    clusters = part.clusters(spec)
    weights = cluster_weights(clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)

    def estimate(values: Array, rows: Any = slice(None)) -> dict[str, float]:
        of = mean_of(values[rows])
        drawn = replicate({"value": of}, clusters[rows], weights)["value"]
        return vars(interval(of(np.ones(len(values[rows]))), drawn, spec.evaluation.confidence))

    covered = (scores <= reach).astype(np.float64)
    sizes = conformal.sizes(spec.kind, outputs, reach)
    slices = []
    for group in sorted(set(groups) - {()}):
        inside = np.array([item == group for item in groups])
        entry: dict[str, Any] = {"values": list(group), "rows": int(inside.sum()), "is_own": group in own.slices}
        if inside.sum() >= SMALLEST_SLICE:
            entry |= {"coverage": estimate(covered, inside), "size": float(sizes[inside].mean())}
        slices.append(entry)
    record = {
        "declared": own.coverage,
        "is_adaptive": told["adaptive"],
        "rows": len(scores),
        "coverage": estimate(covered),
        "static_coverage": estimate((scores <= static).astype(np.float64)),
        "size": float(sizes.mean()),
        "static_size": float(conformal.sizes(spec.kind, outputs, static).mean()),
        "certain": None if spec.kind == "regression" else float(np.mean(sizes == 1)),
        "by": list(own.by),
        "slices": slices,
        "too_few": told["too_few"],
        "months": months,
    }
    return case.publish(home, "uncertainty", record)


def _figures(_: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("declared", "coverage", "static_coverage", "size", "certain")}


EXAMINATION = Examination(
    "uncertainty",
    look,
    _figures,
    "Coverage and width of intervals, or sets of classes, on the test rows, by slice and month.",
    ("numpy", "onnxruntime", "pandas"),
    reads=frozenset(("evaluation",)),
    applies=declares_uncertainty,
)

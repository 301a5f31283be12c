"""Explanations: which features move the model's answers, for all rows and for each, and whether that can be relied upon.

They are of the fitted pipeline and are held against what the served graph answers. What they must keep is for the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.evaluation.shap_values import Contributions, explain
from assets.features.snapshots import Snapshot
from assets.methods.bootstrap import cluster_weights, interval
from assets.methods.ranks import rank_correlation
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS
from assets.storage.home import Home
from assets.storage.pseudonym_key import shown
from assets.storage.publishing import publishing
from assets.training.estimators import trusted_types

REDRAWS = 100
SHOWN_ROWS, SHOWN_FEATURES = 3, 6


def explain_model(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Explain a sample of the test rows; their contributions also lie beside the record, as ``contributions.parquet``.

    The record holds the method and unit; ``gap``, the largest difference between what contributions add up to and what is
    served; ``importance``, the mean absolute contribution by feature; ``stability``, the mean rank correlation between
    these and those of redrawn rows, with its interval; and the features that moved three of the rows most.
    """
    import skops.io

    case = Case.load(home, spec, snapshot, model_digest)
    fitted = skops.io.load(home.models / spec.name / model_digest / "model.skops", trusted=list(trusted_types(spec)))
    test, train = case.parts["test"].rows, case.learnt.rows
    random = np.random.default_rng(spec.model.seed)
    rows = np.sort(random.permutation(len(test))[: spec.gates.explanations.rows])
    background = train.iloc[np.sort(random.permutation(len(train))[: spec.gates.explanations.rows])]
    found = explain(spec, fitted, test.iloc[rows], background)
    rows = rows[: len(found.values)]

    served = case.model.predict(case.columns("test", rows))
    scale = max(1.0, float(np.abs(served).max())) if spec.kind == "regression" else 1.0
    by_row = np.abs(found.values).sum(axis=2)
    clusters = np.unique(case.parts["test"].clusters(spec)[rows], return_inverse=True)[1]
    evidence = case.publish(
        home,
        "explanations",
        {
            "rows": len(rows),
            "method": found.method,
            "unit": found.unit,
            "gap": float(np.abs(found.outputs - served).max()) / scale,
            "importance": dict(zip(spec.columns, by_row.mean(axis=0).tolist(), strict=True)),
            **_stability(by_row, clusters, spec.model.seed, spec.evaluation.confidence),
            "examples": _examples(home, case, found, rows),
        },
    )
    _write(home, case, found, rows, evidence)
    return evidence


def _stability(by_row: Any, clusters: Any, seed: int, confidence: float) -> dict[str, Any]:
    """Mean rank correlation of importances with those of rows whose clusters are drawn anew, and the ends of those found."""
    whole = by_row.mean(axis=0)
    weights = cluster_weights(clusters, REDRAWS, seed)[:, clusters]
    found = np.array([rank_correlation(whole, drawn @ by_row) for drawn in weights])
    ends = interval(float(found.mean()), found, confidence)
    return {"stability": ends.value, "stability_interval": {"low": ends.low, "high": ends.high}}


def _examples(home: Home, case: Case, found: Contributions, rows: Any) -> list[dict[str, Any]]:
    """The rows with the least, the middle and the greatest answer, and what moved them; private values are not shown."""
    asked = case.parts["test"].rows.iloc[rows]
    moved = found.values[:, :, -1] if case.spec.kind != "multiclass" else np.abs(found.values).sum(axis=2)
    order = np.argsort(moved.sum(axis=1), kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(SHOWN_ROWS, len(order))).astype(int)]
    names, entity = list(case.spec.columns), case.spec.features.entity

    def value(name: str, row: int) -> Any:
        given = asked[name].iloc[row]
        return None if _plain(given) is None else _plain(shown(home, case.spec.privacy, name, given))

    return [
        {
            "entity": str(shown(home, case.spec.privacy, entity, str(asked[entity].iloc[row]))),
            "moved": [
                {"feature": names[place], "value": value(names[place], row), "by": float(moved[row, place])}
                for place in np.argsort(-np.abs(moved[row]), kind="stable")[:SHOWN_FEATURES]
            ],
        }
        for row in chosen.tolist()
    ]


def _plain(value: Any) -> float | str | None:
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return None
    return value if isinstance(value, str) else float(f"{float(value):.6g}")


def _write(home: Home, case: Case, found: Contributions, rows: Any, evidence: Evidence) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    spec = case.spec
    classes = spec.target.classes or ("",)
    entity = spec.features.entity
    keys = case.parts["test"].rows[entity].iloc[rows].astype(str)
    columns: dict[str, Any] = {entity: [shown(home, spec.privacy, entity, key) for key in keys]}
    for output in range(found.values.shape[2]):
        label = f":{classes[output]}" if spec.kind == "multiclass" else ("" if output == found.values.shape[2] - 1 else ":no")
        columns[f"base{label}"] = np.full(len(rows), found.base[output])
        columns |= {f"{name}{label}": found.values[:, place, output] for place, name in enumerate(spec.columns)}
    with publishing(evidence.path.with_name("contributions.parquet")) as temporary:
        pq.write_table(pa.table(columns), temporary)


def _figures(_: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: record[name] for name in ("method", "gap", "stability")}
    return {**shown, ROWS: record["rows"], "importance": record["importance"]}


EXAMINATION = Examination(
    "explanations",
    explain_model,
    _figures,
    "Shapley values of a sample of the test rows, whether they add up to what is served, and whether they are stable.",
    ("shap", "scikit-learn", "numpy"),
    gate="explanations",
    reads=frozenset(("privacy",)),
)

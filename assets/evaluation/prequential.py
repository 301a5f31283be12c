"""Prequential evaluation: what an online model would answer if it went on learning through the test rows as labels arrive.

What is served is the state before the test rows; this shows beside it what learning on is worth (Dawid 1984). Scaling and
decision rule are those of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.features.labelled_rows import joined
from assets.features.snapshots import Snapshot, read
from assets.methods.abstention import of_rows
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.calibration import Scaling
from assets.methods.kinds import sign_of
from assets.methods.ranking import Array
from assets.spec import ProductSpec
from assets.spec.applicability import learnt_by
from assets.storage.asset_result import ROWS
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.publishing import publishing
from assets.training.candidates import outputs_of_scores
from assets.training.online.answers import answered_online
from assets.training.online.way import declared

if TYPE_CHECKING:
    import pandas as pd

COST = "cost_per_1000"
ANSWERS = "prequential.npy"
"""The file beside the record with the answers to the test rows, which the gate holds against the champion's."""


def _outputs(case: Case) -> Array:
    """What is said of each test row by the labels that had arrived when it was predicted, those of other test rows too."""
    told, folder = case.model.signature["calibration"], case.home.learning / case.spec.name
    _, scores = answered_online(case.spec, declared(case.spec), _taught(case), case.parts["test"].rows, folder=folder)
    scaling = Scaling(told["slope"], tuple(told["intercepts"])) if told["method"] == "scaling" else None
    return outputs_of_scores(case.spec, scores, scaling)


def _taught(case: Case) -> pd.DataFrame:
    """What the model was learned from, and every label that arrived since the test rows begin, whose row it may be."""
    import pandas as pd

    parts, rows = case.parts, read(case.snapshot)
    begin, end = parts["train"].window, parts["test"].window
    assert begin is not None  # noqa: S101 - for the type checker: an online model is split in order of time
    assert end is not None  # noqa: S101
    moments = rows[str(case.spec.features.event_time)]
    later = (moments >= begin.start) & (moments < end.end) & (rows[str(case.spec.target.known_at)] >= end.start)
    return pd.concat([joined((parts["train"], parts["validate"]), "before").rows, rows[later]])


def go_on(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Answer the test rows as labels arrive, and hold that against what the model as it is served says of them."""
    case = Case.load(home, spec, snapshot, model_digest)
    part, labels = case.parts["test"], case.labels("test")
    outputs = {"served": case.model.predict(case.columns("test")), "learning_on": _outputs(case)}
    metrics, rules = dict.fromkeys((spec.metric, COST)), {name: case.tested_rule(given) for name, given in outputs.items()}
    measured = {name: case.metrics_of(labels, given, rules[name]) for name, given in outputs.items()}
    functions = {f"{metric} {name}": of[metric] for name, of in measured.items() for metric in metrics}
    clusters, ones = part.clusters(spec), np.ones(len(labels))
    weights = cluster_weights(clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)
    drawn = replicate(functions, clusters, weights)
    path = home.report_folder(spec.name, model_digest, snapshot.digest) / ANSWERS
    with publishing(path) as draft, draft.open("wb") as file:
        np.save(file, outputs["learning_on"], allow_pickle=False)
    record: dict[str, Any] = {"rows": len(labels), "answers_digest": file_digest(path)}
    for metric in metrics:
        values = {name: functions[f"{metric} {name}"](ones) for name in outputs}
        sign = sign_of(spec.kind, metric)
        gains = sign * (drawn[f"{metric} learning_on"] - drawn[f"{metric} served"])
        gain = interval(sign * (values["learning_on"] - values["served"]), gains, spec.evaluation.confidence)
        record[metric] = {**values, **{f"gain_{end}": value for end, value in vars(gain).items()}}
    months = part.local_times(spec).dt.strftime("%Y-%m").to_numpy()
    record["months"] = []
    for month in sorted(set(months)):
        inside = months == month
        some = {name: (given[inside], of_rows(rules[name], inside)) for name, given in outputs.items()}
        record["months"].append({"month": str(month), **_metrics(case, labels[inside], some)})
    record["table"] = {
        "columns": ["month", "rows", f"{spec.metric} as served", f"{spec.metric} learning on"],
        "rows": [[item["month"], item["rows"], *(_shown(item[name]) for name in outputs)] for item in record["months"]],
    }
    return case.publish(home, EXAMINATION.name, record)


def _metrics(case: Case, labels: Array, answers: Mapping[str, tuple[Array, dict[str, Any]]]) -> dict[str, Any]:
    """The deciding metric of some rows, by outputs and rule of each; None where they do not define it."""
    found: dict[str, Any] = {"rows": len(labels)}
    for name, (given, rule) in answers.items():
        value = case.metrics_of(labels, given, rule)[case.spec.metric](np.ones(len(labels)))
        found[name] = float(value) if np.isfinite(value) else None
    return found


def _shown(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4g}"


def _figures(spec: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        ROWS: record["rows"],
        **{f"{metric}_{name}": value for metric in (spec.metric, COST) for name, value in record[metric].items()},
    }


EXAMINATION = Examination(
    "prequential",
    go_on,
    _figures,
    "What an online model would answer if it went on learning through the test rows, beside what is served.",
    ("numpy", "onnxruntime", "river"),
    reads=frozenset(("evaluation", "cost")),
    applies=learnt_by("online"),
)

"""Robustness: what is left of a model's worth when rows come noisy, gappy, unknown, shifted or shuffled.

Worth is the gain of the deciding metric over the constant baseline; each stress is told by the share of it that is kept.
How much must be kept is for the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.evaluation.stresses import spreads_of, stressed_rows, under_stress
from assets.features.snapshots import Snapshot
from assets.methods import baselines, stress
from assets.methods.abstention import of_rows
from assets.methods.bootstrap import Array, cluster_weights, halves, interval, replicate
from assets.methods.folds import Positions
from assets.methods.kinds import KINDS
from assets.methods.stress import Column, Columns
from assets.spec import ProductSpec
from assets.storage.asset_result import ROWS
from assets.storage.home import Home
from assets.training.decision_rule import decision_rule

Metric = Callable[[Array], float]
SWEPT_ROWS, SWEPT_VALUES = 500, 15
"""How many rows are asked, with how many values of a feature, whether predictions move as declared."""

STACKED_VALUES = 4_000_000
"""How many values of changed rows are asked in one call: 32 MB."""

REDRAWS = 100
"""Draws of whole clusters for the intervals of the shares that are kept."""

SAME = 1e-6
"""A step back this small is single precision, not a broken direction; relative to the spread of the outputs."""


def stressed(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Stress a model on a sample of the test rows.

    The record holds the rows asked; ``clean`` and ``constant``, the deciding metric without stress and of the constant
    baseline; ``kept`` under noise, gaps and unknown categories; ``kept_shifted`` and ``kept_permuted`` by column;
    ``least_kept``, the share of each stress with its interval, for the last two of the column that is worst on one half of the
    rows, measured on the other; and ``steps_against``, for each monotone feature the share of
    steps in which a prediction moves the wrong way.
    """
    case = Case.load(home, spec, snapshot, model_digest)
    gate, seed = spec.gates.robustness, spec.model.seed
    rows = stressed_rows(case)
    labels, columns = case.labels("test")[rows], case.columns("test", rows)
    worth = _Worth(case, labels, columns, rows)
    whole = under_stress(case, columns)
    least = {name: worth.interval(changed, "") for name, changed in whole.items()}
    shifted = [
        (name, columns[name] + side * gate.shift * spread) for name, spread in spreads_of(case).items() for side in (-1, 1)
    ]
    shuffled = [(name, stress.permuted(column, seed)) for name, column in columns.items()]
    kept: dict[str, dict[str, float]] = {"shifted": {}, "shuffled": {}}
    for name, changes in (("shifted", shifted), ("shuffled", shuffled)):
        shares = worth.kept_each(columns, changes)
        for (column, _), share in zip(changes, shares[0], strict=True):
            kept[name][column] = min(kept[name].get(column, share), share)
        if changes:
            column, values = changes[int(np.argmin(np.where(np.isfinite(shares[1]), shares[1], -np.inf)))]
            least[name] = worth.interval({**columns, column: values}, column)
    return case.publish(
        home,
        "robustness",
        {
            "rows": len(labels),
            "metric": spec.metric,
            "clean": worth.all.clean,
            "constant": worth.all.constant,
            "gain": case.sign * (worth.all.clean - worth.all.constant),
            "kept": {name: worth.kept(given) for name, given in whole.items()},
            "kept_shifted": kept["shifted"],
            "kept_permuted": kept["shuffled"],
            "least_kept": least,
            "steps_against": {
                name: _steps_against(case, columns, name, feature.monotone)
                for name, feature in spec.columns.items()
                if feature.monotone is not None
            },
        },
    )


@dataclass(frozen=True)
class _Rows:
    """Some rows, by the weights of their clusters, and the deciding metric of them: without stress, and of the baseline."""

    of_clusters: Array
    weights: Array
    clean: float
    constant: float

    @property
    def have_gain(self) -> bool:
        """Whether there is something of which a share can be kept."""
        return bool(np.isfinite(self.clean - self.constant) and self.clean != self.constant)

    def share(self, metric: Metric) -> float:
        """The share of the gain that is kept; 1 is all of it, NaN where there is no gain."""
        kept = metric(self.weights) - self.constant
        return float(kept / (self.clean - self.constant)) if self.have_gain else float("nan")


class _Worth:
    """What a model gains over the constant baseline on some rows, and the share of it that is kept when they change."""

    def __init__(self, case: Case, labels: Any, columns: Columns, rows: Positions) -> None:
        kind, spec = KINDS[case.spec.kind], case.spec
        flat = baselines.constant(case.taught(), len(labels))
        self.case, self.labels = case, labels
        self.metrics = {
            "clean": case.metrics(labels, columns)[spec.metric],
            "constant": kind.metric_functions(labels, flat, kind.indifferent(spec.prices), spec.prices)[spec.metric],
        }
        self.clusters = np.unique(case.parts["test"].clusters(spec)[rows], return_inverse=True)[1]
        self.weights = cluster_weights(self.clusters, REDRAWS, spec.model.seed)
        self.all = self._rows(np.ones(self.weights.shape[1]))
        first, second = (self._rows(half) for half in halves(self.clusters, spec.model.seed))
        can_choose = first.have_gain and second.have_gain
        self.choosing, self.measuring = (first, second) if can_choose else (self.all, self.all)

    def _rows(self, of_clusters: Array) -> _Rows:
        weights = of_clusters[self.clusters]
        return _Rows(of_clusters, weights, **{name: metric(weights) for name, metric in self.metrics.items()})

    def kept(self, changed: Columns) -> float:
        """The share that is kept of the gain on all rows."""
        return self.all.share(self.case.metrics(self.labels, changed)[self.case.spec.metric])

    def kept_each(self, columns: Columns, changes: Sequence[tuple[str, Column]]) -> tuple[list[float], list[float]]:
        """The shares that are kept when one column is changed, for each change: of all rows, and of those that choose.

        Many changes are asked in one call: a call of a graph with thousands of inputs takes longer than its rows.
        """
        together = max(1, STACKED_VALUES // (len(columns) * len(self.labels)))
        of_all, of_choosing = [], []
        for start in range(0, len(changes), together):
            some = changes[start : start + together]
            stacked = {name: np.tile(column, len(some)) for name, column in columns.items()}
            for place, (name, values) in enumerate(some):
                stacked[name][place * len(values) : (place + 1) * len(values)] = values
            answered = self.case.model.predict(stacked)
            rule, rows = decision_rule(self.case.model, answered, stacked), np.arange(len(answered))
            for places in np.split(rows, len(some)):
                metric = self.case.metrics_of(self.labels, answered[places], of_rows(rule, places))[self.case.spec.metric]
                of_all.append(self.all.share(metric))
                of_choosing.append(self.choosing.share(metric))
        return of_all, of_choosing

    def interval(self, changed: Columns, column: str = "") -> dict[str, Any]:
        """The share that is kept with its interval; where a column was chosen, of the rows that did not choose it."""
        metric = self.case.metrics(self.labels, changed)[self.case.spec.metric]
        rows = self.measuring if column else self.all
        drawn = replicate({**self.metrics, "now": metric}, self.clusters, self.weights * rows.of_clusters)
        with np.errstate(divide="ignore", invalid="ignore"):  # a draw in which nothing is gained has no share
            shares = (drawn["now"] - drawn["constant"]) / (drawn["clean"] - drawn["constant"])
        found = interval(rows.share(metric), shares[np.isfinite(shares)], self.case.spec.evaluation.confidence)
        return {**vars(found), "column": column}


def _steps_against(case: Case, columns: Columns, name: str, direction: str) -> float:
    """The share of steps between neighbouring values of a feature in which the prediction moves the wrong way."""
    few = {other: column[:SWEPT_ROWS] for other, column in columns.items()}
    known = columns[name][~np.isnan(columns[name])]
    values = np.unique(np.quantile(known, np.linspace(0, 1, SWEPT_VALUES)))
    answers = case.model.predict(stress.swept(few, name, values)).reshape(len(values), -1)
    steps = np.diff(answers, axis=0) * (1 if direction == "increasing" else -1)
    return float((steps < -SAME * max(1.0, float(np.ptp(answers)))).mean()) if steps.size else 0.0


def _figures(_: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {f"kept_under_{name}": share for name, share in record["kept"].items()}
    return {**kept, ROWS: record["rows"], "kept_shuffled": record["kept_permuted"]}


EXAMINATION = Examination(
    "robustness",
    stressed,
    _figures,
    "What is kept of the model's worth under noise, gaps, unknown categories, shifted and shuffled columns.",
    ("numpy", "onnxruntime"),
    gate="robustness",
)

"""The models of two revisions on the same test rows: every metric and the money, with intervals of the differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.evaluation.evidence import Case
from assets.methods.bootstrap import Array, cluster_weights, replicate
from assets.methods.kinds import KINDS, sign_of
from assets.training.decision_rule import decision_rule

if TYPE_CHECKING:
    import pandas as pd

UNDIRECTED = ("bias", "interval_coverage")
"""Metrics of which neither more nor less is better."""


@dataclass(frozen=True)
class MetricDifference:
    """A metric of both models.

    Parameters
    ----------
    name : str
        The metric.
    before, after : float
        Its value of each.
    low, high : float
        The interval of ``after - before`` by the bootstrap over the same draws.
    is_better : bool or None
        Whether the second is surely better, or surely worse; None where chance may account for the difference.
    """

    name: str
    before: float
    after: float
    low: float
    high: float
    is_better: bool | None

    @property
    def difference(self) -> float:
        """By how much it is higher now."""
        return self.after - self.before


@dataclass(frozen=True)
class ModelComparison:
    """Two models on the same rows.

    Parameters
    ----------
    rows : int
        The rows: test rows of both revisions that neither model learnt from, of the wanted months.
    left_out : int
        Test rows of one revision alone, or of other months.
    labels_changed : int
        Rows whose label is another now; both are judged by the present ones.
    confidence : float
        The confidence of the intervals, two-sided.
    clusters : str
        What is drawn by the bootstrap, in words.
    metrics : tuple of MetricDifference
        All metrics, the deciding one first, then the money.
    """

    rows: int
    left_out: int
    labels_changed: int
    confidence: float
    clusters: str
    metrics: tuple[MetricDifference, ...]


def compared(before: Case, after: Case, months: tuple[str, str] | None = None) -> ModelComparison:
    """Compare the model of one revision with that of another.

    Both answer the same entities, each by its own features; labels and prices are those of the second.

    Parameters
    ----------
    before, after : Case
        The models on their own snapshots.
    months : tuple of str, optional
        The first and the last month of the rows, as ``2013-11``; left out, all test rows.

    Raises
    ------
    DataError
        If the two answer different questions, or no row is left.
    """
    spec = after.spec
    if (before.model.kind, before.model.signature["classes"]) != (after.model.kind, after.model.signature["classes"]):
        raise DataError(
            f"the models answer different questions ({before.model.kind} and {after.model.kind}), so no metric compares them"
        )
    first, second = before.parts["test"], after.parts["test"]
    keys = [part.rows[case.spec.features.entity].astype(str) for case, part in ((before, first), (after, second))]
    inside = keys[1].isin(set(keys[0])).to_numpy()
    if months is not None and spec.features.event_time is not None:
        local = second.local_times(spec).dt.strftime("%Y-%m")
        inside = inside & ((local >= months[0]) & (local <= months[1])).to_numpy()
    rows = second.rows[inside]
    if len(rows) < 2:
        raise DataError("the test rows of the two revisions have none in common, so no metric compares the models")
    places = {key: place for place, key in enumerate(keys[0])}
    former = first.rows.iloc[[places[key] for key in keys[1][inside]]]
    part = replace(second, rows=rows)
    labels, clusters = part.labels(spec), part.clusters(spec)
    functions = [_functions(case, item, labels, spec.prices) for case, item in ((before, former), (after, rows))]
    names = [spec.metric, "cost_per_1000", *functions[1]]
    metrics = _differences(
        [{name: found[name] for name in dict.fromkeys(names)} for found in functions],
        clusters,
        spec.kind,
        confidence=spec.evaluation.confidence,
        replicates=spec.evaluation.bootstrap_replicates,
        seed=spec.model.seed,
    )
    changed = int((former[before.spec.target.column].to_numpy() != rows[spec.target.column].to_numpy()).sum())
    total = len(set(keys[0]) | set(keys[1]))
    return ModelComparison(
        len(rows), total - len(rows), changed, spec.evaluation.confidence, part.cluster_name(spec), tuple(metrics)
    )


def _functions(case: Case, rows: pd.DataFrame, labels: Array, prices: Any) -> Mapping[str, Callable[[Array], float]]:
    columns = case.columns_of(rows)
    outputs = case.model.predict(columns)
    return KINDS[case.spec.kind].metric_functions(labels, outputs, decision_rule(case.model, outputs, columns), prices)


def _differences(
    functions: list[dict[str, Callable[[Array], float]]],
    clusters: np.ndarray[Any, Any],
    kind: str,
    *,
    confidence: float,
    replicates: int,
    seed: int,
) -> list[MetricDifference]:
    weights, ones = cluster_weights(clusters, replicates, seed), np.ones(len(clusters))
    drawn = [replicate(item, clusters, weights) for item in functions]
    ends, found = [(1 - confidence) / 2, (1 + confidence) / 2], []
    for name in functions[1]:
        low, high = map(float, np.nanquantile(drawn[1][name] - drawn[0][name], ends))
        surely = [bound for bound, is_sure in ((low, low > 0), (high, high < 0)) if is_sure]
        is_better = sign_of(kind, name) * surely[0] > 0 if surely else None
        is_better = None if name in UNDIRECTED else is_better
        found.append(MetricDifference(name, functions[0][name](ones), functions[1][name](ones), low, high, is_better))
    return found

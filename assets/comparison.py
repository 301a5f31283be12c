"""Comparison: a challenger against whoever serves, or against the constant baseline, on the same test rows and draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets import slices
from assets.evidence import Case
from assets.methods import baselines
from assets.methods.bootstrap import cluster_weights, replicate
from assets.methods.kinds import KINDS
from assets.methods.paired import TESTS, Gain, at_most
from assets.methods.ranking import Array
from bentos.runtime import Model

COST = "cost_per_1000"
SLICE_REPLICATES = 200
"""Draws for the standard error of a slice's gain; its bound is normal, so that it can be shared among many slices."""

Functions = dict[str, Callable[[Array], float]]


class Rival:
    """What a challenger is compared with: outputs for the test rows, and the rule by which they decide."""

    def __init__(self, case: Case, name: str, outputs: Array, decision: dict[str, Any]) -> None:
        self.case, self.name, self.outputs, self.decision = case, name, outputs, decision

    @classmethod
    def champion(cls, case: Case, model: Model) -> Rival | str:
        """The model that serves, or why it cannot be compared."""
        spec, rows = case.spec, case.parts["test"].rows
        lacking = sorted(set(model.signature["features"]).difference(rows.columns))
        if lacking:
            return f"the champion needs {', '.join(lacking)}, which the snapshot lacks"
        if (model.kind, model.signature["classes"]) != (spec.kind, list(spec.target.classes or ())):
            return f"the champion answers another question ({model.kind}): rename the product"
        outputs = model.predict({name: rows[name].to_numpy() for name in model.signature["features"]})
        return cls(case, "the champion", outputs, model.decision)

    @classmethod
    def constant(cls, case: Case) -> Rival:
        """One answer for all rows: the mean of the training rows."""
        kind, spec = KINDS[case.spec.kind], case.spec
        taught = kind.indicators(case.labels("train"), len(spec.target.classes or ()))
        outputs = baselines.constant(taught, len(case.parts["test"].rows))
        return cls(case, "the constant baseline", outputs, kind.indifferent(spec.prices))

    def metrics(self, rows: Any) -> Functions:
        """All metrics on some of the test rows."""
        labels, spec = self.case.labels("test")[rows], self.case.spec
        return KINDS[spec.kind].metric_functions(labels, self.outputs[rows], self.decision, spec.prices)


@dataclass(frozen=True)
class SliceGain:
    """How a challenger does on a slice: its gain, and the most that it can be, all slices considered."""

    name: str
    rows: int
    gain: float
    at_most: float


@dataclass(frozen=True)
class Comparison:
    """A challenger against a rival: gain in the deciding metric and saving in money, positive where it is better.

    Parameters
    ----------
    gain, saving : Gain
        By the declared test, at the declared confidence.
    rival_cost : float
        What the rival costs per 1,000 rows.
    """

    gain: Gain
    saving: Gain
    rival_cost: float


def against(case: Case, rival: Rival, outputs: Array) -> Comparison:
    """Compare on all test rows, by the declared paired test."""
    rule, everywhere = case.spec.promotion, slice(None)
    own, other = case.metrics_of(case.labels("test"), outputs), rival.metrics(everywhere)
    clusters = case.parts["test"].clusters(case.spec)

    def tested(metric: str, sign: float) -> Gain:
        return TESTS[rule.test](
            (own[metric], other[metric]),
            clusters,
            sign=sign,
            confidence=rule.confidence,
            replicates=case.spec.evaluation.bootstrap_replicates,
            seed=case.spec.model.seed,
        )

    return Comparison(tested(case.spec.metric, case.sign), tested(COST, -1.0), other[COST](np.ones(len(outputs))))


def on_slices(case: Case, rival: Rival, outputs: Array, weak: list[dict[str, Any]]) -> list[SliceGain]:
    """Compare on each declared slice, and on the weak slices that were found, of at least the declared rows.

    A slice on which the deciding metric cannot be told, such as one without positives, is left out.
    """
    spec, metric = case.spec, case.spec.metric
    groups = slices.declared(case) + [slices.again(case, item["conditions"], item["name"]) for item in weak]
    judged = [group for group in groups if group.inside.sum() >= spec.gates.slices.min_rows]
    labels, clusters = case.labels("test"), case.parts["test"].clusters(spec)
    weights = cluster_weights(clusters, SLICE_REPLICATES, spec.model.seed)
    found = []
    for group in judged:
        inside = group.inside
        pair = {
            "own": case.metrics_of(labels[inside], outputs[inside])[metric],
            "other": rival.metrics(inside)[metric],
        }
        ones = np.ones(int(inside.sum()))
        gain = case.sign * (pair["own"](ones) - pair["other"](ones))
        if np.isfinite(gain):
            drawn = replicate(pair, clusters[inside], weights)
            error = float(np.nanstd(case.sign * (drawn["own"] - drawn["other"])))
            bound = at_most(Gain(gain, gain, error), spec.promotion.confidence, len(judged))
            found.append(SliceGain(group.name, len(ones), gain, bound))
    return found

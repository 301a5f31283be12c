"""Comparison: a challenger against whoever serves, or against the constant baseline, on the same test rows and draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assets.evaluation import slices
from assets.evaluation.evidence import Case
from assets.evaluation.stresses import stressed_rows, under_stress
from assets.methods import baselines
from assets.methods.abstention import of_rows
from assets.methods.bootstrap import cluster_weights, replicate
from assets.methods.kinds import KINDS
from assets.methods.paired import TESTS, Gain, at_most, surely_exceeds
from assets.methods.ranking import Array
from assets.training.decision_rule import decision_rule
from assets.training.uncertainty import coverage_of
from bentos.runtime import Model

COST = "cost_per_1000"
STRESSES = {"noise": "under noise", "missing": "with gaps"}
"""The stresses under which a challenger is compared with the champion, as they are told."""

TOLERATED_MISS = 0.02
"""By how much more than the champion's a challenger's calibration, or coverage, may surely miss."""

SLICE_REPLICATES = 200
"""Draws for the standard error of a slice's gain; its bound is normal, so that it can be shared among many slices."""

LEAST_BEYOND = 20
"""Of fewer draws beyond it, a percentile of the bootstrap is a matter of chance."""

Functions = dict[str, Callable[[Array], float]]


class Rival:
    """What a challenger is compared with: outputs for the test rows, and the rule by which they decide."""

    def __init__(self, case: Case, name: str, outputs: Array, decision: dict[str, Any], model: Model | None = None) -> None:
        self.case, self.name, self.outputs, self.decision, self.model = case, name, outputs, decision, model

    @property
    def is_baseline(self) -> bool:
        """Whether it is no model."""
        return self.model is None

    @classmethod
    def champion(cls, case: Case, model: Model) -> Rival | str:
        """The model that serves, or why it cannot be compared."""
        spec, rows = case.spec, case.parts["test"].rows
        lacking = sorted(set(model.signature["features"]).difference(rows.columns))
        if lacking:
            return f"the champion needs {', '.join(lacking)}, which the snapshot lacks"
        if (model.kind, model.signature["classes"]) != (spec.kind, list(spec.target.classes or ())):
            return f"the champion answers another question ({model.kind}): rename the product"
        columns = {name: rows[name].to_numpy() for name in model.signature["features"]}
        outputs = model.predict(columns)
        return cls(case, "the champion", outputs, decision_rule(model, outputs, columns), model)

    @classmethod
    def constant(cls, case: Case) -> Rival:
        """One answer for all rows: the mean of the rows that the model was fitted on."""
        kind, spec = KINDS[case.spec.kind], case.spec
        outputs = baselines.constant(case.taught(), len(case.parts["test"].rows))
        return cls(case, "the constant baseline", outputs, kind.indifferent(spec.prices))

    def metrics(self, rows: Any) -> Functions:
        """All metrics on some of the test rows."""
        labels, spec = self.case.labels("test")[rows], self.case.spec
        return KINDS[spec.kind].metric_functions(labels, self.outputs[rows], of_rows(self.decision, rows), spec.prices)


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
        By the declared test, at the confidence that was asked.
    rival_cost : float
        What the rival costs per 1,000 rows.
    """

    gain: Gain
    saving: Gain
    rival_cost: float


def against(case: Case, rival: Rival, outputs: Array, confidence: float) -> Comparison:
    """Compare on all test rows, by the declared paired test.

    At the declared confidence the ends are the test's own. At one that the error budget asks, and that fewer than
    `LEAST_BEYOND` draws could tell, they follow from the standard error of the draws.
    """
    rule, everywhere = case.spec.promotion, slice(None)
    own = case.metrics_of(case.labels("test"), outputs, case.tested_rule(outputs))
    other = rival.metrics(everywhere)
    clusters = case.parts["test"].clusters(case.spec)

    def tested(metric: str, sign: float) -> Gain:
        replicates = case.spec.evaluation.bootstrap_replicates
        gain = TESTS[rule.test](
            (own[metric], other[metric]),
            clusters,
            sign=sign,
            confidence=confidence,
            replicates=replicates,
            seed=case.spec.model.seed,
        )
        is_coarse = rule.test == "paired_bootstrap" and replicates * (1 - confidence) < LEAST_BEYOND
        if rule.error_budget is not None and is_coarse:
            return replace(gain, low=surely_exceeds(gain, 1 - confidence))
        return gain

    return Comparison(tested(case.spec.metric, case.sign), tested(COST, -1.0), other[COST](np.ones(len(outputs))))


@dataclass(frozen=True)
class Loss:
    """By how much a challenger is worse than the champion in something that is only watched, and how surely.

    Parameters
    ----------
    what : str
        What is compared.
    value, low : float
        The loss, and what it surely exceeds at the declared confidence; above zero is worse.
    tolerated : float
        How large a loss refuses nothing.
    """

    what: str
    value: float
    low: float
    tolerated: float


def where_watched(case: Case, rival: Rival) -> dict[str, Loss]:
    """Compare calibration on all test rows, and the deciding metric on the same noisy and gappy rows.

    What a champion cannot answer, because it has other features, is left out.
    """
    spec, model = case.spec, rival.model
    if model is None:
        return {}
    rows = stressed_rows(case)
    columns = case.columns("test", rows)
    found = {"calibration": _miscalibrated(case, rival)}
    if set(model.signature["features"]) <= set(columns):
        labels = case.labels("test")[rows]
        clusters = np.unique(case.parts["test"].clusters(spec)[rows], return_inverse=True)[1]
        for name, changed in under_stress(case, columns).items():
            if name in STRESSES:
                own = case.metrics(labels, changed)[spec.metric]
                theirs = model.predict({feature: changed[feature] for feature in model.signature["features"]})
                rule = decision_rule(model, theirs, changed)
                other = KINDS[spec.kind].metric_functions(labels, theirs, rule, spec.prices)[spec.metric]
                what = f"{spec.metric} {STRESSES[name]}"
                found[name] = _loss(case, what, clusters, other, own, sign=case.sign, tolerated=0.0)
    return found


def _miscalibrated(case: Case, rival: Rival) -> Loss:
    spec, kind = case.spec, KINDS[case.spec.kind]
    labels, clusters = case.labels("test"), case.parts["test"].clusters(case.spec)
    metric = "interval_coverage" if spec.kind == "regression" else "calibration_error"

    def missed(functions: Functions) -> Callable[[Array], float]:
        if spec.kind == "regression":
            return lambda weights: abs(functions[metric](weights) - coverage_of(spec))
        return functions[metric]

    own = missed(case.metrics_of(labels, case.model.predict(case.columns("test"))))
    other = missed(kind.metric_functions(labels, rival.outputs, rival.decision, spec.prices))
    what = "the miss of the interval's coverage" if spec.kind == "regression" else metric
    return _loss(case, what, clusters, own, other, sign=1.0, tolerated=TOLERATED_MISS)


def _loss(
    case: Case,
    what: str,
    clusters: Any,
    worse: Callable[[Array], float],
    better: Callable[[Array], float],
    *,
    sign: float,
    tolerated: float,
) -> Loss:
    """The difference ``sign * (worse - better)`` on the same draws."""
    weights = cluster_weights(clusters, SLICE_REPLICATES, case.spec.model.seed)
    drawn = replicate({"worse": worse, "better": better}, clusters, weights)
    ones = np.ones(len(clusters))
    low = float(np.nanquantile(sign * (drawn["worse"] - drawn["better"]), 1 - case.spec.promotion.confidence))
    return Loss(what, sign * (worse(ones) - better(ones)), low, tolerated)


def on_slices(case: Case, rival: Rival, outputs: Array, weak: list[dict[str, Any]]) -> list[SliceGain]:
    """Compare on each declared slice, and on the weak slices that were found, of at least the declared rows.

    A slice on which the deciding metric cannot be told, such as one without positives, is left out.
    """
    spec, metric = case.spec, case.spec.metric
    groups = slices.declared(spec, case.parts["test"].rows) + [
        slices.again(case, item["conditions"], item["name"]) for item in weak
    ]
    judged = [group for group in groups if group.inside.sum() >= spec.gates.slices.min_rows]
    labels, clusters = case.labels("test"), case.parts["test"].clusters(spec)
    weights = cluster_weights(clusters, SLICE_REPLICATES, spec.model.seed)
    found, rule = [], case.tested_rule(outputs)
    for group in judged:
        inside = group.inside
        pair = {
            "own": case.metrics_of(labels[inside], outputs[inside], of_rows(rule, inside))[metric],
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

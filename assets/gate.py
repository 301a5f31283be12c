"""Gate: whether a challenger may become the champion. It refuses unless the evidence says otherwise.

The first version must keep the quality floor and beat both baselines; a later one must also beat the champion on the
same rows. The verdict is a record; moving the alias is for the registry.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.kinds import KINDS
from assets.snapshots import Snapshot, labelled, read
from assets.spec import ProductSpec
from assets.storage import Home, write_json
from bentos.runtime import Model


@dataclass(frozen=True)
class Finding:
    """One requirement of the gate, and whether the evidence meets it."""

    requirement: str
    evidence: str
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """What the gate decided about a challenger, and why."""

    product: str
    challenger_digest: str
    champion_digest: str | None
    snapshot_digest: str
    findings: tuple[Finding, ...]

    @property
    def promoted(self) -> bool:
        """Whether every requirement is met; without a finding nothing is."""
        return bool(self.findings) and all(finding.passed for finding in self.findings)

    @property
    def reasons(self) -> list[str]:
        """Why it was refused; empty when promoted."""
        return [f"{item.requirement}: {item.evidence}" for item in self.findings if not item.passed] or (
            [] if self.findings else ["no evidence was given"]
        )


def judge(
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    *,
    evaluation: dict[str, Any],
    challenger_digest: str,
    champion_digest: str | None,
) -> Verdict:
    """Judge a challenger by its evaluation and, where there is a champion, against it on the same test rows.

    Parameters
    ----------
    home : Home
        Where the models lie.
    spec : ProductSpec
        The specification: its gates and its promotion rule.
    snapshot : Snapshot
        The snapshot the challenger was evaluated on; the champion is scored on the same test rows.
    evaluation : dict
        The challenger's evaluation record.
    challenger_digest, champion_digest : str
        Model digests; None where nothing is served yet.
    """
    findings = [_same_evidence(evaluation, challenger_digest, snapshot.digest)]
    findings += [_floor(metric, gate.min, gate.max, evaluation) for metric, gate in spec.gates.items()]
    findings += [_beats_baseline(name, spec.metric, evaluation) for name in ("constant", "table")]
    if champion_digest is not None:
        findings.append(_against(home, spec, snapshot, challenger_digest, champion_digest))
    return Verdict(spec.name, challenger_digest, champion_digest, snapshot.digest, tuple(findings))


def record(home: Home, verdict: Verdict) -> Path:
    """Publish a verdict beside the evaluation it rests on."""
    against = (verdict.champion_digest or "nobody")[:12]
    folder = home.report_folder(verdict.product, verdict.challenger_digest, verdict.snapshot_digest)
    return write_json(
        folder / f"verdict-against-{against}.json",
        {**asdict(verdict), "promoted": verdict.promoted, "reasons": verdict.reasons},
    )


def _same_evidence(evaluation: dict[str, Any], challenger: str, snapshot: str) -> Finding:
    same = evaluation.get("model_digest") == challenger and evaluation.get("snapshot_digest") == snapshot
    found = f"model {str(evaluation.get('model_digest'))[:12]} on snapshot {str(evaluation.get('snapshot_digest'))[:12]}"
    return Finding("the evaluation is of this model on this snapshot", found, same)


def _floor(metric: str, low: float | None, high: float | None, evaluation: dict[str, Any]) -> Finding:
    bounds = [f"{word} {bound:g}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    requirement = f"{metric} is {' and '.join(bounds)}"
    value = evaluation.get("metrics", {}).get("model", {}).get(metric, {}).get("value")
    if value is None or not np.isfinite(value):
        return Finding(requirement, "the evaluation does not give it", passed=False)
    return Finding(requirement, f"{value:.4f}", (low is None or value >= low) and (high is None or value <= high))


def _beats_baseline(baseline: str, metric: str, evaluation: dict[str, Any]) -> Finding:
    requirement = f"{metric} is surely better than the {baseline} baseline's"
    gain = evaluation.get("gain", {}).get(baseline, {}).get(metric)
    if gain is None:
        return Finding(requirement, "the evaluation does not compare them", passed=False)
    return Finding(requirement, f"gain {gain['value']:.4f} [{gain['low']:.4f}, {gain['high']:.4f}]", gain["low"] > 0)


def _against(home: Home, spec: ProductSpec, snapshot: Snapshot, challenger: str, champion: str) -> Finding:
    """A paired bootstrap over clusters: both models see the same rows and the same draws."""
    rule, metric, kind = spec.promotion, spec.metric, KINDS[spec.kind]
    requirement = f"{metric} beats the champion's by more than {rule.min_gain:g} with confidence {rule.confidence:.0%}"
    if challenger == champion:
        return Finding(requirement, "it is the champion itself: equal is not better", passed=False)
    part = labelled(spec, read(snapshot))["test"]
    labels = part.labels(spec)
    clusters = part.clusters(spec)
    weights = cluster_weights(clusters, spec.evaluation.bootstrap_replicates, spec.model.seed)
    values, draws = [], []
    for digest in (challenger, champion):
        model = Model.load(home.models / spec.name / digest, digest)
        lacking = sorted(set(model.signature["features"]).difference(part.rows.columns))
        if lacking:
            return Finding(requirement, f"the champion needs {', '.join(lacking)}, which the snapshot lacks", passed=False)
        if (model.kind, model.signature["classes"]) != (spec.kind, list(spec.target.classes or ())):
            return Finding(
                requirement, f"the champion answers another question ({model.kind}): rename the product", passed=False
            )
        outputs = model.predict({name: part.rows[name].to_numpy() for name in model.signature["features"]})
        function = kind.metric_functions(labels, outputs, model.decision, spec.prices)[metric]
        values.append(function(np.ones_like(labels)))
        draws.append(replicate({metric: function}, clusters, weights)[metric])
    sign = -1.0 if metric in kind.LOWER_IS_BETTER else 1.0
    # one-sided: the interval of twice the tail has the wanted confidence at its lower end
    gain = interval(sign * (values[0] - values[1]), sign * (draws[0] - draws[1]), 2 * rule.confidence - 1)
    evidence = f"gain {gain.value:.4f}, at least {gain.low:.4f} with that confidence, on {len(labels):,} rows"
    return Finding(requirement, evidence, gain.low > rule.min_gain)

"""Gate: whether a challenger may become the champion.

A challenger must have evidence of every kind on the very test rows, keep each declared limit unless chance may have broken
it, surely beat the baselines and whoever serves on the same rows, and not be surely worse than who serves in what is only
watched. What a person accepted refuses no longer. The verdict is a record; acting on it is for the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.evidence import found as evidence_found
from assets.evaluation.findings import Basis, Finding
from assets.features.snapshots import Snapshot
from assets.promotion import champion_challenger
from assets.promotion.error_budget import level_of
from assets.promotion.gate_rules import rules_of
from assets.promotion.ledger_state import Standing
from assets.promotion.prequential_rule import RULE, prequential
from assets.promotion.verdicts import Verdict
from assets.registries import registry
from assets.spec import ProductSpec
from assets.storage.home import Home
from bentos.runtime import Model, OutdatedModelError

TOLERATED_COST = 0.02
"""The share by which a challenger may cost more than the champion, unless a saving is asked."""
ITSELF = "it is the champion itself: equal is not better"
"""What is found where whoever serves is judged again: it is not promoted, and nothing is wrong with it."""


def judge(
    home: Home,
    spec: ProductSpec,
    snapshot: Snapshot,
    *,
    evidence: Mapping[str, Evidence],
    challenger_digest: str,
    standing: Standing,
    by_hand: bool = False,
) -> Verdict:
    """Judge a challenger by its evidence, and against the champion on the same test rows.

    Parameters
    ----------
    home : Home
        Where the models lie.
    spec : ProductSpec
        The specification: its gates and its promotion rule.
    snapshot : Snapshot
        The snapshot of the evidence; the champion is scored on the same test rows.
    evidence : mapping of str to Evidence
        What was found out about the challenger, by stage.
    challenger_digest : str
        The challenger's model digest.
    standing : Standing
        Who serves, was withdrawn, or is invalid.
    by_hand : bool
        Whether a person asks: only a person may bring back a model that was withdrawn.

    Raises
    ------
    TamperedModelError
        If a model's bytes are not those of its digest.
    """
    case = Case.load(home, spec, snapshot, challenger_digest)
    records: dict[str, Mapping[str, Any]] = {stage: item.record for stage, item in evidence.items()}
    findings = [_same_rows(case, records), _may_stand(challenger_digest, standing, by_hand=by_hand)]
    champion = _runnable(home, spec, standing.champion_digest)
    known = records | (_known_of_champion(home, spec, standing) if champion else {})
    rules = rules_of(spec)
    findings += [finding for rule in rules.values() if rule.findings for finding in rule.findings(spec, known)]
    rival = _rival(case, standing.champion_digest, champion)
    level = _level(home, case, standing) if isinstance(rival, champion_challenger.Rival) and champion is not None else None
    findings += _compared(case, records, standing.champion_digest, rival, level)
    findings += prequential(case, rival, evidence.get(RULE), TOLERATED_COST) if RULE in rules else []
    findings += _unasked(findings, list(rules))
    findings = [_accepted(finding, challenger_digest, standing) for finding in findings]
    digests = {stage: item.digest for stage, item in sorted(evidence.items())}
    return Verdict(spec.name, challenger_digest, standing.champion_digest, snapshot.digest, digests, tuple(findings), level)


def _same_rows(case: Case, records: Mapping[str, Mapping[str, Any]]) -> Finding:
    """All evidence is there, of this model, on these rows."""
    asked = [name for name, examination in registry("EXAMINATIONS").items() if examination.applies(case.spec)]
    missing = [stage for stage in asked if stage not in records]
    wanted = {
        "model_digest": case.model.digest,
        "snapshot_digest": case.snapshot.digest,
        "rows_digest": case.parts["test"].digest(case.spec),
    }
    other = [
        f"{stage} has {name.replace('_', ' ')} {str(record.get(name))[:12]}, not {digest[:12]}"
        for stage, record in records.items()
        for name, digest in wanted.items()
        if record.get(name) != digest
    ]
    told = [f"there is no {' and no '.join(missing)}"] if missing else []
    requirement = "there is evidence of every kind, of this model, on these test rows"
    return Finding("evidence", requirement, "; ".join(told + other) or f"{len(records)} records are", not missing and not other)


def _unasked(findings: list[Finding], rules: Sequence[str]) -> Iterator[Finding]:
    """A rule that finds nothing is missing evidence, and so a refusal; a finding of no rule would be shown by no check."""
    found = {finding.gate for finding in findings}
    for name in rules:
        if name not in found:
            yield Finding(name, f"the gate rule '{name}' is answered", "it found nothing", passed=False)
    for name in sorted(found.difference(rules)):
        yield Finding(name, "a finding carries the name of its gate rule", f"there is no gate rule '{name}'", passed=False)


def _may_stand(digest: str, standing: Standing, *, by_hand: bool) -> Finding:
    """Neither invalid nor withdrawn."""
    requirement = "it was neither declared invalid nor withdrawn"
    if (entry := standing.invalid.get(digest)) is not None:
        return Finding("standing", requirement, f"it was declared invalid {entry.told}", passed=False)
    if (entry := standing.withdrawn.get(digest)) is not None and not by_hand:
        done = "rolled back" if entry.event == "rollback" else "replaced by another"
        told = f"it was {done} {entry.told}; only `loopline promote` can bring it back"
        return Finding("standing", requirement, told, passed=False)
    return Finding("standing", requirement, "it was not" if entry is None else "a person brings it back", passed=True)


def _known_of_champion(home: Home, spec: ProductSpec, standing: Standing) -> dict[str, Mapping[str, Any]]:
    """What was found out about leaks in the champion, when it was judged; nothing where nobody serves."""
    if standing.champion is None:
        return {}
    found = evidence_found(home, spec.name, standing.champion.model_digest, standing.champion.snapshot_digest)
    return {"champion_leakage": found["leakage"].record if "leakage" in found else {}}


def _accepted(finding: Finding, challenger_digest: str, standing: Standing) -> Finding:
    """A finding with the acceptance that covers it: of a leak for every model, of anything else for the model it was of."""
    entry = standing.accepted.get(finding.key) if finding.key and not finding.passed else None
    if entry is None or (finding.gate != "leakage" and entry.model_digest != challenger_digest):
        return finding
    return replace(finding, accepted=entry.told)


def _runnable(home: Home, spec: ProductSpec, digest: str | None) -> Model | None:
    """The champion; None where nobody serves, or it is of an earlier version of Loopline and cannot be scored by this one."""
    try:
        return None if digest is None else Model.load(home.models / spec.name / digest, digest)
    except OutdatedModelError:
        return None


def _rival(case: Case, champion_digest: str | None, champion: Model | None) -> champion_challenger.Rival | str:
    """Who the challenger is compared with: the champion, else the constant baseline; or why it cannot be compared."""
    if champion_digest == case.model.digest:
        return ITSELF
    if champion is None:
        return champion_challenger.Rival.constant(case)
    return champion_challenger.Rival.champion(case, champion)


def _level(home: Home, case: Case, standing: Standing) -> float:
    """The level at which the gain over the champion is tested."""
    test = (case.model.digest, case.snapshot.digest, standing.champion.version if standing.champion else None)
    return level_of(home, case.spec, standing.entries, test)


def _compared(
    case: Case,
    records: Mapping[str, Mapping[str, Any]],
    champion_digest: str | None,
    rival: champion_challenger.Rival | str,
    level: float | None,
) -> Iterator[Finding]:
    """Against whoever serves: metric, money and slices; where nobody does, slices against the constant baseline."""
    rule, spec = case.spec.promotion, case.spec
    confidence = rule.confidence if level is None or rule.error_budget is None else 1 - level
    better = f"{spec.metric} beats the champion's by more than {rule.min_gain:g} with confidence {100 * confidence:.4g}%"
    if isinstance(rival, str):
        yield Finding("champion", better, rival, passed=False)
        yield Finding("slices", "no slice is surely served worse", rival, passed=False)
        return
    outputs = case.model.predict(case.columns("test"))
    if rival.is_baseline:
        told = "it is of an earlier version of Loopline and cannot be scored" if champion_digest else "nobody serves yet"
        yield Finding("champion", better, told, passed=True)
    else:
        found = champion_challenger.against(case, rival, outputs, confidence)
        yield from _better(spec, better, found, len(outputs), confidence)
        yield from _not_worse(spec, champion_challenger.where_watched(case, rival))
    yield _slices(case, rival, outputs, records.get("evaluation", {}).get("weak_slices"))


def _better(
    spec: ProductSpec, requirement: str, found: champion_challenger.Comparison, rows: int, confidence: float
) -> Iterator[Finding]:
    rule, gain, saving = spec.promotion, found.gain, found.saving
    told = f"gain {gain.value:.4g}, at least {gain.low:.4g} with that confidence, on {rows:,} rows"
    yield Finding("champion", requirement, told, gain.low > rule.min_gain)
    least = -TOLERATED_COST * found.rival_cost if rule.min_saving is None else rule.min_saving
    wanted = f"{spec.cost.unit} per 1,000 rows with confidence {100 * confidence:.4g}%"
    asked = f"it saves more than {least:.4g} {wanted}" if least >= 0 else f"it costs at most {-least:.4g} {wanted} more"
    yield Finding("champion", asked, f"saves {saving.value:.4g}, at least {saving.low:.4g}", saving.low > least)


def _not_worse(spec: ProductSpec, found: Mapping[str, champion_challenger.Loss]) -> Iterator[Finding]:
    """In what no limit is declared for, a challenger must not be surely worse than the champion."""
    limits = {"calibration": spec.gates.calibration.max_error} | dict.fromkeys(
        ("noise", "missing"), spec.gates.robustness.min_kept
    )
    for name, loss in found.items():
        if limits[name] is None:
            told = (
                f"it is by {loss.value:.4g}, at least {loss.low:.4g}"
                if loss.value > 0
                else f"it is better by {-loss.value:.4g}"
            )
            gate = "calibration" if name == "calibration" else "robustness"
            key = gate if name == "calibration" else f"{gate}:{name}"
            requirement = f"{loss.what} is not surely worse than the champion's by more than {loss.tolerated:g}"
            yield Finding(gate, requirement, told, loss.low <= loss.tolerated, key=key, remedy="See both in their reports.")


def _slices(case: Case, rival: champion_challenger.Rival, outputs: Any, weak: list[dict[str, Any]] | None) -> Finding:
    gate = case.spec.gates.slices
    declared, lost = gate.max_loss is not None, gate.max_loss or 0.0
    watched = gate.level == "warning" or (rival.is_baseline and not declared)
    basis: Basis = "watched" if watched else "declared" if declared else "required"
    requirement = f"no slice of {gate.min_rows} rows or more surely loses more than {lost:g} of {case.spec.metric}"
    requirement += f" against {rival.name}"
    if weak is None:
        return Finding("slices", requirement, "nobody looked for weak slices", passed=False)
    found = champion_challenger.on_slices(case, rival, outputs, weak)
    worse = sorted((item for item in found if item.at_most < -lost), key=lambda item: item.at_most)
    told = "; ".join(f"{item.name} ({item.rows:,} rows) gains {item.gain:.4g}, at most {item.at_most:.4g}" for item in worse)
    lowest = min(found, key=lambda item: item.gain, default=None)
    fine = f"of {len(found)} the least gain is {lowest.gain:.4g}, on {lowest.name}" if lowest else "there is no such slice"
    return Finding("slices", requirement, told or fine, not worse, basis, "slices", "Bring more rows of these slices.")

"""Gate: whether a challenger may become the champion.

A challenger must have evidence of every kind on the very test rows, keep each declared limit unless chance may have broken
it, surely beat the baselines and whoever serves on the same rows, and not be surely worse than who serves in what is only
watched. What a person accepted refuses no longer. The verdict is a record; acting on it is for the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from assets import comparison, pages
from assets.errors import DigestError
from assets.evidence import STAGES, Case, Evidence
from assets.evidence import found as evidence_found
from assets.findings import Basis, Finding
from assets.requirements import REQUIREMENTS
from assets.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.standing import Entry, Standing
from assets.storage import Home, published, value_digest, write_json
from bentos.runtime import Model

GATES = ("evidence", "standing", *REQUIREMENTS, "slices", "champion")
"""All gates, in the order in which they are shown."""

TOLERATED_COST = 0.02
"""The share by which a challenger may cost more than the champion, unless a saving is asked."""


@dataclass(frozen=True)
class Verdict:
    """What the gate decided about a challenger, and why.

    Parameters
    ----------
    product, challenger_digest, champion_digest, snapshot_digest
        Who was judged against whom, on which rows; no champion where nothing is served yet.
    evidence : dict of str to str
        The digest of each record that was read.
    findings : tuple of Finding
        Every requirement, met or not.
    """

    product: str
    challenger_digest: str
    champion_digest: str | None
    snapshot_digest: str
    evidence: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def promoted(self) -> bool:
        """Whether every gate was asked and no blocking requirement is missed."""
        asked = {finding.gate for finding in self.findings}
        return asked == set(GATES) and not any(finding.refuses for finding in self.findings)

    @property
    def reasons(self) -> list[str]:
        """Why it was refused; empty when promoted."""
        unasked = [f"gate {gate}: nothing was found" for gate in GATES if gate not in {item.gate for item in self.findings}]
        return unasked + [f"{item.requirement}: {item.evidence}" for item in self.refusing]

    @property
    def refusing(self) -> list[Finding]:
        """The findings that refuse."""
        return [item for item in self.findings if item.refuses]

    @property
    def warnings(self) -> list[str]:
        """What is missed but only warns, or was accepted."""
        missed = [item for item in self.findings if not item.passed and not item.refuses]
        return [
            f"{item.requirement}: {item.evidence}" + (f" (accepted {item.accepted})" if item.accepted else "")
            for item in missed
        ]

    @property
    def told(self) -> str:
        """The verdict in a line."""
        return "promoted" if self.promoted else f"refused: {'; '.join(self.reasons)}"

    @property
    def explained(self) -> str:
        """Each reason for a refusal on lines of its own: the figure, what to do, and how to accept it."""
        lines = []
        for item in self.refusing:
            lines += [f"  {item.requirement}: {item.evidence}"]
            lines += [f"    {item.remedy}"] if item.remedy else []
            if item.key:
                lines.append(f'    To accept it: loopline accept {self.product} --finding {item.key} --because "…"')
        return "\n".join(lines or [f"  {reason}" for reason in self.reasons])

    def as_json(self) -> dict[str, Any]:
        """The record."""
        findings = [{**asdict(item), "refuses": item.refuses} for item in self.findings]
        told = {"promoted": self.promoted, "reasons": self.reasons, "warnings": self.warnings}
        return {**asdict(self), "findings": findings, **told}

    @property
    def digest(self) -> str:
        """The record's digest."""
        return value_digest(self.as_json())


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
    known = records | _known_of_champion(home, spec, standing)
    findings += [finding for ask in REQUIREMENTS.values() for finding in ask(spec, known)]
    findings += _compared(home, case, records, standing.champion_digest)
    findings = [_accepted(finding, challenger_digest, standing) for finding in findings]
    digests = {stage: item.digest for stage, item in sorted(evidence.items())}
    return Verdict(spec.name, challenger_digest, standing.champion_digest, snapshot.digest, digests, tuple(findings))


def record(home: Home, verdict: Verdict) -> Path:
    """Publish a verdict beside the evidence it rests on, as JSON and as a page, and make it the current one."""
    path = record_path(home, verdict)
    write_json(path, verdict.as_json())
    pages.write(path.with_suffix(".html"), "verdict.html.j2", verdict=verdict)
    write_json(home.reports / verdict.product / "current.json", {"verdict": home.relative(path), "digest": verdict.digest})
    return path


def record_path(home: Home, verdict: Verdict) -> Path:
    """Where a verdict lies: its name is its digest."""
    folder = home.report_folder(verdict.product, verdict.challenger_digest, verdict.snapshot_digest)
    return folder / f"verdict-{verdict.digest[:16]}.json"


def current(home: Home, product: str) -> Verdict:
    """The verdict that was given last.

    Raises
    ------
    DigestError
        If there is none, or it was changed.
    """
    pointer = published(home.reports / product / "current.json", f"{product}: nobody was judged")
    return _read(home.root / pointer["verdict"], pointer["digest"])


def opened(home: Home, product: str, entry: Entry) -> Verdict:
    """The verdict that an entry of the ledger rests on.

    Raises
    ------
    DigestError
        If it is gone, or was changed.
    """
    folder = home.report_folder(product, entry.model_digest, entry.snapshot_digest)
    return _read(folder / f"verdict-{str(entry.verdict)[:16]}.json", str(entry.verdict))


def _read(path: Path, digest: str) -> Verdict:
    record = published(path, "a verdict is gone")
    if value_digest(record) != digest:
        raise DigestError(f"{path} was changed after it was published. Delete it and run `loopline run` again.")
    return Verdict(
        **{
            **{field.name: record[field.name] for field in fields(Verdict)},
            "findings": tuple(Finding(**{key: item[key] for key in item if key != "refuses"}) for item in record["findings"]),
        }
    )


def _same_rows(case: Case, records: Mapping[str, Mapping[str, Any]]) -> Finding:
    """All evidence is there, of this model, on these rows."""
    missing = [stage for stage in STAGES if stage not in records]
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


def _compared(
    home: Home, case: Case, records: Mapping[str, Mapping[str, Any]], champion_digest: str | None
) -> Iterator[Finding]:
    """Against whoever serves: metric, money and slices; where nobody does, slices against the constant baseline."""
    rule, spec = case.spec.promotion, case.spec
    better = f"{spec.metric} beats the champion's by more than {rule.min_gain:g} with confidence {rule.confidence:.0%}"
    rival: comparison.Rival | str = comparison.Rival.constant(case)
    if champion_digest == case.model.digest:
        rival = "it is the champion itself: equal is not better"
    elif champion_digest is not None:
        rival = comparison.Rival.champion(case, Model.load(home.models / spec.name / champion_digest, champion_digest))
    if isinstance(rival, str):
        yield Finding("champion", better, rival, passed=False)
        yield Finding("slices", "no slice is surely served worse", rival, passed=False)
        return
    outputs = case.model.predict(case.columns("test"))
    if champion_digest is None:
        yield Finding("champion", better, "nobody serves yet", passed=True)
    else:
        yield from _better(spec, better, comparison.against(case, rival, outputs), len(outputs))
        yield from _not_worse(spec, comparison.where_watched(case, rival))
    yield _slices(case, rival, outputs, records.get("evaluation", {}).get("weak_slices"))


def _better(spec: ProductSpec, requirement: str, found: comparison.Comparison, rows: int) -> Iterator[Finding]:
    rule, gain, saving = spec.promotion, found.gain, found.saving
    told = f"gain {gain.value:.4g}, at least {gain.low:.4g} with that confidence, on {rows:,} rows"
    yield Finding("champion", requirement, told, gain.low > rule.min_gain)
    least = -TOLERATED_COST * found.rival_cost if rule.min_saving is None else rule.min_saving
    wanted = f"{spec.cost.unit} per 1,000 rows with confidence {rule.confidence:.0%}"
    asked = f"it saves more than {least:.4g} {wanted}" if least >= 0 else f"it costs at most {-least:.4g} {wanted} more"
    yield Finding("champion", asked, f"saves {saving.value:.4g}, at least {saving.low:.4g}", saving.low > least)


def _not_worse(spec: ProductSpec, found: Mapping[str, comparison.Loss]) -> Iterator[Finding]:
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


def _slices(case: Case, rival: comparison.Rival, outputs: Any, weak: list[dict[str, Any]] | None) -> Finding:
    gate = case.spec.gates.slices
    declared, lost = gate.max_loss is not None, gate.max_loss or 0.0
    watched = gate.level == "warning" or (rival.is_baseline and not declared)
    basis: Basis = "watched" if watched else "declared" if declared else "required"
    requirement = f"no slice of {gate.min_rows} rows or more surely loses more than {lost:g} of {case.spec.metric}"
    requirement += f" against {rival.name}"
    if weak is None:
        return Finding("slices", requirement, "nobody looked for weak slices", passed=False)
    found = comparison.on_slices(case, rival, outputs, weak)
    worse = sorted((item for item in found if item.at_most < -lost), key=lambda item: item.at_most)
    told = "; ".join(f"{item.name} ({item.rows:,} rows) gains {item.gain:.4g}, at most {item.at_most:.4g}" for item in worse)
    lowest = min(found, key=lambda item: item.gain, default=None)
    fine = f"of {len(found)} the least gain is {lowest.gain:.4g}, on {lowest.name}" if lowest else "there is no such slice"
    return Finding("slices", requirement, told or fine, not worse, basis, "slices", "Bring more rows of these slices.")

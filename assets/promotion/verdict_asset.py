"""The asset `verdict`: what the gate says of the challenger, against whoever serves; each gate is a check."""

from __future__ import annotations

from collections.abc import Iterable

from assets.errors import DigestError
from assets.evaluation import evidence
from assets.evaluation.findings import Finding
from assets.features import snapshots
from assets.promotion import gate, ledger, model_registry, verdicts
from assets.promotion.gate_rules import GATE_RULES, rules_of
from assets.spec import ProductSpec
from assets.spec.phases import PHASE
from assets.storage.asset_result import AssetResult, CheckResult, Link, Markdown
from assets.storage.home import Home


def judge_challenger(home: Home, spec: ProductSpec) -> AssetResult:
    """Let the gate judge the challenger against whoever serves."""
    challenger = model_registry.require_challenger(home, spec.name)
    named = (challenger.model_digest, challenger.snapshot_digest)
    found = evidence.found(home, spec.name, *named)
    if "evaluation" in found and found["evaluation"].digest != challenger.evaluation_digest:
        raise DigestError(
            f"{found['evaluation'].path} was changed after version {challenger.version} was registered with it. "
            f"Delete it and run `loopline run {spec.name}`."
        )
    verdict = gate.judge(
        home,
        spec,
        snapshots.opened(home, spec.name, challenger.snapshot_digest),
        evidence=found,
        challenger_digest=challenger.model_digest,
        standing=ledger.standing(home, spec.name),
    )
    path = verdicts.record(home, verdict)
    figures = {
        "challenger_version": challenger.version,
        "promoted": verdict.promoted,
        "verdict": verdict.told,
        "findings": _table(verdict.findings),
        "record": path,
        "page": Link(home.relative(path.with_suffix(".html"))),
    }
    return AssetResult(verdict.digest, figures, path, [_check(verdict, name) for name in rules_of(spec)])


def _check(verdict: verdicts.Verdict, name: str) -> CheckResult:
    findings = [item for item in verdict.findings if item.gate == name]
    return CheckResult(
        name,
        bool(findings) and all(item.passed for item in findings),
        {"findings": _table(findings), PHASE: GATE_RULES[name].phase},
        description="; ".join(item.missed for item in findings if not item.passed) or None,
        warns=all(item.evidence == gate.ITSELF for item in findings if item.refuses),
    )


def _table(findings: Iterable[Finding]) -> Markdown:
    """What each gate requires and what was found, with what to do where it is missed."""
    rows = [
        (item.gate, item.outcome, f"{item.requirement} ({item.basis})", item.evidence, "" if item.passed else item.remedy)
        for item in findings
    ]
    return Markdown.table(("gate", "", "required", "found", "what to do"), rows)

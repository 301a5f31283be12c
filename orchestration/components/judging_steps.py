"""What the assets that judge a model do: find out about it, register it, hear the gate, and record who serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import dagster as dg

from assets import evidence, gate, ledger, registry, registry_client, reporting, snapshots, training, tuning, verdicts
from assets.errors import DigestError, GateRefusedError
from assets.estimators import trusted_types
from assets.spec import ProductSpec
from assets.standing import Decision
from assets.storage import Home, value_digest
from orchestration.deciding import follow_ledger
from orchestration.examining import EXAMINATIONS, LABORATORY
from orchestration.step import CAUSE, Made

GATE = "gate"
"""Who decides when nobody else does."""

PHASES = {
    "leakage": "2 Data engineering",
    "latency": "5 Deployment",
    "size": "5 Deployment",
    "standing": "5 Deployment",
}
"""The phases of CRISP-ML(Q) (Studer and others 2021) that gates belong to, where it is not `EVALUATION`."""

EVALUATION = "4 Evaluation"

EXAMINED: dict[str, tuple[str | None, tuple[str, ...], str]] = {
    "evaluation": (
        None,
        ("numpy", "onnxruntime", "scikit-learn", "matplotlib"),
        "Metrics with intervals on the untouched test rows, against baselines; declared and weak slices; plots.",
    ),
    "leakage": (None, ("numpy", "pandas"), "Signs that the model knows the answer, the future, or the test rows."),
    "robustness": (
        "robustness",
        ("numpy", "onnxruntime"),
        "What is kept of the model's worth under noise, gaps, unknown categories, shifted and shuffled columns.",
    ),
    "explanations": (
        "explanations",
        ("shap", "scikit-learn", "numpy"),
        "Shapley values of a sample of the test rows, whether they add up to what is served, and whether they are stable.",
    ),
    "footprint": (None, ("numpy", "onnxruntime"), "How long answers take through what is packaged, and how large it is."),
}
"""The stages that look at a model: the gate whose settings they read, the libraries they rest on, and what they find out."""


def examine(stage: str) -> Callable[[ProductSpec, Home], Made]:
    """The step of a stage that looks at the model that was trained last, on the snapshot it was trained on."""

    def step(spec: ProductSpec, home: Home) -> Made:
        model_digest, snapshot_digest = training.current(home, spec.name)
        snapshot = snapshots.opened(home, spec.name, snapshot_digest)
        done = LABORATORY.ask(EXAMINATIONS[stage], home, spec, snapshot, model_digest)
        return Made(done.digest, _figures(stage, spec, done.record), done.path)

    return step


def _figures(stage: str, spec: ProductSpec, record: dict[str, Any]) -> dict[str, Any]:
    """What the UI shows of a record."""
    if stage == "evaluation":
        model = record["metrics"]["model"]
        return {
            "dagster/row_count": record["rows"],
            **{metric: estimate["value"] for metric, estimate in model.items()},
            **{f"{metric}_{end}": estimate[end] for metric, estimate in model.items() for end in ("low", "high")},
            f"table_{spec.metric}": record["metrics"]["table"][spec.metric]["value"],
        }
    if stage == "leakage":
        strengths = {name: value for name, value in record["single_column"].items() if value is not None}
        return {"strongest_column": max(strengths.values(), default=None), "single_column": dg.MetadataValue.json(strengths)}
    if stage == "robustness":
        kept = {f"kept_under_{name}": share for name, share in record["kept"].items()}
        return {**kept, "dagster/row_count": record["rows"], "kept_shuffled": dg.MetadataValue.json(record["kept_permuted"])}
    if stage == "explanations":
        shown = {name: record[name] for name in ("method", "gap", "stability")}
        return {**shown, "dagster/row_count": record["rows"], "importance": dg.MetadataValue.json(record["importance"])}
    return {
        "row_p99_ms": record["row_ms"]["p99"],
        "batch_p99_ms": record["batch_ms"]["p99"],
        "bytes": sum(record["bytes"].values()),
    }


def register_challenger(spec: ProductSpec, home: Home, code_version: str) -> Made:
    """Register the model that was examined last as the challenger."""
    digest, snapshot_digest = training.current(home, spec.name)
    done = evidence.require(home, spec.name, digest, snapshot_digest, "evaluation")
    version = registry.register(
        home,
        tuning.applied(home, spec),
        model_folder=home.models / spec.name / digest,
        model_digest=digest,
        snapshot_digest=snapshot_digest,
        evaluation=done.record,
        evaluation_digest=done.digest,
        evidence_folder=done.path.parent,
        code_version=code_version,
        trusted_types=LABORATORY.ask(trusted_types, spec),  # which imports the estimator
    )
    if cause := CAUSE.get():
        registry.tag(home, version, trained_because=cause)
    figures = {"version": version.version, "digest": digest, "mlflow_run": version.run_id, "trained_because": cause or None}
    return Made(value_digest([version.version, digest, done.digest]), figures, registry_client.database(home))


def hear_gate(spec: ProductSpec, home: Home) -> Made:
    """Let the gate judge the challenger against whoever serves; each gate is an asset check."""
    challenger = _challenger(spec, home)
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
        "warnings": dg.MetadataValue.json(verdict.warnings),
        "record": dg.MetadataValue.path(str(path)),
        "page": dg.MetadataValue.url(path.with_suffix(".html").as_uri()),
    }
    return Made(verdict.digest, figures, path, [_check(spec, verdict, name) for name in verdicts.GATES])


def gate_checks(product: str) -> list[dg.AssetCheckSpec]:
    """An asset check for each gate. None fails the run: a refused challenger changes nothing."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=dg.AssetKey([product, "verdict"]),
            description=f"The gate '{name}' on the challenger.",
            metadata={"crisp_ml_q/phase": PHASES.get(name, EVALUATION)},
        )
        for name in verdicts.GATES
    ]


def _check(spec: ProductSpec, verdict: verdicts.Verdict, name: str) -> dg.AssetCheckResult:
    findings = [item for item in verdict.findings if item.gate == name]
    return dg.AssetCheckResult(
        passed=bool(findings) and all(item.passed for item in findings),
        asset_key=dg.AssetKey([spec.name, "verdict"]),
        check_name=name,
        description="; ".join(f"{item.requirement}: {item.evidence}" for item in findings if not item.passed) or None,
        severity=dg.AssetCheckSeverity.ERROR if any(item.refuses for item in findings) else dg.AssetCheckSeverity.WARN,
        metadata={
            "findings": dg.MetadataValue.json([asdict(item) for item in findings]),
            "crisp_ml_q/phase": PHASES.get(name, EVALUATION),
        },
    )


def decide_champion(spec: ProductSpec, home: Home) -> Made:
    """Record in the ledger what the gate decided; the champion changes only if it promotes."""
    challenger, verdict = _challenger(spec, home), verdicts.current(home, spec.name)
    if verdict.challenger_digest != challenger.model_digest:
        raise GateRefusedError(
            f"{spec.name}: the last verdict is on model {verdict.challenger_digest[:12]}, the challenger is "
            f"{challenger.model_digest[:12]}. Run `loopline run {spec.name}`."
        )
    told = verdict.told + (f". Trained because of {challenger.trained_because}" if challenger.trained_because else "")
    decision = Decision(challenger.version, challenger.model_digest, verdict.snapshot_digest, GATE, told, verdict.digest)
    serving = ledger.standing(home, spec.name).champion_digest
    if serving != challenger.model_digest:
        if verdict.promoted:
            ledger.promote(home, spec.name, decision, instead_of=verdict.champion_digest)
        else:
            ledger.refuse(home, spec.name, decision)
    path = verdicts.record_path(home, verdict)
    registry.tag(home, challenger, verdict=verdict.told, verdict_path=home.relative(path))
    champion = follow_ledger(home, spec.name)
    if champion is None:
        raise GateRefusedError(
            f"{spec.name}: version {challenger.version} was refused, and nothing is served yet.\n{verdict.explained}\n"
            f"  All that was found: loopline report {spec.name}"
        )
    figures = {
        "version": champion.version,
        "digest": champion.model_digest,
        "snapshot_digest": champion.snapshot_digest,
        "challenger_version": challenger.version,
        "promoted": verdict.promoted,
        "verdict": verdict.told,
        "ledger_entry": champion.number,
    }
    return Made(value_digest([champion.version, champion.model_digest]), figures, ledger.database(home))


def write_report(spec: ProductSpec, home: Home) -> Made:
    """Write the model card of the challenger with the gate's verdict, and lay both beside its MLflow run."""
    verdict = verdicts.current(home, spec.name)
    serving = ledger.standing(home, spec.name).champion
    if serving is not None and serving.verdict is not None and serving.model_digest == verdict.challenger_digest:
        verdict = verdicts.opened(home, spec.name, serving)  # not what is said of it since: that it is itself
    page = reporting.report(home, spec, verdict.as_json())
    registry.attach(home, _challenger(spec, home), page, verdicts.record_path(home, verdict))
    return Made(value_digest([verdict.digest]), {"report": dg.MetadataValue.url(page.as_uri())}, page)


def _challenger(spec: ProductSpec, home: Home) -> registry.Version:
    challenger = registry.holder(home, spec.name, registry.CHALLENGER)
    if challenger is None:
        raise GateRefusedError(f"{spec.name}: there is no challenger to judge. Run `loopline run {spec.name}`.")
    return challenger

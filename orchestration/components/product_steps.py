"""What each asset of a model product does: call its stage's function with what is current, and tell what came of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

from assets import contracts, evaluation, features, gate, landing, packaging, registry, scoring, snapshots, training, warehouse
from assets.errors import ContractError, GateRefusedError, WarehouseError
from assets.estimators import trusted_types
from assets.spec import ProductSpec
from assets.spec.product import DATA
from assets.storage import Home, value_digest
from orchestration.step import FailedCheckError, Made

CONTRACT = "contract"


def publish_snapshot(spec: ProductSpec, home: Home) -> Made:
    """Hold the feature relation against its contract, and publish it only if it keeps it."""
    files = None
    if spec.source is not None:
        files = landing.landing_files(home, spec.name, DATA)
    elif not warehouse.build_record(home).exists():
        raise WarehouseError("the warehouse's last build did not finish or did not pass. Run `loopline run` to build it.")
    with features.candidate(home, spec, files) as connection:
        breaks = contracts.check(features.table(connection), spec)
        result = dg.AssetCheckResult(
            passed=not breaks,
            asset_key=dg.AssetKey([spec.name, "snapshot"]),
            check_name=CONTRACT,
            metadata={"breaks": dg.MetadataValue.json([asdict(item) for item in breaks])},
        )
        if breaks:
            raise FailedCheckError(result, ContractError(contracts.explain(breaks, spec)))
        snapshot = features.publish(home, spec, connection)
    figures = {
        "dagster/row_count": snapshot.rows,
        "digest": snapshot.digest,
        "path": dg.MetadataValue.path(str(snapshot.path)),
    }
    return Made(snapshot.digest, figures, snapshot.path, [result])


def train_model(spec: ProductSpec, home: Home) -> Made:
    """Train on the current snapshot."""
    trained = training.train(home, spec, snapshots.current(home, spec.name))
    figures = {
        "dagster/row_count": trained.train_rows,
        "validation_rows": trained.validate_rows,
        "labels_known_too_late": trained.late_labels,
        **{name: value for name, value in trained.decision.items() if isinstance(value, float)},
        "calibration": "none" if trained.scaling is None else "scaling",
        "largest_onnx_difference": trained.largest_onnx_difference,
        "digest": trained.digest,
        **{f"unlabelled_{reason}": count for reason, count in trained.unlabelled.items()},
    }
    return Made(trained.digest, figures, trained.folder / "model.onnx")


def evaluate_model(spec: ProductSpec, home: Home) -> Made:
    """Evaluate the model that was trained last, on the snapshot it was trained on."""
    model_digest, snapshot_digest = training.current(home, spec.name)
    done = evaluation.evaluate(home, spec, snapshots.opened(home, spec.name, snapshot_digest), model_digest)
    metrics = done.record["metrics"]
    figures = {
        "report": dg.MetadataValue.url(done.report.as_uri()),
        "dagster/row_count": done.record["rows"],
        **{metric: estimate["value"] for metric, estimate in metrics["model"].items()},
        **{f"{metric}_{end}": estimate[end] for metric, estimate in metrics["model"].items() for end in ("low", "high")},
        f"table_{spec.metric}": metrics["table"][spec.metric]["value"],
    }
    return Made(done.digest, figures, done.path)


def register_challenger(spec: ProductSpec, home: Home, code_version: str) -> Made:
    """Register the model that was evaluated last as the challenger."""
    done = evaluation.current(home, spec.name)
    digest = done.record["model_digest"]
    version = registry.register(
        home,
        spec,
        model_folder=home.models / spec.name / digest,
        model_digest=digest,
        snapshot_digest=done.record["snapshot_digest"],
        evaluation=done.record,
        evaluation_digest=done.digest,
        report=done.report,
        code_version=code_version,
        trusted_types=trusted_types(spec),
    )
    figures = {"version": version.version, "digest": digest, "mlflow_run": version.run_id}
    return Made(value_digest([version.version, digest, done.digest]), figures, registry.database(home))


def decide_champion(spec: ProductSpec, home: Home) -> Made:
    """Let the gate judge the challenger; the champion changes only if it passes."""
    challenger = registry.holder(home, spec.name, registry.CHALLENGER)
    if challenger is None:
        raise GateRefusedError(f"{spec.name}: there is no challenger to judge. Run `loopline run {spec.name}`.")
    champion = registry.holder(home, spec.name, registry.CHAMPION)
    verdict = gate.judge(
        home,
        spec,
        snapshots.opened(home, spec.name, challenger.snapshot_digest),
        evaluation=evaluation.current(home, spec.name).record,
        challenger_digest=challenger.model_digest,
        champion_digest=champion.model_digest if champion else None,
    )
    path = gate.record(home, verdict)
    told = "promoted" if verdict.promoted else f"refused: {'; '.join(verdict.reasons)}"
    registry.tag(home, challenger, verdict=told, verdict_path=home.relative(path))
    if verdict.promoted:
        registry.promote(home, challenger)
        champion = challenger
    if champion is None:
        raise GateRefusedError(
            f"{spec.name}: version {challenger.version} was refused and nothing is served yet. {'; '.join(verdict.reasons)}. "
            "Train a better model, or lower the floor in gates if it is too high."
        )
    figures = {
        "version": champion.version,
        "digest": champion.model_digest,
        "snapshot_digest": champion.snapshot_digest,
        "challenger_version": challenger.version,
        "promoted": verdict.promoted,
        "verdict": told,
        "verdict_record": dg.MetadataValue.path(str(path)),
        "findings": dg.MetadataValue.json([asdict(finding) for finding in verdict.findings]),
    }
    return Made(value_digest([champion.version, champion.model_digest]), figures, registry.database(home))


def package_bento(spec: ProductSpec, home: Home) -> Made:
    """Package the champion."""
    champion = _champion(spec, home)
    bento = packaging.package(home, spec, champion.model_digest, champion.version)
    figures = {
        "tag": bento.tag,
        "version": champion.version,
        "digest": champion.model_digest,
        "size_bytes": bento.size_bytes,
        "path": dg.MetadataValue.path(str(bento.path)),
    }
    return Made(value_digest([bento.tag, champion.model_digest]), figures, bento.path / "bento.yaml")


def score_predictions(spec: ProductSpec, home: Home) -> Made:
    """Score the test rows of the current snapshot with the champion."""
    champion = _champion(spec, home)
    done = scoring.score(
        home,
        spec,
        snapshots.current(home, spec.name),
        model_digest=champion.model_digest,
        version=champion.version,
        scored_at=datetime.now(UTC),
    )
    figures = {
        "dagster/row_count": done.rows,
        "version": champion.version,
        "path": dg.MetadataValue.path(str(done.path)),
    }
    return Made(done.digest, figures, done.path)


def _champion(spec: ProductSpec, home: Home) -> registry.Version:
    champion = registry.holder(home, spec.name, registry.CHAMPION)
    if champion is None:
        raise GateRefusedError(f"{spec.name}: no version is champion, so there is nothing to serve. Run `loopline run`.")
    return champion

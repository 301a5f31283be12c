"""What the assets that make and serve a model do: call their stage's function with what is current, and tell what came of it.

Those that judge it stand in `judging_steps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets import (
    containers,
    contracts,
    embedding,
    features,
    landings,
    ledger,
    packaging,
    parity,
    registry,
    scoring,
    snapshots,
    training,
    translation,
    tuning,
    warehouse,
)
from assets.errors import ContractError, GateRefusedError, ParityError, TranslationError, WarehouseError
from assets.leftovers import draft_folder
from assets.spec import ProductSpec, WarehouseSpec
from assets.spec.product import DATA
from assets.standing import Entry
from assets.storage import Home, value_digest
from orchestration import declarations
from orchestration.examining import LABORATORY
from orchestration.resources import REPOSITORY
from orchestration.step import FailedCheckError, Made
from orchestration.ways import ways

CONTRACT, PARITY = "contract", "parity"


def contract_check(product: str) -> dg.AssetCheckSpec:
    """The check that lets nothing start on a snapshot that breaks its contract."""
    return dg.AssetCheckSpec(
        CONTRACT,
        asset=dg.AssetKey([product, "snapshot"]),
        blocking=True,
        description="Types, ranges, vocabularies, missing shares, key, and rules over two columns.",
    )


def parity_check(product: str) -> dg.AssetCheckSpec:
    """The check that lets no service follow a champion whose ways disagree."""
    return dg.AssetCheckSpec(
        PARITY,
        asset=dg.AssetKey([product, "parity"]),
        blocking=True,
        description="Outputs within 1e-12 of the model's own (1e-6 for a graph in single precision), and the same decisions.",
    )


def publish_snapshot(spec: ProductSpec, home: Home) -> Made:
    """Hold the feature relation against its contract, and publish it only if it keeps it."""
    files = None
    if spec.source is not None:
        files = landings.files(home, spec.name, DATA)
        landed = {f"{spec.name}.{DATA}": [home.relative(file) for file in files]}
    else:
        warehouse.require_sound(home, str(spec.features.relation))
        landed = warehouse.landed_files(home)
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
        snapshot = features.publish(home, spec, connection, landed)
    figures = {
        "dagster/row_count": snapshot.rows,
        "digest": snapshot.digest,
        "path": dg.MetadataValue.path(str(snapshot.path)),
    }
    return Made(snapshot.digest, figures, snapshot.path, [result])


def tune_model(spec: ProductSpec, home: Home) -> Made:
    """Search for better parameters, each trial a child run in MLflow."""
    searched = spec.tune.warehouse if spec.tune else {}
    houses = [house for house in declarations.warehouses() if set(searched) & set(house.parameters)]
    declared = {name: value for house in houses for name, value in house.parameters.items() if name in searched}
    found = tuning.tune(
        home,
        spec,
        snapshots.current(home, spec.name),
        declared_settings=declared,
        snapshot_with=lambda settings: _snapshot_with(spec, home, houses[0], settings),
        show=lambda study, trials: registry.show_trials(
            home, spec.name, study, [(trial.number, trial.parameters, trial.value) for trial in trials]
        ),
    )
    figures = {
        "trials": found.trials,
        f"cross_validated_{found.metric}": found.best.value,
        f"declared_{found.metric}": found.declared.value,
        "parameters": dg.MetadataValue.json(found.best.parameters),
        "best_with_any_features": dg.MetadataValue.json(
            {**found.best_of_all.parameters, found.metric: found.best_of_all.value}
        ),
    }
    return Made(value_digest([found.study, found.best.parameters]), figures, found.path)


def _snapshot_with(spec: ProductSpec, home: Home, house: WarehouseSpec, settings: Mapping[str, Any]) -> snapshots.Snapshot:
    """The snapshot that other feature parameters give, from a warehouse of its own; the current one stays."""
    name = str(spec.features.relation).split(".")[1]
    project = REPOSITORY / house.project
    parameters = {**house.parameters, **settings}
    sources = warehouse.manifest(project, house.parameters)["sources"].values()
    with draft_folder(home) as scratch:
        elsewhere = Home(scratch).prepare()
        landed = {
            (item["source_name"], item["name"]): landings.files(home, item["source_name"], item["name"])
            for item in sources
            if landings.records(home, item["source_name"], item["name"])
        }
        done = warehouse.build(elsewhere, project, parameters, landed, [f"+{name}"], tests=False)
        if done.failed:
            raise WarehouseError(warehouse.explain(done.failed))
        with features.candidate(elsewhere, spec) as connection:
            contracts.require(features.table(connection), spec)
            return features.write(home, spec, connection)


def train_model(spec: ProductSpec, home: Home) -> Made:
    """Train on the current snapshot."""
    trained = LABORATORY.ask(training.train, home, tuning.applied(home, spec), snapshots.current(home, spec.name))
    figures = {
        "dagster/row_count": trained.train_rows,
        "validation_rows": trained.validate_rows,
        "labels_known_too_late": trained.late_labels,
        **{name: value for name, value in trained.decision.items() if isinstance(value, float)},
        "calibration": "none" if trained.scaling is None else "scaling",
        "largest_onnx_difference": trained.largest_onnx_difference,
        "digest": trained.digest,
        **{f"unlabelled_{reason}": count for reason, count in trained.unlabelled.items()},
        **_absent_classes(spec, home),
    }
    return Made(trained.digest, figures, trained.folder / "model.onnx")


def _absent_classes(spec: ProductSpec, home: Home) -> dict[str, str]:
    """The classes that validation or test rows lack, as a window of time may: their metrics leave these out."""
    if spec.target.classes is None:
        return {}
    parts = snapshots.labelled(spec, snapshots.read(snapshots.current(home, spec.name)))
    return {f"classes_absent_from_{name}": ", ".join(absent) for name, part in parts.items() if (absent := part.absent(spec))}


def package_bento(spec: ProductSpec, home: Home) -> Made:
    """Package the champion."""
    champion = champion_of(spec, home)
    bento = packaging.package(home, spec, champion)
    figures = {
        "tag": bento.tag,
        "version": champion.version,
        "digest": champion.model_digest,
        "size_bytes": bento.size_bytes,
        "path": dg.MetadataValue.path(str(bento.path)),
    }
    return Made(bento.digest, figures, bento.path / "bento.yaml")


def embed_model(spec: ProductSpec, home: Home) -> Made:
    """Build the champion's wheel."""
    champion = champion_of(spec, home)
    wheel = embedding.embed(home, spec, champion)
    figures = {
        "version": champion.version,
        "digest": wheel.digest,
        "size_bytes": wheel.size_bytes,
        "path": dg.MetadataValue.path(str(wheel.path)),
    }
    return Made(wheel.digest, figures, wheel.path)


def write_sql(spec: ProductSpec, home: Home) -> Made:
    """Write the champion as SQL, if it is wanted; where its estimator cannot be, say so, or fail if SQL is required."""
    champion = champion_of(spec, home)
    refusal = "serving.sql is off" if spec.serving.sql == "off" else None
    try:
        done = None if refusal else translation.translate(home, spec, champion)
    except TranslationError as error:
        if spec.serving.sql == "required":
            raise
        done, refusal = None, str(error)
    if done is None:
        translation.withdraw(home, spec.name)
        return Made(value_digest([champion.model_digest, refusal]), {"version": champion.version, "not_written": refusal})
    figures = {
        "version": champion.version,
        "size_bytes": done.size_bytes,
        "path": dg.MetadataValue.path(str(done.folder)),
    }
    return Made(done.digest, figures, done.folder / "duckdb.sql")


def compare_ways(spec: ProductSpec, home: Home) -> Made:
    """Ask all ways of serving the same rows; if they agree, services follow the champion."""
    champion = champion_of(spec, home)
    key, failure = dg.AssetKey([spec.name, "parity"]), None
    try:
        parity.compare(home, spec, snapshots.current(home, spec.name), champion, ways(home, champion))
    except ParityError as error:
        failure = error
    found = parity.recorded(home, spec.name) or {}
    told = {name: way["largest_difference"] for name, way in found.get("ways", {}).items() if way is not None}
    result = dg.AssetCheckResult(
        passed=failure is None, asset_key=key, check_name=PARITY, metadata={**told, "rows": dg.MetadataValue.json(found)}
    )
    if failure is not None:
        raise FailedCheckError(result, failure)
    pointer = packaging.point(home, spec.name, champion)
    return Made(
        value_digest([found, champion.digest]),
        {"tag": packaging.tag_of(champion), "version": champion.version, **told},
        pointer,
        [result],
    )


def build_image(spec: ProductSpec, home: Home) -> Made:
    """Build the container image of the champion's bento."""
    champion = champion_of(spec, home)
    image = containers.build(home, spec, champion, packaging.bento_folder(home, packaging.tag_of(champion)))
    figures = {
        "reference": image.reference,
        "image_digest": image.digest,
        "version": champion.version,
        "size_bytes": image.size_bytes,
        "path": dg.MetadataValue.path(str(image.folder)),
    }
    return Made(image.digest, figures, image.folder / containers.MANIFEST)


def score_predictions(spec: ProductSpec, home: Home) -> Made:
    """Score the test rows of the current snapshot with the champion."""
    champion = champion_of(spec, home)
    snapshot = snapshots.current(home, spec.name)
    done = scoring.Scorer(home, spec, snapshot, champion, datetime.now(UTC)).test()
    figures = {
        "dagster/row_count": done.rows,
        "version": champion.version,
        "path": dg.MetadataValue.path(str(done.path)),
    }
    # the file says when it was scored, too: the answers are the same if the model and the rows are
    answers = value_digest([champion.version, champion.model_digest, snapshot.digest, done.path.name])
    return Made(answers, figures, done.path)


def score_months(spec: ProductSpec, home: Home, months: Sequence[str]) -> dict[str, scoring.Predictions]:
    """Score whole months of the current snapshot with the champion."""
    scorer = scoring.Scorer(home, spec, snapshots.current(home, spec.name), champion_of(spec, home), datetime.now(UTC))
    return {month: scorer.batch(month) for month in months}


def champion_of(spec: ProductSpec, home: Home) -> Entry:
    """Who is served; an error if nobody is."""
    champion = ledger.standing(home, spec.name).champion
    if champion is None:
        raise GateRefusedError(f"{spec.name}: no version is champion, so there is nothing to serve. Run `loopline run`.")
    return champion

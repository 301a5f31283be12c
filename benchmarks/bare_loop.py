"""The loop without Dagster: the same stage functions in the same order. ``python -m benchmarks.bare_loop``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from assets.evaluation.examinations import examined
from assets.features import data_contract, publish
from assets.ingestion import landed_tables, landing
from assets.ingestion.quality_asset import measure_quality
from assets.monitoring.monitoring_asset import watch_champion
from assets.processes.settings import settle_process
from assets.promotion import gate, ledger, model_card, model_registry, verdicts
from assets.promotion.ledger_state import Decision
from assets.serving import batch_predictions, bento_package, parity, sql_export, wheel_package
from assets.spec import ProductSpec, SourceSpec, read_declaration
from assets.spec.product import DATA
from assets.storage.home import REPOSITORY, Home
from assets.training import training
from assets.training.estimators import trusted_types
from assets.warehouse import dbt_build
from orchestration import declarations
from orchestration.declarations import DEFS
from orchestration.resources import home_from_environment


def main() -> None:
    """Run every stage once."""
    settle_process()
    home = home_from_environment().prepare()
    source = read_declaration(DEFS / "sources" / "flights" / "defs.yaml", SourceSpec)
    (house,) = declarations.warehouses()
    for table in source.tables:
        landing.land(home, source, table, DEFS / "sources" / "flights")
    measure_quality(home, source)
    landed = {(source.name, table): landed_tables.files(home, source.name, table) for table in source.tables}
    built = dbt_build.build(home, REPOSITORY / house.project, house.parameters, landed)
    if built.failed:
        raise SystemExit(dbt_build.explain(built.failed))
    for spec, folder in declarations.products():
        make(home, spec, folder)


def make(home: Home, spec: ProductSpec, folder: Path) -> None:
    """Run every stage of a product once."""
    files, own, landed = None, spec.as_source(), dbt_build.landed_files(home)
    if own is not None:
        landing.land(home, own, DATA, folder)
        measure_quality(home, own)
        files = landed_tables.files(home, spec.name, DATA)
        landed = {f"{spec.name}.{DATA}": list(map(home.relative, files))}
    with publish.candidate(home, spec, files) as connection:
        data_contract.require(publish.table(connection), spec)
        snapshot = publish.publish(home, spec, connection, landed)
    trained = training.train(home, spec, snapshot)
    found = examined(home, spec, snapshot, trained.digest)
    done = found["evaluation"]
    version = model_registry.register(
        home,
        spec,
        model_folder=trained.folder,
        model_digest=trained.digest,
        snapshot_digest=snapshot.digest,
        evaluation=done.record,
        evaluation_digest=done.digest,
        evidence_folder=done.path.parent,
        code_version="bare",
        trusted_types=trusted_types(spec),
    )
    standing = ledger.standing(home, spec.name)
    verdict = gate.judge(home, spec, snapshot, evidence=found, challenger_digest=trained.digest, standing=standing)
    verdicts.record(home, verdict)
    if not verdict.promoted:
        raise SystemExit("; ".join(verdict.reasons))
    decision = Decision(version.version, trained.digest, snapshot.digest, "bare loop", verdict.told, verdict.digest)
    champion = ledger.promote(home, spec.name, decision, instead_of=None)
    model_registry.follow_ledger(home, spec.name)
    model_card.report(home, spec, verdict.as_json())
    bento_package.package(home, spec, champion)
    batch_predictions.Scorer(home, spec, snapshot, champion, datetime.now(UTC)).test()
    wheel_package.embed(home, spec, champion)
    sql_export.translate(home, spec, champion)
    parity.compare(home, spec, snapshot, champion)
    watch_champion(home, spec)


if __name__ == "__main__":
    main()

"""The loop without Dagster: the same stage functions in the same order. ``python -m benchmarks.bare_loop``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from assets import (
    contracts,
    embedding,
    features,
    gate,
    landing,
    landings,
    ledger,
    packaging,
    parity,
    registry,
    reporting,
    scoring,
    training,
    translation,
    verdicts,
    warehouse,
)
from assets.estimators import trusted_types
from assets.spec import ProductSpec, SourceSpec, read_declaration
from assets.spec.product import DATA
from assets.standing import Decision
from assets.storage import Home
from orchestration import declarations
from orchestration.deciding import follow_ledger
from orchestration.declarations import DEFS
from orchestration.examining import examined
from orchestration.resources import REPOSITORY, home_from_environment, settle_process
from orchestration.ways import ways


def main() -> None:
    """Run every stage once."""
    settle_process()
    home = home_from_environment().prepare()
    source = read_declaration(DEFS / "sources" / "flights" / "defs.yaml", SourceSpec)
    (house,) = declarations.warehouses()
    for table in source.tables:
        landing.land(home, source, table, DEFS / "sources" / "flights")
    landed = {(source.name, table): landings.files(home, source.name, table) for table in source.tables}
    built = warehouse.build(home, REPOSITORY / house.project, house.parameters, landed)
    if built.failed:
        raise SystemExit(warehouse.explain(built.failed))
    for spec, folder in declarations.products():
        make(home, spec, folder)


def make(home: Home, spec: ProductSpec, folder: Path) -> None:
    """Run every stage of a product once."""
    files, own, landed = None, spec.as_source(), warehouse.landed_files(home)
    if own is not None:
        landing.land(home, own, DATA, folder)
        files = landings.files(home, spec.name, DATA)
        landed = {f"{spec.name}.{DATA}": list(map(home.relative, files))}
    with features.candidate(home, spec, files) as connection:
        contracts.require(features.table(connection), spec)
        snapshot = features.publish(home, spec, connection, landed)
    trained = training.train(home, spec, snapshot)
    found = examined(home, spec, snapshot, trained.digest)
    done = found["evaluation"]
    version = registry.register(
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
    follow_ledger(home, spec.name)
    reporting.report(home, spec, verdict.as_json())
    packaging.package(home, spec, champion)
    scoring.Scorer(home, spec, snapshot, champion, datetime.now(UTC)).test()
    embedding.embed(home, spec, champion)
    translation.translate(home, spec, champion)
    parity.compare(home, spec, snapshot, champion, ways(home, champion))


if __name__ == "__main__":
    main()

"""The loop without Dagster: the same stage functions in the same order. ``python -m benchmarks.bare_loop``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from assets import contracts, evaluation, features, gate, landing, packaging, registry, scoring, training, warehouse
from assets.estimators import trusted_types
from assets.spec import ProductSpec, SourceSpec, read_declaration
from assets.spec.product import DATA
from assets.storage import Home
from orchestration import declarations
from orchestration.declarations import DEFS
from orchestration.resources import REPOSITORY, home_from_environment, settle_process


def main() -> None:
    """Run every stage once."""
    settle_process()
    home = home_from_environment().prepare()
    source = read_declaration(DEFS / "sources" / "flights" / "defs.yaml", SourceSpec)
    (house,) = declarations.warehouses()
    for table in source.tables:
        landing.land(home, source, table, DEFS / "sources" / "flights")
    landed = {(source.name, table): landing.landing_files(home, source.name, table) for table in source.tables}
    built = warehouse.build(home, REPOSITORY / house.project, house.parameters, landed)
    if built.failed:
        raise SystemExit(warehouse.explain(built.failed))
    for spec, folder in declarations.products():
        make(home, spec, folder)


def make(home: Home, spec: ProductSpec, folder: Path) -> None:
    """Run every stage of a product once."""
    files, own = None, spec.as_source()
    if own is not None:
        landing.land(home, own, DATA, folder)
        files = landing.landing_files(home, spec.name, DATA)
    with features.candidate(home, spec, files) as connection:
        contracts.require(features.table(connection), spec)
        snapshot = features.publish(home, spec, connection)
    trained = training.train(home, spec, snapshot)
    done = evaluation.evaluate(home, spec, snapshot, trained.digest)
    version = registry.register(
        home,
        spec,
        model_folder=trained.folder,
        model_digest=trained.digest,
        snapshot_digest=snapshot.digest,
        evaluation=done.record,
        evaluation_digest=done.digest,
        report=done.report,
        code_version="bare",
        trusted_types=trusted_types(spec),
    )
    verdict = gate.judge(home, spec, snapshot, evaluation=done.record, challenger_digest=trained.digest, champion_digest=None)
    gate.record(home, verdict)
    if not verdict.promoted:
        raise SystemExit("; ".join(verdict.reasons))
    registry.promote(home, version)
    packaging.package(home, spec, trained.digest, version.version)
    scoring.score(home, spec, snapshot, model_digest=trained.digest, version=version.version, scored_at=datetime.now(UTC))


if __name__ == "__main__":
    main()

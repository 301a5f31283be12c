"""The loop without Dagster: the same stage functions in the same order. ``python -m benchmarks.bare_loop``."""

from __future__ import annotations

from datetime import UTC, datetime

from assets import contracts, evaluation, features, gate, landing, packaging, registry, scoring, training, warehouse
from assets.estimators import trusted_types
from assets.spec import ProductSpec, SourceSpec, WarehouseSpec, read_declaration
from assets.storage import warehouse_connection
from orchestration.resources import REPOSITORY, home_from_environment, settle_process

DEFS = REPOSITORY / "orchestration" / "defs"


def main() -> None:
    """Run every stage once."""
    settle_process()
    home = home_from_environment().prepare()
    source = read_declaration(DEFS / "sources" / "flights" / "defs.yaml", SourceSpec)
    house = read_declaration(DEFS / "warehouse" / "defs.yaml", WarehouseSpec)
    spec = read_declaration(DEFS / "flight_delay" / "defs.yaml", ProductSpec)
    for table in source.tables:
        landing.land(home, source, table, DEFS / "sources" / "flights")
    landed = {(source.name, table): landing.landing_files(home, source.name, table) for table in source.tables}
    built = warehouse.build(home, REPOSITORY / house.project, house.parameters, landed)
    if built.failed:
        raise SystemExit(warehouse.explain(built.failed))
    with warehouse_connection(home) as connection:
        contracts.require(features.relation(connection, spec), spec)
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

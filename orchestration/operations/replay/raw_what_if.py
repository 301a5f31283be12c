"""Raw what-ifs: the history that a product would have had, if its raw files had been otherwise.

The altered files are landed, judged by their contracts, and made features by the same steps as real ones, in a home of
their own within the replay's. The warehouse's tests are not run: what is wrong with a step's rows is for the product's contract
to find. Rows that are delivered late are known from the product's event time on, however long before it a question is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assets.errors import SpecificationError, WarehouseError
from assets.features import publish
from assets.features.known_rows import as_published
from assets.features.snapshots import Snapshot, opened
from assets.ingestion import altered_file, landed_tables, landing, raw_files
from assets.ingestion.altered_file import Alteration
from assets.replay.once import once
from assets.replay.what_if import midnight
from assets.spec import ProductSpec, SourceSpec, WarehouseSpec
from assets.spec.product import DATA
from assets.spec.replay import RawInjectionSpec, WhatIfSpec
from assets.storage.code_version import code_version
from assets.storage.digests import file_digest, value_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import REPOSITORY, Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, parquet
from assets.warehouse import dbt_build
from orchestration.components.dbt_nodes import code_version_of
from orchestration.declarations import warehouses

KINDS = {"rows_lost": "lost", "rows_late": "lost", "rows_doubled": "doubled", "unit_changes": "scaled"}
"""What each kind does to a file; late rows are lost for whoever asks before they are delivered."""
MODULES = (
    "assets.ingestion.landing",
    "assets.ingestion.altered_file",
    "assets.warehouse.dbt_build",
    "assets.features.publish",
)
"""The code by which a history is made."""
Sources = Sequence[tuple[SourceSpec, Path]]


def altered_history(
    home: Home, spec: ProductSpec, sources: Sources, snapshot: Snapshot, what_if: WhatIfSpec
) -> tuple[Snapshot, list[str]]:
    """The history with what happens to raw files, made once, and what the landings say of it.

    Parameters
    ----------
    home : Home
        In which the product was run; nothing of it but its replays is written to.
    spec : ProductSpec
        The product.
    sources : sequence of (SourceSpec, Path)
        The sources that it rests on, each with the folder of its declaration.
    snapshot : Snapshot
        The history as it was.
    what_if : WhatIfSpec
        What happens; its `raw` is not empty.

    Raises
    ------
    SpecificationError
        If it names a table or column that is not there, or rows would have to come before they are delivered.
    SourceError
        If an altered file cannot be landed, such as for too many bad rows.
    """
    by_name = {f"{source.name}.{table}": source for source, _ in sources for table in source.tables}
    for number, item in enumerate(what_if.raw):
        if item.table not in by_name:
            raise SpecificationError(
                f"what-if {what_if.name}: raw.{number} ({item.kind}) names {item.table}, on which {spec.name} does not rest. "
                f"It rests on {', '.join(by_name)}."
            )
    houses = [] if spec.source is not None else warehouses()
    rests_on = [
        snapshot.digest,
        [item.model_dump(mode="json") for item in what_if.raw],
        spec.model_dump(mode="json", include={"name", "source", "features", "target", "privacy"}),
        [
            raw_files.digest(raw_files.place(source, table, folder))
            for source, folder in sources
            for table in source.tables.values()
            if table.stored is None
        ],
        [_node_versions(house) for house in houses],
        [source.model_dump(mode="json") for source, _ in sources],
        [file_digest(path) for path in sorted((home.keys / "forgotten").glob("*.json"))],
        code_version(*MODULES),
    ]
    folder = home.replays / spec.name / f"{what_if.name}-raw-{value_digest(rests_on)[:8]}"
    shared = Home(folder / "shared")
    found = once(folder / "history.json", lambda: _made(home, shared, spec, sources, what_if.raw))
    return opened(shared, spec.name, found["digest"]), list(found["told"])


def _node_versions(house: WarehouseSpec) -> dict[str, str]:
    """The code version of each of a warehouse's nodes."""
    manifest = dbt_build.manifest(REPOSITORY / house.project, house.parameters)
    return {name: code_version_of(manifest, node, house.parameters) for name, node in manifest["nodes"].items()}


def _made(home: Home, shared: Home, spec: ProductSpec, sources: Sources, raw: Sequence[RawInjectionSpec]) -> dict[str, Any]:
    """Make the history, with what is delivered late once as if it came in time, and once as if it never came."""
    shared.prepare()
    late = next((item for item in raw if item.kind == "rows_late"), None)
    with draft_folder(home) as scratch:
        whole = _empty_home(home, scratch / "whole")
        in_time = [item for item in raw if item is not late]
        rows, told = _rows(whole, spec, sources, in_time)
        query = f"select * from {parquet(str(rows.path))}"
        with scratch_database(scratch) as connection:
            if late is not None:
                lacking, told_of_lacking = _rows(_empty_home(home, scratch / "lacking"), spec, sources, raw)
                told += [line for line in told_of_lacking if line.startswith(f"{late.table}: {late.kind} ")]
                told.append(f"{late.table}: what is late is delivered on {late.delivered}")
                query = _as_delivered(spec, late, rows, lacking)
            connection.execute(f"create temp view {publish.CANDIDATE} as {query}")
            return {"digest": publish.write(shared, as_published(spec), connection).digest, "told": told}


def _as_delivered(spec: ProductSpec, late: RawInjectionSpec, whole: Snapshot, lacking: Snapshot) -> str:
    """Rows before the delivery as they are without what is late, and all others as they are with it."""
    import duckdb

    delivered = midnight(late.delivered, spec.features.time_zone) if late.delivered else None
    moment, entity = identifier(str(spec.features.event_time)), identifier(spec.features.entity)
    before, after = f"{moment} < timestamp '{delivered}'", f"{moment} >= timestamp '{delivered}'"
    all_rows, known = parquet(str(whole.path)), parquet(str(lacking.path))
    missing = duckdb.execute(
        f"select count(*) from {all_rows} where {before} and {entity} not in (select {entity} from {known})"
    ).fetchall()[0][0]
    if missing:
        raise SpecificationError(
            f"{spec.name}: {missing:,} of its rows are made of the rows of {late.table} that are late, so they could not be "
            "asked about in time. Let rows_lost happen to that table instead."
        )
    return f"select * from {known} where {before} union all by name select * from {all_rows} where {after}"


def _rows(home: Home, spec: ProductSpec, sources: Sources, raw: Sequence[RawInjectionSpec]) -> tuple[Snapshot, list[str]]:
    """The product's rows, made in an empty home of altered files, and what their landings say."""
    landed, told = landed_altered(home, sources, raw)
    own = spec.source is not None
    if not own:
        for house in warehouses():
            build = dbt_build.build(home, REPOSITORY / house.project, house.parameters, landed, tests=False)
            if build.failed:
                raise WarehouseError(dbt_build.explain(build.failed))
    with publish.candidate(home, spec, landed[spec.name, DATA] if own else None) as connection:
        return publish.write(home, spec, connection), told


def landed_altered(
    home: Home, sources: Sources, raw: Sequence[RawInjectionSpec]
) -> tuple[dict[tuple[str, str], list[Path]], list[str]]:
    """Land every table, the altered ones from files written for it alone: others may be read from the same raw file."""
    told, landed = list[str](), dict[tuple[str, str], list[Path]]()
    for source, folder in sources:
        for name, table in source.tables.items():
            items = [item for item in raw if item.table == f"{source.name}.{name}"]
            elsewhere = dict[Path, Path]()
            if items:
                target = home.temporary / f"{source.name}.{name}.parquet"
                target.parent.mkdir(parents=True, exist_ok=True)
                chosen = altered_file.write(home, source, name, folder, [_alteration(item) for item in items], target=target)
                elsewhere = {raw_files.place(source, table, folder): target}
                told += [f"{item.table}: {item.kind} for {rows:,} rows" for item, rows in zip(items, chosen, strict=True)]
            with raw_files.taken_from(elsewhere):
                records = landing.land(home, source, name, folder)
            landed[source.name, name] = [home.root / record.file for record in records if record.partition != "unassigned"]
            told += _quarantined(f"{source.name}.{name}", records) if items else []
    return landed, told


def _empty_home(home: Home, at: Path) -> Home:
    """A home without rows that lands none of the entities whose rows were erased from the product's."""
    made = Home(at).prepare()
    if home.keys.exists():
        made.keys.symlink_to(home.keys.resolve(), target_is_directory=True)
    return made


def _alteration(item: RawInjectionSpec) -> Alteration:
    factor = 1.0 if item.factor is None else item.factor
    return Alteration(KINDS[item.kind], item.start, item.end, item.where, item.columns, factor, item.offset)


def _quarantined(table: str, records: Sequence[landed_tables.Landed]) -> list[str]:
    """What the contract of an altered table refuses."""
    reasons: dict[str, int] = {}
    for record in records:
        for reason, count in record.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    rows = sum(record.rows_quarantined for record in records)
    most = sorted(reasons.items(), key=lambda item: -item[1])[:3]
    told = "; ".join(f"{count:,} {reason}" for reason, count in most)
    return [f"{table}: {rows:,} rows are quarantined ({told})"] if rows else []

"""The warehouse in Spark: the relations that a product rests on, built into a folder, and held against the home's own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import ContractError, EngineError, SpecificationError, WarehouseError
from assets.features import data_contract, publish
from assets.features.snapshots import Snapshot
from assets.ingestion import landed_tables
from assets.spec import ProductSpec, WarehouseSpec
from assets.storage.file_tree import remove
from assets.storage.home import REPOSITORY, Home
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json
from assets.warehouse import dbt_build, parquet_relations
from assets.warehouse.dbt_invocation import Node
from assets.warehouse.parquet_relations import Compared
from assets.warehouse.spark_build import SCRATCH, SparkBuild
from orchestration.operations.engines import spark_engine

DRAFT, LOCK, RECORD = ".draft", ".lock", "warehouse.json"
"""The folder of a build that goes on, its lock, and the record of what was built of what: it is written last."""


@dataclass(frozen=True)
class BuiltInSpark:
    """A folder of relations, each a folder of Parquet files ``SCHEMA/NAME``.

    Parameters
    ----------
    folder : Path
        Where they are.
    relations : sequence of str
        As ``schema.name``, in the order in which they were built.
    landed : mapping of str to sequence of str
        The landed files that they were built from, within the home, by ``source.table``.
    tests : int
        How many tests of dbt's they passed.
    seconds : float
        How long it took, with Spark's start.
    """

    folder: Path
    relations: Sequence[str]
    landed: Mapping[str, Sequence[str]]
    tests: int
    seconds: float


def build(
    home: Home,
    warehouse: WarehouseSpec,
    out: Path,
    *,
    product: ProductSpec | None,
    memory_gb: float,
    environment: Mapping[str, str],
    python: Path,
    on_step: Callable[[str], None] = lambda _: None,
) -> BuiltInSpark:
    """Build and test what a product rests on, or all relations, from what is landed in a home.

    Parameters
    ----------
    home : Home
        It is read, and not changed.
    warehouse : WarehouseSpec
        Its dbt project and parameters.
    out : Path
        A folder that is new, empty, or was written by an earlier build, which is then replaced.
    product : ProductSpec, optional
        Whose relations are built.
    memory_gb : float
        What Spark may take.
    environment, python
        Of Spark's program.
    on_step : callable
        Told what is being done.

    Raises
    ------
    EngineError
        If the folder holds something else, or Spark fails.
    SpecificationError
        If the product has no relation.
    DigestError
        If nothing is landed of a table, or a file was changed.
    WarehouseError
        If a model or a test failed; what an earlier build left then stays.
    """
    out = out.expanduser().absolute()
    _require_folder(home, out)
    project = REPOSITORY / warehouse.project
    tables = sorted(_tables(dbt_build.manifest(project, warehouse.parameters), product))
    landed = {table: landed_tables.files(home, *table.split(".", 1)) for table in tables}
    models = None if product is None else [f"+{str(product.features.relation).partition('.')[2]}"]
    out.mkdir(parents=True, exist_ok=True)
    with exclusive(out / LOCK):
        began, draft = time.monotonic(), out / DRAFT
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            files = {table: [str(file) for file in found] for table, found in landed.items()}
            job = SparkBuild(project, warehouse.parameters, files, models, draft, memory_gb)
            nodes, relations = _run(job, out, environment, python, on_step)
            if failed := [item for item in nodes if not item.passed and not item.warns]:
                raise WarehouseError(f"in Spark: {dbt_build.explain(failed)}")
            _replace(out, draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        within = {table: [home.relative(file) for file in found] for table, found in landed.items()}
        write_json(out / RECORD, {"engine": "spark", "landed": within, "relations": relations})
    return BuiltInSpark(out, relations, within, len(nodes) - len(relations), time.monotonic() - began)


def compared(home: Home, built: BuiltInSpark) -> list[Compared] | None:
    """The relations beside those that DuckDB built of the same files; None where the home's are of others, or unfinished."""
    own = dbt_build.landed_files(home)
    if not dbt_build.build_record(home).exists() or any(
        sorted(own.get(table, ())) != sorted(files) for table, files in built.landed.items()
    ):
        return None
    return list(parquet_relations.compared(home, built.folder, built.relations))


def snapshot(built: BuiltInSpark, spec: ProductSpec) -> Snapshot:
    """Publish the product's snapshot into the folder, if its relation keeps the contract.

    Raises
    ------
    ContractError
        If it breaks it.
    """
    place = built.folder / "snapshots" / spec.name
    with (
        parquet_relations.as_warehouse(Home(built.folder / SCRATCH), built.folder, [str(spec.features.relation)]) as home,
        publish.candidate(home, spec) as connection,
    ):
        if breaks := data_contract.check(publish.table(connection), spec):
            raise ContractError(data_contract.explain(breaks, spec))
        made = publish.write(home, spec, connection)
        place.mkdir(parents=True, exist_ok=True)
        path = made.path.rename(place / made.path.name)
    shutil.rmtree(built.folder / SCRATCH)
    return Snapshot(path, made.digest, made.rows)


def own_snapshot(home: Home, product: str) -> str | None:
    """The digest of the home's own snapshot, if there is one."""
    record = home.snapshots / product / "current.json"
    return str(read_json(record)["digest"]) if record.exists() else None


def warehouse_of(product: ProductSpec | None) -> WarehouseSpec:
    """The declared warehouse that builds a product's relation, or the only one.

    Raises
    ------
    SpecificationError
        If there is not exactly one.
    """
    from orchestration.declarations import warehouses

    declared = warehouses()
    if product is None or product.source is not None:
        found, what = declared, "are declared. Name a product"
    else:
        relation = str(product.features.relation)
        what = f"build {relation}. Correct features.relation of {product.name}, or declare a model of that name"
        found = [house for house in declared if relation in _relations(house)]
    if len(found) != 1:
        raise SpecificationError(f"{len(found)} warehouses {what}: one is needed.")
    return found[0]


def _relations(warehouse: WarehouseSpec) -> set[str]:
    manifest = dbt_build.manifest(REPOSITORY / warehouse.project, warehouse.parameters)
    return {f"{node['schema']}.{node['name']}" for node in manifest["nodes"].values()}


def _run(
    job: SparkBuild, out: Path, environment: Mapping[str, str], python: Path, on_step: Callable[[str], None]
) -> tuple[list[Node], list[str]]:
    """What dbt did with each node, and the relations that were built."""
    done: Mapping[str, Any] = {}
    for line in spark_engine.lines(
        "assets.warehouse.spark_build",
        job.text(),
        out / spark_engine.LOG,
        environment=environment,
        python=python,
        what="the build in Spark",
    ):
        if "step" in line:
            on_step(line["step"])
        done = line.get("done", done)
    return [Node(**{**item, "about": tuple(item["about"])}) for item in done["nodes"]], done["relations"]


def _tables(manifest: Mapping[str, Any], product: ProductSpec | None) -> set[str]:
    """The landed tables that are read, as ``source.table``."""
    if product is None:
        return {f"{source['source_name']}.{source['name']}" for source in manifest["sources"].values()}
    if product.source is not None:
        raise SpecificationError(
            f"{product.name} reads a file of its own, not the warehouse. Name a product with features.relation."
        )
    return dbt_build.rests_on(manifest, str(product.features.relation))


def _require_folder(home: Home, out: Path) -> None:
    if out.resolve().is_relative_to(home.root.resolve()):
        raise EngineError(f"{out} lies in the home, whose every file is accounted for. Give a folder outside of it.")
    if out.is_dir():
        others = {path.name for path in out.iterdir()} - {DRAFT, LOCK, spark_engine.LOG}
        if not others or (out / RECORD).is_file():
            return
    elif not out.exists():
        return
    raise EngineError(f"{out} holds other files than a build in Spark. Give a new or empty folder.")


def _replace(out: Path, draft: Path) -> None:
    """Put what was built in the place of an earlier build."""
    (out / RECORD).unlink(missing_ok=True)
    for path in out.iterdir():
        if path.name not in (draft.name, LOCK, spark_engine.LOG):
            remove(path)
    for path in draft.iterdir():
        path.rename(out / path.name)

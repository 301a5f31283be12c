"""Warehouse: dbt builds and tests the relations in DuckDB, in this process and under the warehouse's lock.

A finished build leaves a record of what is broken; a build that is killed leaves none, and without it nothing is published
from the warehouse. What the relations mean stands in `dbt_project`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.errors import WarehouseError
from assets.storage.digests import file_digest, value_digest
from assets.storage.home import Home
from assets.storage.locks import opened_warehouse, warehouse_lock
from assets.storage.manifest import remove
from assets.storage.publishing import publishing, read_json, write_json
from assets.storage.sql import parquet
from assets.warehouse.column_lineage import Column, lineage
from assets.warehouse.dbt_invocation import Node, made, node, run_dbt

BUILT_FROM = ("dbt_project.yml", "profiles.yml", "macros", "models", "seeds", "tests")
LANDED = "landed.json"
LANDING = "landing_"
"""What the schema of a source's landed tables begins with."""


@dataclass(frozen=True)
class Relation:
    """A built relation: its rows, a version of its content that does not depend on their order, and what it was built by.

    Parameters
    ----------
    rows, version
        How many there are, and the version.
    query : str, optional
        The SQL that was run; a seed has none.
    known : sequence of (column, type)
        The columns of all relations when it was built.
    """

    rows: int
    version: str
    query: str | None
    known: Sequence[tuple[Column, str]] = field(repr=False)

    @property
    def lineage(self) -> dict[str, list[Column]]:
        """The columns of other relations that each column is made of; worked out when asked for."""
        return lineage(self.query, self.known) if self.query else {}


@dataclass(frozen=True)
class Build:
    """A dbt invocation: its nodes, and the relations that were built."""

    nodes: tuple[Node, ...]
    relations: Mapping[str, Relation]

    @property
    def failed(self) -> list[Node]:
        """The nodes that did not pass, but for warnings."""
        return [node for node in self.nodes if not node.passed and not node.warns]

    @property
    def broken(self) -> set[str]:
        """The models and seeds that failed, were skipped, or broke a test: nothing may rest on them."""
        return {name for node in self.failed for name in (node.unique_id, *node.about)}


def manifest(project: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The project's manifest, parsed anew only when a file or a parameter changed, or where the project cannot be written.

    Raises
    ------
    WarehouseError
        If dbt cannot parse the project.
    """
    target = project / "target"
    files = [
        file
        for name in BUILT_FROM
        for file in ([project / name] if (project / name).is_file() else sorted((project / name).rglob("*")))
        if file.is_file()
    ]
    stamp = value_digest([[str(file.relative_to(project)), file_digest(file)] for file in files] + [dict(parameters)])
    kept, kept_stamp = target / "manifest.json", target / "manifest.sha256"
    found: dict[str, Any]
    if kept.exists() and kept_stamp.exists() and kept_stamp.read_text(encoding="utf-8") == stamp:
        found = read_json(kept)
        return found
    with tempfile.TemporaryDirectory() as scratch:
        _dbt(["parse", "--no-partial-parse"], project, Path(scratch), parameters)
        parsed = Path(scratch) / "manifest.json"
        found = read_json(parsed)
        # a read-only checkout keeps nothing: each process parses
        with contextlib.suppress(OSError):
            with publishing(kept) as temporary:
                shutil.copyfile(parsed, temporary)
            with publishing(kept_stamp) as temporary:
                temporary.write_text(stamp, encoding="utf-8")
    return found


def rests_on(manifest: Mapping[str, Any], relation: str) -> set[str]:
    """The landed tables, as ``source.table``, that a relation, as ``schema.name``, is made of however far below."""
    nodes, landed = manifest["nodes"], manifest["sources"]
    waiting = [name for name, node in nodes.items() if f"{node['schema']}.{node['name']}" == relation]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += nodes.get(name, {}).get("depends_on", {}).get("nodes", [])
    return {f"{landed[name]['source_name']}.{landed[name]['name']}" for name in seen & landed.keys()}


def build(
    home: Home,
    project: Path,
    parameters: Mapping[str, Any],
    landed: Mapping[tuple[str, str], Sequence[Path]],
    models: Sequence[str] | None = None,
    *,
    tests: bool = True,
) -> Build:
    """Point the warehouse at the landed files, then build and test models.

    Parameters
    ----------
    home : Home
        Where the warehouse lies.
    project : Path
        The dbt project.
    parameters : mapping
        The dbt variables.
    landed : mapping of (source, table) to sequence of Path
        The Parquet files that hold each landed table.
    models : sequence of str, optional
        The models and seeds to build, by name; None builds all. Where the warehouse is gone, as in a home that was taken
        from a store, those that they rest on are built too.
    tests : bool
        Whether to test them too. Without tests the build leaves no record, so nothing can be published from it.

    Returns
    -------
    Build
        Failed tests are in it, not raised: whoever asked decides what to say of them.

    Raises
    ------
    WarehouseError
        If dbt could not start.
    """
    record = build_record(home)
    with warehouse_lock(home):
        if not home.warehouse.exists() and (before := _landed_before(home)):
            models = None if models is None else [f"+{name}" for name in models]
            landed = {**before, **landed}
        remove(record)
        with opened_warehouse(home) as connection:
            for (source, table), files in landed.items():
                connection.execute(f'create schema if not exists "{LANDING}{source}"')
                landed_rows = parquet(*map(str, files))
                connection.execute(f'create or replace view "{LANDING}{source}"."{table}" as select * from {landed_rows}')
        os.environ["LOOPLINE_WAREHOUSE"] = str(home.warehouse)
        # a test over several models runs with the last of them: before, it would compare new rows with old ones
        arguments = ["build", "--indirect-selection", "buildable"]
        arguments += [] if models is None else ["--select", *models]
        arguments += [] if tests else ["--exclude-resource-type", "test", "unit_test"]
        results = _dbt(arguments, project, home.warehouse.parent / "target", parameters)
        nodes, built = tuple(map(node, results)), made(results)
        with opened_warehouse(home) as connection:
            known = _columns(connection)
            relations = {node.unique_id: _relation(connection, node, known) for node in built}
        done = Build(nodes, relations)
        if tests:
            listed = landed_files(home)
            named = {f"{source}.{table}": sorted(map(home.relative, files)) for (source, table), files in landed.items()}
            write_json(home.warehouse.parent / LANDED, listed | named)
            names = {result.node.unique_id: f"{result.node.schema}.{result.node.alias}" for result in results}
            write_json(record, {"nodes": len(nodes), "broken": sorted(names[name] for name in done.broken if name in names)})
    return done


def build_record(home: Home) -> Path:
    """The file that is there if, and only if, the last build finished; it names the relations that are broken."""
    return home.warehouse.parent / "build.json"


def landed_files(home: Home) -> dict[str, list[str]]:
    """The landed files that the warehouse reads, by table, as paths within the home."""
    record = home.warehouse.parent / LANDED
    found: dict[str, list[str]] = read_json(record) if record.exists() else {}
    return found


def _landed_before(home: Home) -> dict[tuple[str, str], list[Path]]:
    """The landed files that an earlier warehouse read, by source and table."""
    found = {name.partition("."): files for name, files in landed_files(home).items()}
    return {(source, table): [home.root / file for file in files] for (source, _, table), files in found.items()}


def require_sound(home: Home, relation: str) -> None:
    """Refuse a relation that the last build did not finish or left broken.

    Raises
    ------
    WarehouseError
        If it may not be read.
    """
    record = build_record(home)
    if not record.exists():
        raise WarehouseError("the warehouse's last build did not finish. Run `loopline run` to build it.")
    if relation in read_json(record)["broken"]:
        raise WarehouseError(
            f"{relation} failed, or was skipped, when it was last built. Mend its cause and run `loopline run`."
        )


def explain(failed: Iterable[Node]) -> str:
    """Tell failed nodes in one message."""
    told = [f"{node.unique_id.split('.')[0]} {node.unique_id.split('.')[2]}: {node.message}" for node in failed]
    shown = "; ".join(told[:8]) + (f"; and {len(told) - 8} more" if len(told) > 8 else "")
    return f"dbt build failed. {shown}. Nothing that rests on it was started; mend the model or the data and run again."


def _columns(connection: Any) -> list[tuple[Column, str]]:
    """The columns of all relations, with their types."""
    asked = "select schema_name, table_name, column_name, data_type from duckdb_columns() where not internal"
    return [((schema, name, column), kind) for schema, name, column, kind in connection.execute(asked).fetchall()]


def _relation(connection: Any, node: Any, known: list[tuple[Column, str]]) -> Relation:
    rows, mixed, total = connection.execute(
        f'select count(*), bit_xor(hash(t)), sum(hash(t)::hugeint) from "{node.schema}"."{node.alias}" as t'
    ).fetchone()
    return Relation(int(rows), value_digest([rows, mixed, str(total)]), getattr(node, "compiled_code", None), known)


def _dbt(arguments: list[str], project: Path, target: Path, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """Run dbt and let go of its connection, which would otherwise hold the warehouse's lock."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    try:
        return run_dbt(arguments, project, target, parameters)
    finally:
        DuckDBConnectionManager.close_all_connections()

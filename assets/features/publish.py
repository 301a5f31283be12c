"""Features: publish the feature relation as an immutable snapshot, Parquet named by the digest of its bytes.

The relation is a warehouse model, or the landed rows of the product's own file. How features are computed stands in
`dbt_project/models/features`; reading a snapshot stands in `snapshots`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import WarehouseError
from assets.features.snapshot_origin import origin
from assets.features.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.locks import warehouse_connection
from assets.storage.publishing import publish_by_digest, write_json
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal, parquet

if TYPE_CHECKING:
    import duckdb
    import ibis.expr.types as ir

CANDIDATE = "candidate"
"""The view that is held against the contract and then published."""


@contextmanager
def candidate(home: Home, spec: ProductSpec, files: Sequence[Path] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the view `CANDIDATE`: what would be published if it keeps the contract.

    Parameters
    ----------
    home : Home
        Where the warehouse lies.
    spec : ProductSpec
        The specification.
    files : sequence of Path, optional
        The landed Parquet files of the product's own source; without them the warehouse is read.

    Raises
    ------
    WarehouseError
        If the warehouse has no such relation.
    """
    import duckdb

    if files is None:
        with warehouse_connection(home) as connection:
            schema, name = str(spec.features.relation).split(".")
            try:
                place = f"{identifier(schema)}.{identifier(name)}"
                described = connection.execute(f"describe from {place}").fetchall()
                single = [row[0] for row in described if row[1] == "FLOAT" and row[0] in spec.columns]
                widened = ", ".join(f"{identifier(column)}::double as {identifier(column)}" for column in single)
                kept = f"* replace ({widened})" if single else "*"
                connection.execute(f"create temp view {CANDIDATE} as select {kept} from {place}")
            except duckdb.CatalogException as error:
                raise WarehouseError(
                    f"{spec.name}: the warehouse has no relation {spec.features.relation}. Build it with `loopline run`, or "
                    "correct features.relation."
                ) from error
            yield connection
        return
    with draft_folder(home) as scratch, scratch_database(scratch) as connection:
        typed = ", ".join(f"{_typed(spec, name)} as {identifier(name)}" for name in spec.snapshot_columns)
        connection.execute(f"create temp view {CANDIDATE} as select {typed} from {parquet(*map(str, files))}")
        yield connection


def table(connection: duckdb.DuckDBPyConnection) -> ir.Table:
    """The candidate as an ibis table."""
    import ibis

    return ibis.duckdb.from_connection(connection).table(CANDIDATE)


def publish(
    home: Home,
    spec: ProductSpec,
    connection: duckdb.DuckDBPyConnection,
    landed: Mapping[str, Sequence[str]],
    versions: Mapping[str, Mapping[str, str]] | None = None,
) -> Snapshot:
    """Publish the candidate, once its contract is known to hold, as the current snapshot.

    Parameters
    ----------
    home : Home
        Where to publish.
    spec : ProductSpec
        The specification; its columns, and no others, are published.
    connection : duckdb.DuckDBPyConnection
        From `candidate`.
    landed : mapping of str to sequence of str
        The landed files that it rests on, by table, as paths within the home.
    versions : mapping of str to mapping, optional
        From which table elsewhere, and from which version of it, landed tables were read.
    """
    snapshot = write(home, spec, connection)
    write_json(origin(home, spec.name, snapshot.digest), {"landed": dict(landed), "versions": dict(versions or {})})
    write_json(home.snapshots / spec.name / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
    return snapshot


def write(home: Home, spec: ProductSpec, connection: duckdb.DuckDBPyConnection) -> Snapshot:
    """Write the candidate as a snapshot by its digest, without making it the current one."""
    columns = ", ".join(
        f"{_label(spec)} as {identifier(column)}" if column == spec.target.column else identifier(column)
        for column in spec.snapshot_columns
    )
    order = ", ".join(identifier(name) for name in (spec.features.event_time, spec.features.entity) if name is not None)
    with draft_folder(home) as scratch:
        temporary = scratch / "snapshot.parquet"
        row = connection.execute(
            f"copy (select {columns} from {CANDIDATE} order by {order}) "
            f"to {literal(str(temporary))} (format parquet, compression zstd)"
        ).fetchone()
        path, digest = publish_by_digest(temporary, home.snapshots / spec.name, ".parquet")
    return Snapshot(path, digest, int(row[0]) if row else 0)


def _typed(spec: ProductSpec, name: str) -> str:
    """A landed column as the contract wants it."""
    if name not in spec.columns:
        return identifier(name)
    return f"{identifier(name)}::{'varchar' if spec.columns[name].type == 'category' else 'double'}"


def _label(spec: ProductSpec) -> str:
    """The label of a row: null where the target is, or where its value is left out."""
    target, column = spec.target, identifier(spec.target.column)
    if spec.kind == "regression":
        return f"{column}::double"
    if target.merge or target.leave_out:
        cases = [f"when {column}::varchar in ({_listed(values)}) then {literal(name)}" for name, values in target.merge.items()]
        if target.leave_out:
            cases.append(f"when {column}::varchar in ({_listed(target.leave_out)}) then null")
        column = f"(case {' '.join(cases)} else {column}::varchar end)"
    if spec.kind == "multiclass":
        return f"{column}::varchar"
    return column if target.positive is None else f"({column}::varchar = {literal(target.positive)})"


def _listed(values: Sequence[str]) -> str:
    return ", ".join(literal(value) for value in values)

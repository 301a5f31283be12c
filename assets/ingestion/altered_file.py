"""Altered files: a raw table as it would have been, written beside it, so that it is landed like any other.

Rows are chosen by the table's typed columns; what is written is the file's own text, but for values whose unit changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SpecificationError
from assets.ingestion import forgotten, raw_files, row_rules, row_validation
from assets.spec import SourceSpec, TableSpec
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Alteration:
    """What happens to rows of a table.

    Parameters
    ----------
    kind : {"lost", "doubled", "scaled"}
        Rows are left out, are there twice, or have other values.
    start, end : date or None
        The first day, and the first after it.
    where : str or None
        An SQL condition over the typed columns.
    columns : tuple of str
        Whose values are `factor` times what they were, plus `offset`.
    """

    kind: str
    start: date | None = None
    end: date | None = None
    where: str | None = None
    columns: tuple[str, ...] = ()
    factor: float = 1.0
    offset: float = 0.0


def write(
    home: Home, source: SourceSpec, name: str, declared_in: Path, alterations: Sequence[Alteration], *, target: Path
) -> list[int]:
    """Write a table's raw file with some alterations, as Parquet.

    Parameters
    ----------
    home : Home
        Where raw files are unpacked meanwhile.
    source, name, declared_in
        The table, and the folder of the source's declaration.
    alterations : sequence of Alteration
        What happens, in order.
    target : Path
        The file to write.

    Returns
    -------
    list of int
        The rows that each alteration chose.

    Raises
    ------
    SpecificationError
        If the table is no file, has no such columns, or a condition cannot be evaluated.
    """
    table = source.tables[name]
    if table.stored is not None:
        raise SpecificationError(f"{source.name}.{name} is a table elsewhere; only files can be altered. Land it as a file.")
    path = raw_files.locate(source, table, declared_in)
    with raw_files.readable(path, table, home) as read, draft_folder(home) as scratch, scratch_database(scratch) as connection:
        row_validation.load(connection, read, f"{source.name}.{name}")
        forgotten.leave_out(home, connection, source.name, name, table)
        found = row_validation.columns(connection)
        connection.execute("create table altered as from raw; drop view raw; alter table altered rename to raw")
        chosen = [_alter(connection, table, f"{source.name}.{name}", found, item) for item in alterations]
        columns = ", ".join(f"{identifier(row_validation.named(column))} as {identifier(column)}" for column in read[0].columns)
        connection.execute(f"copy (select {columns} from raw order by source_row) to {literal(str(target))} (format parquet)")
    return chosen


def _alter(
    connection: duckdb.DuckDBPyConnection, table: TableSpec, name: str, found: Mapping[str, str], item: Alteration
) -> int:
    import duckdb

    by_name = {column.name or own: own for own, column in table.columns.items()}
    if unknown := sorted(set(item.columns).difference(by_name)):
        raise SpecificationError(f"{name} has no column {', '.join(unknown)}. It has: {', '.join(by_name)}.")
    if other := [column for column in item.columns if table.columns[by_name[column]].type not in ("number", "integer")]:
        raise SpecificationError(f"{name}: {', '.join(other)} is no number, so it has no unit. Choose another column.")
    try:
        connection.execute(f"create or replace table typed as {row_rules.typed_rows(table, found, table.columns)}")
        connection.execute(
            f"create or replace table chosen as select source_row from typed where {_condition(table, name, item)}"
        )
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise SpecificationError(
            f"{name}: the condition cannot be evaluated ({first}). Columns are: {', '.join(by_name)}."
        ) from error
    if item.kind == "lost":
        connection.execute("delete from raw where source_row in (from chosen)")
    elif item.kind == "doubled":
        connection.execute(
            "insert into raw select raw.* replace ((select max(source_row) from raw) + source_row as source_row) "
            "from raw where source_row in (from chosen)"
        )
    else:
        for column in item.columns:
            own = by_name[column]
            value = f"typed.{identifier(column)} * {item.factor!r} + {item.offset!r}"
            connection.execute(
                f"update raw set {identifier(row_validation.named(own))} = {_written(table, own, found[own], value)} "
                f"from typed where typed.source_row = raw.source_row and typed.{identifier(column)} is not null "
                "and raw.source_row in (from chosen)"
            )
    return row_validation.count(connection, "select count(*) from chosen")


def _condition(table: TableSpec, name: str, item: Alteration) -> str:
    """Between the days, and where it is said."""
    parts = [] if item.where is None else [f"({item.where})"]
    if item.start is not None or item.end is not None:
        if table.partition is None or table.partition.day is None:
            raise SpecificationError(f"{name} declares no 'partition.day', so its rows have no day. Choose them by 'where'.")
        day = f"({table.partition.day})"
        parts += [f"{day} >= date '{item.start}'"] if item.start is not None else []
        parts += [f"{day} < date '{item.end}'"] if item.end is not None else []
    return f"coalesce({' and '.join(parts)}, false)" if parts else "true"


def _written(table: TableSpec, own: str, found: str, value: str) -> str:
    """A number as the file writes it."""
    if found != "VARCHAR":
        return f"({value})::{found}"
    point = table.columns[own].decimal or table.csv.decimal
    text = f"({value})::varchar"
    return text if point == "." else f"replace({text}, '.', {literal(point)})"

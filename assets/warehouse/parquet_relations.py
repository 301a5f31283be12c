"""Relations that another engine built, as folders of Parquet files ``SCHEMA/NAME``, held against the home's warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.storage.home import Home
from assets.storage.locks import opened_warehouse, warehouse_connection
from assets.storage.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Compared:
    """A relation beside the home's own.

    Parameters
    ----------
    relation : str
        As ``schema.name``.
    rows : int
        How many it has.
    own_rows : int, optional
        How many the home's own has; None where the home has none.
    types : dict of str to (str, str)
        Columns of another type, or that only one has, with its type here and there.
    only_here, only_there : int
        Rows that only one of them has, counted as often as they are there.
    """

    relation: str
    rows: int
    own_rows: int | None
    types: dict[str, tuple[str, str]]
    only_here: int
    only_there: int

    @property
    def is_equal(self) -> bool | None:
        """Whether both have the same rows, whatever their order; None where the home has no such relation."""
        return None if self.own_rows is None else not (self.types or self.only_here or self.only_there)

    def __str__(self) -> str:
        told = f"{self.relation}: {self.rows:,} rows"
        if self.own_rows is None:
            return f"{told}; the home has no such relation"
        if self.types:
            listed = ", ".join(f"{name} is {here}, and {there} in DuckDB" for name, (here, there) in self.types.items())
            return f"{told}; {listed}"
        differing = f"{self.only_here:,} that DuckDB's has not, {self.only_there:,} that it lacks"
        return f"{told}, equal to DuckDB's" if self.is_equal else f"{told}, {differing}"


def files(folder: Path, relation: str) -> str:
    """An SQL relation of what was built."""
    place = folder.joinpath(*relation.split(".", 1))
    return f"read_parquet({literal(str(place))} || '/*.parquet', hive_partitioning = false)"


def compared(home: Home, folder: Path, relations: Sequence[str]) -> Iterator[Compared]:
    """Hold relations against the home's own, row for row and whatever their order, under the warehouse's lock.

    Rows are counted by their hashes, as in a relation's version; only where these differ are rows compared one by one.
    """
    with warehouse_connection(home) as connection:
        connection.execute("set timezone = 'UTC'")
        there = {
            f"{schema}.{name}"
            for schema, name in connection.execute(
                "select table_schema, table_name from information_schema.tables where table_catalog = current_catalog()"
            ).fetchall()
        }
        for relation in relations:
            yield _compared(connection, folder, relation, is_there=relation in there)


def _compared(connection: duckdb.DuckDBPyConnection, folder: Path, relation: str, *, is_there: bool) -> Compared:
    here, own = files(folder, relation), ".".join(map(identifier, relation.split(".", 1)))
    rows, kinds = _count(connection, here), _types(connection, here)
    if not is_there:
        return Compared(relation, rows, None, {}, 0, 0)
    own_rows, own_kinds = _count(connection, own), _types(connection, own)
    types = {
        name: (kinds.get(name, "missing"), own_kinds.get(name, "missing"))
        for name in (kinds | own_kinds)
        if kinds.get(name) != own_kinds.get(name)
    }
    if types:
        return Compared(relation, rows, own_rows, types, 0, 0)
    listed = ", ".join(map(identifier, own_kinds))
    one, other = f"select {listed} from {here}", f"select {listed} from {own}"
    if rows == own_rows and _sums(connection, one) == _sums(connection, other):
        return Compared(relation, rows, own_rows, {}, 0, 0)
    counts = [
        int(_one(connection, f"select count(*) from (({left}) except all ({right}))")[0])
        for left, right in ((one, other), (other, one))
    ]
    return Compared(relation, rows, own_rows, {}, counts[0], counts[1])


@contextmanager
def as_warehouse(home: Home, folder: Path, relations: Sequence[str]) -> Iterator[Home]:
    """A home whose warehouse is nothing but these relations, to publish snapshots from.

    They are tables, as those that dbt builds: what DuckDB knows of their columns, such as that no value is missing, is in a
    snapshot's bytes.
    """
    home.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with opened_warehouse(home) as connection:
        connection.execute("set timezone = 'UTC'")
        for relation in relations:
            schema, name = map(identifier, relation.split(".", 1))
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create or replace table {schema}.{name} as select * from {files(folder, relation)}")
    try:
        yield home
    finally:
        home.warehouse.unlink()


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    return int(_one(connection, f"select count(*) from {relation}")[0])


def _sums(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Two sums over the hashes of rows, which do not depend on their order."""
    return _one(connection, f"select bit_xor(hash(t)), sum(hash(t)::hugeint) from ({query}) as t")


def _types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"describe from {relation}").fetchall()}


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    found = connection.execute(query).fetchone()
    return () if found is None else tuple(found)

"""Database copy: tables of SQLite files copied into a schema of PostgreSQL, in one transaction, and counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import DatabaseError

if TYPE_CHECKING:
    import psycopg

OWN = {"alembic_version", "secondary_indexes"}
"""What a library writes of the schema itself when it makes it; that of the new tables holds."""
FOREIGN = """
select child.relname, parent.relname from pg_constraint
join pg_class child on child.oid = conrelid join pg_class parent on parent.oid = confrelid
where contype = 'f' and connamespace = %s::regnamespace and conrelid <> confrelid
"""


def copy_tables(server: psycopg.Connection[Any], schema: str, file: Path, but: Iterable[str] = ()) -> dict[str, int]:
    """Replace the rows of a schema's tables by those of a SQLite file.

    Parameters
    ----------
    server : psycopg.Connection
        A connection that searches the schema; what is copied is committed with it.
    schema : str
        The schema, whose tables were made by the same library as the file.
    file : Path
        The SQLite file.
    but : iterable of str, optional
        Tables that are copied otherwise.

    Returns
    -------
    dict of str to int
        How many rows each table of the file got.

    Raises
    ------
    DatabaseError
        If the file has another schema revision, or a table or column that the server's lacks, or not all rows arrive.
    """
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as source:
        require_revision(server, source, file)
        held = {
            name
            for (name,) in source.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
        }
        names = [name for name in _parents_first(server, schema) if name in held - OWN - set(but)]
        if names:
            server.execute(f"truncate {', '.join(map(quoted, names))} cascade".encode())
        if missing := [name for name in held - OWN - set(but) - set(names) if _count(source, name)]:
            raise DatabaseError(f"{file} has tables that {schema} lacks: {', '.join(missing)}. Nothing was copied.")
        return {name: _copy(server, source, name) for name in names}


def require_revision(server: psycopg.Connection[Any], source: sqlite3.Connection, file: Path) -> None:
    """See that a file and a schema are of the same revision."""
    query = "select version_num from alembic_version"
    there, here = server.execute(query.encode()).fetchall(), source.execute(query).fetchall()
    if there != here:
        raise DatabaseError(
            f"{file} is of schema revision {here}, and PostgreSQL's tables of {there}. Run `loopline run` with SQLite once, by "
            "this version of Loopline, then migrate."
        )


def settle_sequences(server: psycopg.Connection[Any], schema: str) -> None:
    """Let each counter go on after the largest number that its column holds."""
    query = (
        "select table_name, column_name from information_schema.columns "
        "where table_schema = %s and column_default like 'nextval%%'"
    )
    for table, column in server.execute(query.encode(), (schema,)).fetchall():
        server.execute(
            f"select setval(pg_get_serial_sequence(%s, %s), greatest(1, coalesce(max({quoted(column)}), 0) + 1), false) "
            f"from {quoted(table)}".encode(),
            (f"{schema}.{quoted(table)}", column),
        )


def insert_rows(server: psycopg.Connection[Any], table: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> int:
    """Add rows by `COPY`, whose text PostgreSQL reads as each column's type: SQLite has no truth values and no times."""
    count = 0
    statement = f"copy {quoted(table)} ({', '.join(map(quoted, columns))}) from stdin"
    with server.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def columns_of(source: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table of a SQLite file."""
    return [row[1] for row in source.execute(f"pragma table_info({quoted(table)})")]


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _parents_first(server: psycopg.Connection[Any], schema: str) -> Iterator[str]:
    """The tables of a schema, each after those that its foreign keys name."""
    order: TopologicalSorter[str] = TopologicalSorter()
    for (name,) in server.execute("select tablename from pg_tables where schemaname = %s order by 1", (schema,)).fetchall():
        order.add(name)
    for child, parent in server.execute(FOREIGN, (schema,)).fetchall():
        order.add(child, parent)
    yield from order.static_order()


def _copy(server: psycopg.Connection[Any], source: sqlite3.Connection, table: str) -> int:
    known = server.execute(
        "select column_name from information_schema.columns where table_schema = current_schema() and table_name = %s", (table,)
    ).fetchall()
    columns = columns_of(source, table)
    if missing := [name for name in columns if (name,) not in known]:
        raise DatabaseError(f"table {table} has columns that PostgreSQL's lacks: {', '.join(missing)}. Nothing was copied.")
    insert_rows(
        server, table, columns, source.execute(f"select {', '.join(map(quoted, columns))} from {quoted(table)} order by rowid")
    )
    expected, found = _count(source, table), server.execute(f"select count(*) from {quoted(table)}".encode()).fetchone()
    if found != (expected,):
        raise DatabaseError(f"table {table} has {expected} rows and {found} arrived. Nothing was copied; migrate again.")
    return expected


def _count(source: sqlite3.Connection, table: str) -> int:
    return int(source.execute(f"select count(*) from {quoted(table)}").fetchone()[0])

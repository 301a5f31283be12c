"""Metadata: what Dagster and MLflow recorded, read and written by SQL without their libraries, whose imports take seconds.

The same statements run on a home's SQLite files and on the schemas of its PostgreSQL database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any

from assets.storage import postgresql
from assets.storage.home import Home


class Part(Enum):
    """One database of a home: its file, how that is opened to be read, and the schema that it is in PostgreSQL."""

    RUNS = "dagster/history/runs.db", "ro", postgresql.DAGSTER
    EVENTS = "dagster/history/runs/index.db", "ro", postgresql.DAGSTER
    # to be written, as what a killed process left of a transaction is rolled back first
    REGISTRY = "registry/mlflow.db", "rw", postgresql.MLFLOW

    def file(self, home: Home) -> Path:
        """Its SQLite file."""
        return home.root / self.value[0]

    def named(self, home: Home) -> str:
        """How an error names it."""
        return str(self.file(home)) if home.database is None else f"{self.value[2]} of {postgresql.place(home.database)}"


def exists(home: Home, part: Part) -> bool:
    """Whether there is such a database; in PostgreSQL, whether its tables were made."""
    if home.database is None:
        return part.file(home).exists()
    with postgresql.connected(home.database, part.value[2]) as server:
        return _is_made(server)


def is_there(home: Home, output: str) -> bool:
    """Whether what an asset wrote is there: a file of the home, or MLflow's database, which may be a schema."""
    if home.database is not None and output == Part.REGISTRY.value[0]:
        return exists(home, Part.REGISTRY)
    return (home.root / output).exists()


def read(home: Home, part: Part, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a query; none where the database is not made yet.

    Parameters
    ----------
    home : Home
        Whose metadata.
    part : Part
        Which database.
    query : str
        With a question mark for each value; without other question marks and per cent signs.
    values : iterable
        What the question marks stand for.

    Raises
    ------
    sqlite3.DatabaseError
        If a file cannot be read.
    DatabaseError
        If PostgreSQL cannot be asked.
    """
    if home.database is None:
        if not part.file(home).exists():
            return []
        address = f"{part.file(home).resolve().as_uri()}?mode={part.value[1]}"
        with closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
            return connection.execute(query, tuple(values)).fetchall()
    with postgresql.connected(home.database, part.value[2]) as server:
        return server.execute(query.replace("?", "%s").encode(), tuple(values)).fetchall() if _is_made(server) else []


def write(home: Home, part: Part, statement: str, values: Iterable[Sequence[Any]]) -> None:
    """Run a statement once for each sequence of values; all of it is committed, or nothing."""
    if home.database is None:
        with closing(sqlite3.connect(part.file(home), timeout=60)) as connection, connection:
            connection.executemany(statement, [tuple(item) for item in values])
        return
    with postgresql.connected(home.database, part.value[2]) as server, server.cursor() as cursor:
        cursor.executemany(statement.replace("?", "%s").encode(), [tuple(item) for item in values])


def _is_made(server: Any) -> bool:
    return bool(server.execute("select to_regclass('alembic_version') is not null").fetchone() == (True,))

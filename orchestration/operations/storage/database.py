"""Database: a home's metadata moved from its SQLite files to PostgreSQL, all of it or nothing, and what is there.

The files stay as they are until everything was copied, counted and committed; then they are put aside.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import DatabaseError
from assets.promotion import ledger_index, mlflow_client
from assets.storage import database_home, metadata, postgresql
from assets.storage.database_copy import columns_of, copy_tables, insert_rows, require_revision, settle_sequences
from assets.storage.home import Home
from assets.storage.metadata import Part
from orchestration import resources
from orchestration.operations.storage.quiet_home import quiet

if TYPE_CHECKING:
    import psycopg

EVENTS = "event_logs"


@dataclass(frozen=True)
class Migrated:
    """What a migration came to.

    Parameters
    ----------
    rows : dict of str to int
        How many rows each table got, as ``schema.table``; none where an earlier migration had copied all before it was killed.
    aside : Path
        Where the SQLite files lie now.
    """

    rows: dict[str, int]
    aside: Path


def migrate(home: Home, on_wait: Callable[[str], None] = lambda _: None) -> Migrated:
    """Move what Dagster and MLflow recorded in a home's files to its PostgreSQL database, and index its ledger there.

    Parameters
    ----------
    home : Home
        A home with an address of a database; a run that goes on is waited for.
    on_wait : callable, optional
        Called with the holder's process id if a run holds the home.

    Raises
    ------
    DatabaseError
        If there is no address, the metadata is there already, the database is another home's or cannot be used, or not all
        rows arrive; the home is as it was then.
    HomeError
        If a run goes on that is not waited for.
    """
    url = home.database
    if url is None:
        raise DatabaseError(f"{postgresql.VARIABLE} is not set, so nobody knows where to. Set it: {postgresql.EXAMPLE}.")
    if database_home.is_declared(home):
        if any(_files(home)):  # all was copied, and the migration was killed before it had put these aside
            with quiet(home, on_wait):
                return Migrated({}, _put_aside(home))
        raise DatabaseError(f"the metadata of LOOPLINE_HOME={home.root} is in PostgreSQL already: `loopline database status`.")
    with quiet(replace(home, database=None), on_wait):
        _make_tables(home)
        rows: dict[str, int] = {}
        with postgresql.connected(url, postgresql.DAGSTER) as server:
            for name, count in _copy_dagster(server, home).items():
                rows[f"{postgresql.DAGSTER}.{name}"] = count
        if (registry := Part.REGISTRY.file(home)).exists():
            with postgresql.connected(url, postgresql.MLFLOW) as server:
                for name, count in copy_tables(server, postgresql.MLFLOW, registry).items():
                    rows[f"{postgresql.MLFLOW}.{name}"] = count
                settle_sequences(server, postgresql.MLFLOW)
        ledger_index.follow(home)
        database_home.declare(home)  # from here on the database is what holds
        resources.instance_folder(home)
        return Migrated(rows, _put_aside(home))


def figures(home: Home) -> Iterator[str]:
    """Where a home's metadata lies, and how many rows of each part, line by line."""
    yield f"metadata: {'SQLite files of ' + str(home.root) if home.database is None else postgresql.place(home.database)}"
    counts = {
        "runs of Dagster": (Part.RUNS, "select count(*) from runs"),
        "events of assets": (Part.EVENTS, "select count(*) from event_logs where asset_key is not null"),
        "registered versions": (Part.REGISTRY, "select count(*) from model_versions"),
    }
    for name, (part, query) in counts.items():
        yield f"{name}: {sum(row[0] for row in metadata.read(home, part, query)):,}"
    if home.database is not None:
        with postgresql.connected(home.database, postgresql.HOME) as server:
            yield f"entries in the ledger's index: {sum(row[0] for row in server.execute('select count(*) from entries')):,}"


def upgrade(home: Home) -> None:
    """Bring the tables of Dagster and MLflow to the revision that the installed libraries read; who calls has a backup.

    Raises
    ------
    DatabaseError
        If the metadata is not in PostgreSQL, or the database cannot be used.
    """
    if home.database is None:
        raise DatabaseError(f"{postgresql.VARIABLE} is not set: there is no PostgreSQL database to upgrade.")
    database_home.claim(home)
    from dagster import DagsterInstance

    with DagsterInstance.from_config(str(resources.instance_folder(home))) as instance:
        instance.upgrade()
    mlflow_client.upgrade(home)


def _make_tables(home: Home) -> None:
    """Let Dagster and MLflow make their empty tables."""
    database_home.claim(home, declares=False)
    from orchestration.postgres_storage import HomeStorage

    opened = HomeStorage.from_config_value(None, {})
    for part in (opened.run_storage, opened.event_log_storage, opened.schedule_storage):
        part.dispose()
    with mlflow_client.connected(home):
        pass


def _copy_dagster(server: psycopg.Connection[Any], home: Home) -> dict[str, int]:
    history, schedules = home.dagster / "history", home.dagster / "schedules" / "schedules.db"
    rows: dict[str, int] = {}
    for file in (history / "runs.db", schedules, history / "runs" / "index.db"):
        if file.exists():
            rows |= copy_tables(server, postgresql.DAGSTER, file, [EVENTS, "instance_info"])
    server.execute(f"truncate {EVENTS}".encode())
    rows[EVENTS] = _copy_events(server, history / "runs")
    settle_sequences(server, postgresql.DAGSTER)
    return rows


def _copy_events(server: psycopg.Connection[Any], folder: Path) -> int:
    """Bring the files of the runs' events and their index into one table.

    Others name events by their number in the index, so that stays. Events that only a run's own file has get numbers below
    zero, in their order.
    """
    index = folder / "index.db"
    if not index.exists():
        return 0
    with closing(_opened(index)) as source:
        columns = columns_of(source, EVENTS)
        query = f"select {', '.join(columns)} from {EVENTS} order by id"
        count = insert_rows(server, EVENTS, columns, source.execute(query))
        indexed = {_mark(run, event) for run, event in source.execute(f"select run_id, event from {EVENTS}")}
    files = [path for path in sorted(folder.glob("*.db"), key=lambda path: path.stat().st_mtime) if path != index]
    place = columns.index("id")
    number = -sum(1 for file in files for _ in _only_there(file, indexed, columns))
    for file in files:
        with closing(_opened(file)) as source:
            require_revision(server, source, file)

        def numbered(file: Path = file) -> Iterator[tuple[Any, ...]]:
            nonlocal number
            for row in _only_there(file, indexed, columns):
                yield (*row[:place], number, *row[place + 1 :])
                number += 1

        count += insert_rows(server, EVENTS, columns, numbered())
    found = server.execute(f"select count(*) from {EVENTS}".encode()).fetchone()
    if found != (count,):
        raise DatabaseError(f"{count} events were sent and {found} arrived. Nothing was copied; migrate again.")
    return count


def _only_there(file: Path, indexed: set[bytes], columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """The events of a run's file that the index has not."""
    run, event = columns.index("run_id"), columns.index("event")
    with closing(_opened(file)) as source:
        for row in source.execute(f"select {', '.join(columns)} from {EVENTS} order by id"):
            if _mark(row[run], row[event]) not in indexed:
                yield row


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=60)


def _mark(run: str, event: str) -> bytes:
    return hashlib.sha256(f"{run}\n{event}".encode()).digest()


def _put_aside(home: Home) -> Path:
    """Move the files that hold nothing current any more to where no command looks."""
    aside = home.root / "earlier" / "sqlite"
    for path in _files(home):
        target = aside / home.relative(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    return aside


def _files(home: Home) -> list[Path]:
    """The files, and folders of files, that hold a home's metadata where no database does."""
    found = (home.dagster / "history", home.dagster / "schedules", *sorted(home.registry.glob("mlflow.db*")))
    return [path for path in found if path.exists()]

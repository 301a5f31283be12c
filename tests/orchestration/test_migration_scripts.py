"""Migrations of Dagster's databases: their scripts are read once, and the databases are what Dagster makes without that."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sql import get_alembic_config

from orchestration.migration_scripts import read_once


def made(folder: Path) -> dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]]]]:
    """Dagster's databases in a new folder: by name their tables and indices, and the revision they are stamped with."""
    SqliteRunStorage.from_local(str(folder / "runs")).dispose()
    events = SqliteEventLogStorage(str(folder / "events"))
    with events.run_connection("a-run"):
        pass
    with events.index_connection():
        pass
    events.dispose()
    found = {}
    for path in sorted(folder.rglob("*.db")):
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("select type, name, sql from sqlite_master order by type, name").fetchall()
            found[path.name] = tables, connection.execute("select version_num from alembic_version").fetchall()
    return found


def test_the_databases_are_those_that_dagster_makes(tmp_path: Path) -> None:
    """Also the second ones, for which nothing is read any more."""
    plain = made(tmp_path / "plain")
    with read_once():
        first, second = made(tmp_path / "first"), made(tmp_path / "second")
    assert {"a-run.db", "index.db", "runs.db"} == set(plain)
    assert all(revisions for _, revisions in plain.values())
    assert plain == first == second


@pytest.mark.parametrize("nested", [1, 2])
def test_scripts_are_read_once_by_their_place_and_as_ever_afterwards(nested: int) -> None:
    """Events and runs have configurations of their own."""
    import dagster._core.storage.event_log.sqlite.sqlite_event_log as events
    import dagster._core.storage.runs.sqlite.sqlite_run_storage as runs

    usual = ScriptDirectory.__dict__["from_config"]
    configurations = [get_alembic_config(str(module.__file__)) for module in (events, events, runs)]
    with ExitStack() as stack:
        for _ in range(nested):
            stack.enter_context(read_once())
        first, again, other = (ScriptDirectory.from_config(item) for item in configurations)
    assert first is again
    assert first is not other
    assert ScriptDirectory.__dict__["from_config"] is usual
    anew = ScriptDirectory.from_config(configurations[0])
    assert anew is not first
    assert anew.as_revision_number("head") == first.as_revision_number("head")

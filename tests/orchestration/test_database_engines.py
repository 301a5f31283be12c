"""Engines of Dagster's databases: one for each database while an instance is open, and as Dagster makes them afterwards."""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from sqlalchemy.engine import Engine

from assets.storage.home import Home
from orchestration import resources
from orchestration.database_engines import KEPT, STORAGES, made_once


def engines(folder: Path, run: str = "a-run") -> list[Engine]:
    """Those of a second connection to each of Dagster's databases in a folder."""
    events, runs = SqliteEventLogStorage(str(folder / "events")), SqliteRunStorage.from_local(str(folder / "runs"))
    schedules = SqliteScheduleStorage.from_local(str(folder / "schedules"))
    found = []
    for connect in (events.index_connection, lambda: events.run_connection(run), runs.connect, schedules.connect):
        with connect():
            pass
        with connect() as connection:
            found.append(connection.engine)
    return found


@pytest.mark.parametrize("nested", [1, 2])
def test_each_database_has_one_engine_and_each_connection_its_own_afterwards(tmp_path: Path, nested: int) -> None:
    """Also where an instance is opened while another is."""
    usual = [import_module(name).create_engine for name in STORAGES]
    with ExitStack() as stack:
        for _ in range(nested):
            stack.enter_context(made_once())
        first, again = engines(tmp_path), engines(tmp_path)
    assert len({id(engine) for engine in first}) == 4
    assert [id(engine) for engine in first] == [id(engine) for engine in again]
    assert [import_module(name).create_engine for name in STORAGES] == usual
    assert not {id(engine) for engine in engines(tmp_path)} & {id(engine) for engine in first}


def test_no_connection_is_kept(tmp_path: Path) -> None:
    """The databases may be copied, removed and made anew meanwhile."""
    with made_once():
        for engine in engines(tmp_path):
            assert isinstance(engine.pool, sqlalchemy.NullPool)
        (tmp_path / "events" / "a-run.db").unlink()
        engines(tmp_path)
        assert (tmp_path / "events" / "a-run.db").exists()


def test_a_process_of_many_runs_keeps_a_few(tmp_path: Path) -> None:
    """The history of each run is a database of its own."""
    with made_once():
        first = engines(tmp_path)
        for number in range(KEPT + 1):
            engines(tmp_path, f"run-{number}")
        again = engines(tmp_path)
    assert first[1] is not again[1]
    assert first[0] is again[0]


def test_an_open_instance_makes_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often something is recorded."""
    made: list[str] = []
    usual = sqlalchemy.create_engine

    def counted(url: str, **options: object) -> Engine:
        made.append(url)
        return usual(url, **options)

    with monkeypatch.context() as patched:
        patched.setattr(sqlalchemy, "create_engine", counted)
        with resources.instance(Home(tmp_path / "home").prepare()) as instance:
            for number in range(20):
                instance.report_runless_asset_event(dg.AssetMaterialization(f"asset_{number}"))
            assert len(instance.all_asset_keys()) == 20
    assert len(made) == len(set(made)) <= 4

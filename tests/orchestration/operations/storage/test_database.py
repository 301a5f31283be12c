"""A home's metadata in a real PostgreSQL: moved whole, shared by processes, backed up, and refused in one sentence."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import httpx
import psycopg
import pytest

from assets.errors import BackupError, DatabaseError, HomeError
from assets.promotion import known_heads, ledger, registered_versions
from assets.storage import database_eraser, database_home, postgresql
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import write_json
from assets.storage.row_eraser import ERASED, Person
from orchestration import event_history, resources
from orchestration.operations.storage import backups
from orchestration.operations.storage.database import figures, migrate
from tests.conftest import made_once
from tests.databases import postgres
from tests.orchestration.ui.test_supervisor import of_home, ui, until
from tests.ports import free_port
from tests.shop import customers, product, run_products

CHURN = product("churn")
PASSWORD = "s@cret/100%"  # noqa: S105 - of a server that lives for a minute
ASIDE = ("dagster/history/runs.db", "dagster/history/runs/index.db", "dagster/schedules/schedules.db", "registry/mlflow.db")


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection[Any]]:
    """A PostgreSQL that wants a password of the user `guarded`."""
    with postgres() as connection:
        if connection is None:
            pytest.skip("no PostgreSQL")
        connection.execute("create role guarded superuser login password 's@cret/100%'")
        hba = Path(connection.execute("show hba_file").fetchone()[0])  # type: ignore[index]
        hba.write_text(f"local all guarded scram-sha-256\n{hba.read_text()}")
        connection.execute("select pg_reload_conf()")
        yield connection


@pytest.fixture
def url(server: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The address of an empty database, which `LOOPLINE_DATABASE` holds."""
    return addressed(server, monkeypatch, f"{request.node.originalname[:40]}_{uuid4().hex[:8]}")


def addressed(server: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """The address of a new database."""
    server.execute(f'create database "{name}"'.encode())
    made = f"postgresql://guarded:s%40cret%2F100%25@/{name}?host={server.info.host}"
    monkeypatch.setenv(postgresql.VARIABLE, made)
    return made


@pytest.fixture(scope="session")
def shop(common: Path) -> Path:
    """A folder with a home in which the product was run, on files."""

    def make(folder: Path) -> None:
        folder.mkdir()
        customers(1000).to_csv(folder / "customers.csv", index=False)
        run_products(Home(folder / "home"), folder, CHURN)

    return made_once(common / "shop_of_database", make)


@pytest.fixture
def filed(shop: Path, tmp_path: Path) -> Home:
    """A copy of that home."""
    return Home(Path(shutil.copytree(shop / "home", tmp_path / "home")))


def test_a_migrated_home_executes_nothing(
    filed: Home, url: str, shop: Path, server: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All that was recorded is there, a run makes nothing anew, and neither password nor address is written anywhere."""
    last, versions = event_history.last_run(filed), registered_versions.versions(filed, "churn")
    codes, made = event_history.code_versions(filed), event_history.needed(filed)
    home = Home(filed.root, url)
    done = migrate(home)
    assert done.rows["loopline_dagster.event_logs"] > done.rows["loopline_dagster.asset_event_tags"] > 10
    assert done.rows["loopline_mlflow.model_versions"] == 1
    assert all((done.aside / name).exists() and not (home.root / name).exists() for name in ASIDE)
    assert event_history.last_run(home) == last
    assert registered_versions.versions(home, "churn") == versions
    assert event_history.code_versions(home) == codes
    assert event_history.needed(home) == made
    with resources.instance(home) as instance:
        events = instance.all_logs(last["run_id"])  # type: ignore[index]
    assert {"PIPELINE_START", "PIPELINE_SUCCESS", "STEP_SUCCESS", "ASSET_MATERIALIZATION"} <= {
        event.dagster_event_type.value for event in events if event.dagster_event_type
    }
    assert run_products(home, shop, CHURN).executed == {}
    changed = product("churn", gates={"metrics": {"roc_auc": {"min": 0.5}}})
    assert "churn/verdict" in run_products(home, shop, changed).executed
    assert ledger.verify(home) is not None
    assert any("loopline.heads" in head.place for head in known_heads.known(home)[0])
    assert [line.split(":")[0] for line in figures(home)][-1] == "entries in the ledger's index"
    backed_up_and_restored(home, shop, changed, server, monkeypatch, tmp_path)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s@cret" not in written
    assert b"s%40cret" not in written


def backed_up_and_restored(
    home: Home, shop: Path, spec: Any, server: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A backup holds the database too, and is restored into an empty one only."""
    backups.back_up(home, tmp_path / "backups", datetime(2026, 11, 29, tzinfo=UTC))
    with pytest.raises(BackupError, match=r"is of a home whose metadata is in PostgreSQL. Set LOOPLINE_DATABASE to"):
        backups.restore(tmp_path / "backups", Home(tmp_path / "again"))
    with pytest.raises(BackupError, match=r"holds the metadata of a home already\. A backup is restored into an empty"):
        backups.restore(tmp_path / "backups", Home(tmp_path / "again", home.database))
    assert not (tmp_path / "again").exists()
    again = Home(tmp_path / "again", addressed(server, monkeypatch, "restored"))
    backups.restore(tmp_path / "backups", again)
    assert not (again.root / "metadata.dump").exists()
    assert run_products(again, shop, spec).executed == {}


def test_a_migration_that_fails_leaves_the_home_as_it_was(filed: Home, url: str, shop: Path) -> None:
    """MLflow's file is of another revision; once it is not, the same command does it all."""
    home, file = Home(filed.root, url), filed.registry / "mlflow.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        (before,) = connection.execute("select version_num from alembic_version").fetchone()
        connection.execute("update alembic_version set version_num = 'earlier'")
    with pytest.raises(DatabaseError, match=r"mlflow\.db is of schema revision .*earlier.*Run `loopline run` with SQLite once"):
        migrate(home)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update alembic_version set version_num = ?", [before])
    assert not database_home.is_declared(home)
    assert all((home.root / name).exists() for name in ASIDE)
    assert migrate(home).rows["loopline_dagster.runs"] >= 1
    with pytest.raises(DatabaseError, match="is in PostgreSQL already: `loopline database status`"):
        migrate(home)


KILLED = """
import os, signal, sys
from orchestration import resources
from orchestration.operations.storage import database
where, name, call, at = sys.argv[2:]
owner = database if where == "database" else getattr(database, where)
before, calls = getattr(owner, name), 0
def killed(*given, **named):
    global calls
    calls += name != "replace" or "earlier" in str(given[1])
    is_now = calls == int(call) and (name != "replace" or "earlier" in str(given[1]))
    if is_now and at == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = before(*given, **named)
    if is_now:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
setattr(owner, name, killed)
database.migrate(resources.home_in(sys.argv[1]))
"""
BEFORE = [
    ("database", "_make_tables", 1, "after"),
    ("database", "_copy_events", 1, "before"),
    ("database", "_copy_dagster", 1, "after"),
    ("database", "settle_sequences", 2, "after"),
    ("ledger_index", "follow", 1, "before"),
    ("database_home", "declare", 1, "before"),
]
"""Moments of a migration before the home says that its metadata is in PostgreSQL."""
AFTER = [("database_home", "declare", 1, "after"), ("Path", "replace", 1, "after"), ("Path", "replace", 2, "after")]
"""Moments after that, of which the last ones are between the files that are put aside."""


def killed(home: Home, where: str, name: str, call: int, at: str) -> None:
    """Migrate in a process of its own, which kills itself at this moment."""
    given = [str(home.root), where, name, str(call), at]
    done = subprocess.run([sys.executable, "-c", KILLED, *given], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_migration_that_is_killed_again_and_again_loses_and_doubles_nothing(
    filed: Home, url: str, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any moment before its end the files still hold all, and the next migration gives what one alone gives."""
    home, known = Home(filed.root, url), list(figures(filed))[1:]
    for moment in BEFORE:
        killed(home, *moment)
        assert not database_home.is_declared(home), moment
        assert list(figures(filed))[1:] == known, moment
        assert all((home.root / name).exists() for name in ASIDE)
    monkeypatch.delenv(postgresql.VARIABLE)
    assert run_products(filed, shop, CHURN).executed == {}
    monkeypatch.setenv(postgresql.VARIABLE, url)
    rows = migrate(home).rows
    assert list(figures(home))[1:4] == known
    assert rows["loopline_mlflow.model_versions"] == 1
    with postgresql.connected(url, postgresql.DAGSTER) as server:
        for name in ("runs", "event_logs", "asset_keys"):
            assert server.execute(f"select count(*) from {name}".encode()).fetchone() == (rows[f"loopline_dagster.{name}"],)
    assert run_products(home, shop, CHURN).executed == {}


@pytest.mark.parametrize("moment", AFTER)
def test_a_migration_that_is_killed_once_all_was_copied_is_ended_by_the_next(
    filed: Home, url: str, shop: Path, moment: tuple[str, str, int, str]
) -> None:
    """The database holds from then on, whatever files still lie there; the same command puts those aside."""
    home, known = Home(filed.root, url), list(figures(filed))[1:]
    killed(home, *moment)
    assert database_home.is_declared(home)
    assert list(figures(home))[1:4] == known
    assert run_products(home, shop, CHURN).executed == {}
    done = migrate(home)
    assert done.rows == {}
    assert all((done.aside / name).exists() and not (home.root / name).exists() for name in ASIDE)
    assert list(figures(home))[1:4] == known
    with pytest.raises(DatabaseError, match="is in PostgreSQL already: `loopline database status`"):
        migrate(home)


WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import dagster as dg
from orchestration import resources
home = resources.home_in(sys.argv[1])
def work(name):
    with resources.instance(home) as instance:
        for number in range(20):
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
            instance.get_latest_materialization_event(dg.AssetKey("asset_0_a"))
with ThreadPoolExecutor(2) as pool:
    list(pool.map(work, [f"asset_{sys.argv[2]}_a", f"asset_{sys.argv[2]}_b"]))
"""


def test_ten_instances_write_and_read_at_once(tmp_path: Path, url: str) -> None:
    """In five processes; none meets a lock, and every event is there; the first to come made the tables.

    It takes as long as five imports of Dagster.
    """
    home = Home(tmp_path / "home", url).prepare()
    command = [sys.executable, "-c", WRITER, str(home.root)]
    processes = [subprocess.Popen([*command, str(number)], stderr=subprocess.PIPE, text=True) for number in range(5)]
    ended = [(process.communicate()[1], process.returncode) for process in processes]
    assert [code for _, code in ended] == [0] * 5, [told[-500:] for told, code in ended if code]
    assert not any("Retrying" in told or "lock" in told for told, _ in ended)
    with resources.instance(home) as instance:
        keys = instance.all_asset_keys()
        assert len(keys) == 10
        assert all(len(instance.fetch_materializations(key, limit=50).records) == 20 for key in keys)


def test_a_key_is_erased_from_what_was_recorded(tmp_path: Path, url: str) -> None:
    """The texts lose it, others stay, and a second call finds nothing."""
    home, person = Home(tmp_path / "home", url).prepare(), Person("ann.smith-0815", ("customer_id",))
    with resources.instance(home) as instance:
        for told in ("ann.smith-0815 is late", "ann.smith-08155 is not"):
            instance.report_runless_asset_event(dg.AssetMaterialization("rows", metadata={"told": told}))
    assert database_eraser.erase(home, person) >= 1
    assert database_eraser.erase(home, person) == 0
    with resources.instance(home) as instance:
        records = instance.fetch_materializations(dg.AssetKey("rows"), limit=5).records
        texts = [record.asset_materialization.metadata["told"].value for record in records if record.asset_materialization]
    assert texts == ["ann.smith-08155 is not", f"{ERASED} is late"]


def test_what_cannot_be_used_is_told_in_one_sentence(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password, a server that is down, a database that is not there, another home's, another version's."""
    home = Home(tmp_path / "home", url).prepare()
    with resources.instance(home):
        pass
    cases = {
        url.replace("100", "101"): r"database .* on this machine lets us not in \(.*password authentication failed",
        url.replace("?host=", "?host=/nowhere"): r"cannot be used \(.*\)\. Start the server, or mend the address",
        url.replace("/test_what", "/no_such"): r'lets us not in \(.*database "no_such.* does not exist',
        "mysql://us:s%40cret@here/loop": r"must be the address of a PostgreSQL database, such as LOOPLINE_DATABASE=postgresql://",
    }
    for wrong, told in cases.items():
        monkeypatch.setenv(postgresql.VARIABLE, wrong)
        with pytest.raises(DatabaseError, match=told) as raised, resources.instance(Home(home.root, wrong)):
            pass
        assert "cret" not in str(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
    monkeypatch.setenv(postgresql.VARIABLE, url)
    other = Home(tmp_path / "other", url).prepare()
    with (
        pytest.raises(DatabaseError, match=r"holds the metadata of another home \(id \w{12}, this one has"),
        resources.instance(other),
    ):
        pass
    with postgresql.connected(url, postgresql.DAGSTER) as server:
        server.execute("update alembic_version set version_num = 'later'")
    with (
        pytest.raises(DatabaseError, match=r"schema revision later, and Dagster [\d.]+ reads \w+.*`loopline database upgrade`"),
        resources.instance(home),
    ):
        pass


def test_a_home_says_where_its_metadata_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an address too many nor one too few lets a command begin on the wrong metadata."""
    home = Home(tmp_path / "home").prepare()
    monkeypatch.setenv(resources.HOME_VARIABLE, str(home.root))
    monkeypatch.delenv(postgresql.VARIABLE, raising=False)
    assert resources.home_from_environment() == home
    with resources.instance(home):
        pass
    monkeypatch.setenv(postgresql.VARIABLE, "postgresql://ann:secret@here/loop")
    with pytest.raises(DatabaseError, match=r"has its metadata in SQLite files\. Move it: `loopline database migrate`"):
        resources.home_from_environment()
    database_home.declare(home)
    assert "secret" not in repr(resources.home_from_environment())
    monkeypatch.delenv(postgresql.VARIABLE)
    with pytest.raises(HomeError, match=r"keeps its metadata in a PostgreSQL database, and LOOPLINE_DATABASE is not set"):
        resources.home_from_environment()
    write_json(home.record, {"layout": 2})
    assert resources.home_from_environment() == home


DAEMONS = """
{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  runsOrError { ... on Runs { results { runId status } } } }
"""


def test_the_ui_and_its_daemon_work_on_postgresql(filed: Home, url: str, tmp_path: Path) -> None:
    """All required daemons report themselves there, the UI shows the runs that were recorded, and both end when told."""
    home, port = Home(filed.root, url), free_port()
    migrate(home)
    with resources.instance(home) as instance:
        recorded = {run.run_id: run.status.value for run in instance.get_runs()}

    def asked() -> dict[str, Any]:
        with suppress(httpx.TransportError):
            found: dict[str, Any] = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": DAEMONS}, timeout=30).json()
            return found["data"]
        return {}

    def are_healthy() -> bool:
        found = asked()
        every = found["instance"]["daemonHealth"]["allDaemonStatuses"] if found else []
        return bool(every) and all(item["healthy"] for item in every if item["required"])

    with ui(home, tmp_path / "ui.log", free_port(), port) as process:
        until(are_healthy, "the daemons are not healthy")
        assert {run["runId"]: run["status"] for run in asked()["runsOrError"]["results"]} == recorded
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0
    assert of_home(home) == []
    with postgresql.connected(url, postgresql.DAGSTER) as connection:
        assert connection.execute("select count(*) from daemon_heartbeats").fetchone()[0] > 2  # type: ignore[index]
    assert not any((home.root / name).exists() for name in ASIDE)
    log = (tmp_path / "ui.log").read_text(errors="replace")
    assert "Traceback" not in log
    assert "s@cret" not in log
    assert "s%40cret" not in log

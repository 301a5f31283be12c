"""A run home that is published: another machine goes on from it, and a service starts from the store alone."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

from assets.errors import HomeError, StoreError
from assets.monitoring import logged_requests, outcome_store
from assets.object_store import running_parts, sync_state
from assets.object_store.address import address_of, declared
from assets.object_store.push import push
from assets.promotion import ledger
from assets.storage import day_files
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import write_json
from benchmarks.stores.small_home import fill, opened
from bentos import log_blocks
from bentos.log_entries import Entry, encoded
from bentos.log_lines import Answering, begin
from bentos.log_treatment import Kept
from orchestration.cli.errors import InterruptibleGroup, told
from orchestration.cli.main import loopline
from orchestration.cli.store import READS, published
from orchestration.operations.storage import publication, published_service
from orchestration.operations.storage.store_server import StoreServer
from orchestration.operations.verification.verify import verify
from tests.bentos.serving import free_port
from tests.world import World

PRODUCT = "flight_delay"


def environment(home: Home, url: str) -> dict[str, str]:
    """Of a command on this home and its store."""
    return {**os.environ, "LOOPLINE_HOME": str(home.root), "LOOPLINE_STORE": url, "PYTHONPATH": str(REPOSITORY)}


def command(home: Home, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "orchestration", *arguments],
        env=environment(home, url),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a store in a folder."""
    return (tmp_path / "store").as_uri()


def test_another_machine_executes_nothing_and_builds_the_warehouse_when_it_needs_it(
    world: World, ran_copy: Home, tmp_path: Path, url: str
) -> None:
    """Dagster's history comes along; the warehouse does not, and a change of one model builds those that it rests on."""
    push(opened(ran_copy, url))
    other = Home(tmp_path / "other")
    store = opened(other, url)
    publication.take(store, lambda _: None)
    assert not other.warehouse.exists()
    assert verify(other).problems == []
    assert world.run(other).executed == {}
    assert push(store) is None
    shutil.rmtree(other.snapshots / PRODUCT)
    (other.warehouse.parent / "build.json").unlink()
    done = world.run(other)
    assert any(name.endswith("/snapshot") for name in done.executed)
    assert ledger.entries(other) == ledger.entries(ran_copy)


def test_a_service_starts_from_the_store_alone_and_publishes_its_log(ran_copy: Home, tmp_path: Path, url: str) -> None:
    """On an empty machine it takes little more than a bento; what it answered is in the other home after a pull."""
    push(opened(ran_copy, url))
    other, port = Home(tmp_path / "empty"), free_port()
    arguments = [sys.executable, "-m", "orchestration", "serve", PRODUCT, "--port", str(port)]
    process = subprocess.Popen(arguments, env=environment(other, url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        answer = _asked(
            process, f"http://127.0.0.1:{port}/predict", json.loads((REPOSITORY / "docs" / "flight.json").read_bytes())
        )
    finally:
        process.terminate()
        process.wait(60)
    assert answer.status_code == 200
    assert answer.headers["X-Model-Digest"] == ledger.standing(ran_copy, PRODUCT).champion_digest
    assert not other.models.exists()
    assert not other.landing.exists()
    found = command(ran_copy, url, "store", "pull")
    assert found.returncode == 0, found.stderr
    assert list((ran_copy.served / PRODUCT).glob("*.sqlite"))


def test_a_service_outlives_a_disk_that_takes_nothing(home: Home, tmp_path: Path, url: str) -> None:
    """It is told, and the service goes on until it ends by itself."""
    here, part = opened(fill(home), url), Home(tmp_path / "part")
    push(here)
    there = opened(part, url)
    publication.take(there, lambda _: None, only=publication.for_service(PRODUCT))
    write_json(home.reports / "churn" / "0.json", {"again": True})
    push(here)
    shutil.rmtree(part.temporary, ignore_errors=True)
    part.temporary.touch()  # no draft can be made
    problems: list[str] = []
    ending = [sys.executable, "-c", "import time; time.sleep(1); raise SystemExit(3)"]
    code = published_service.serve(there, PRODUCT, ending, os.environ, problem=problems.append, every_seconds=0.2)
    assert code == 3
    assert problems


def test_services_of_two_machines_publish_all_that_they_answered(
    ran_copy: Home, tmp_path: Path, object_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over one bucket, at once: each has a part of the day, nothing conflicts, and an archived part comes back to nobody."""
    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)
    url = "s3://loopline/two_services"
    push(opened(ran_copy, url))
    row = json.loads((REPOSITORY / "docs" / "flight.json").read_bytes())
    homes = [Home(tmp_path / name) for name in ("one", "other")]
    ports = [free_port() for _ in homes]
    asked = {f"{port}-{number}" for port in ports for number in range(5)}
    services = []
    for home, port in zip(homes, ports, strict=True):
        arguments = [sys.executable, "-m", "orchestration", "serve", PRODUCT, "--port", str(port)]
        with (tmp_path / f"{port}.log").open("wb") as log:
            services.append(subprocess.Popen(arguments, env=environment(home, url), stdout=subprocess.DEVNULL, stderr=log))
    try:
        for number in range(5):
            for port, service in zip(ports, services, strict=True):
                address = f"http://127.0.0.1:{port}/predict"
                assert _asked(service, address, row, **{"X-Request-Id": f"{port}-{number}"}).status_code == 200
    finally:
        for service in services:
            service.terminate()
        for service in services:
            service.wait(60)
    assert [(tmp_path / f"{port}.log").read_text().count("not published") for port in ports] == [0, 0]

    def held() -> list[str]:
        return sorted(line["request_id"] for line in logged_requests.latest(ran_copy, PRODUCT))

    publication.take(opened(ran_copy, url), lambda _: None)
    files = logged_requests.files(ran_copy, PRODUCT)
    assert (len(files), len({day_files.day_of(file) for file in files})) == (2, 1)
    assert held() == sorted(asked)
    later = datetime.now(UTC) + timedelta(days=3)
    assert logged_requests.archive(ran_copy, PRODUCT, later) == files
    push(opened(ran_copy, url))
    for home in homes:
        publication.take(opened(home, url), lambda _: None, only=publication.for_service(PRODUCT))
        assert not logged_requests.files(home, PRODUCT)
        publication.publish_served(opened(home, url), PRODUCT)
    publication.take(opened(ran_copy, url), lambda _: None)
    assert [file.suffix for file in logged_requests.files(ran_copy, PRODUCT)] == [".parquet", ".parquet"]
    assert held() == sorted(asked)
    assert verify(ran_copy).problems == []


def test_only_days_that_are_over_are_published_while_a_service_runs(home: Home, tmp_path: Path, url: str) -> None:
    """What is published is complete, so that others may change it; the rest follows when the service ends."""
    store = opened(fill(home), url)
    push(store)
    folder = home.served / PRODUCT / "outcomes"
    folder.mkdir(parents=True)
    for day in ("2026-11-28", "2026-11-29"):
        with closing(sqlite3.connect(folder / f"{day}-3f0a.sqlite")) as connection, connection:
            connection.execute("create table outcomes (request_id text)")
    other = Home(tmp_path / "other")
    for before, found in ((date(2026, 11, 29), ["2026-11-28-3f0a"]), (None, ["2026-11-28-3f0a", "2026-11-29-3f0a"])):
        publication.publish_served(store, PRODUCT, before=before)
        publication.take(opened(other, url), lambda _: None)
        assert [file.stem for file in outcome_store.files(other, PRODUCT)] == found


def logged_in_blocks(home: Home) -> Path:
    """A day's log whose service ended before it made lines of its blocks."""
    file = home.served / PRODUCT / "2026-11-28-3f0a.sqlite"
    file.parent.mkdir(parents=True, exist_ok=True)
    answering = Answering(1, "0a", ("distance",))
    with log_blocks.writing(file) as connection:
        begin(connection)
        for number in range(300):
            entry = Entry(f"r{number:03}", 1795867200.0, None, None, None, None, 0, [(1.5,)], [{"value": 2.0}])
            log_blocks.add(connection, [Kept(answering, None, 1, 1, encoded([entry]))])
    return file


def test_what_is_published_of_a_log_is_lines_and_reading_it_changes_nothing(home: Home, tmp_path: Path, url: str) -> None:
    """Two machines that read blocks would both write into one file; so another one archives a part, and nothing conflicts."""
    store = opened(fill(home), url)
    push(store)
    own = logged_in_blocks(home)
    publication.publish_served(store, PRODUCT)
    other = Home(tmp_path / "other")
    publication.take(opened(other, url), lambda _: None)
    taken = other.served / PRODUCT / own.name
    with closing(sqlite3.connect(taken)) as connection:
        assert not log_blocks.waiting(connection)
    content = taken.read_bytes()
    assert len(list(logged_requests.latest(other, PRODUCT))) == len(list(logged_requests.latest(home, PRODUCT))) == 300
    assert taken.read_bytes() == content
    assert (push(opened(other, url)), push(store)) == (None, None)
    logged_requests.archive(other, PRODUCT, datetime(2026, 12, 2, tzinfo=UTC))
    push(opened(other, url))
    publication.take(store, lambda _: None)
    assert [file.name for file in logged_requests.files(home, PRODUCT)] == ["2026-11-28-3f0a.parquet"]
    assert len(list(logged_requests.latest(home, PRODUCT))) == 300


def test_the_status_of_a_store_needs_a_home_that_this_version_reads(home: Home, tmp_path: Path, url: str) -> None:
    """What a later version wrote would be counted wrongly; a home that is not there yet is an empty one."""
    assert publication.standing(publication.looked_at(Home(tmp_path / "none"), address_of(url))).to_publish == 0
    home.record.write_text('{"layout": 99}')
    with pytest.raises(HomeError, match="by a later version of Loopline"):
        publication.looked_at(home, address_of(url))
    with pytest.raises(HomeError, match="is no folder"):
        publication.looked_at(Home(home.record), address_of(url))


def test_a_home_that_begins_by_being_published_is_one_that_every_command_reads(tmp_path: Path, url: str) -> None:
    """Its id is the first record that it gets, here and where it is taken to."""
    new, other = Home(tmp_path / "new"), Home(tmp_path / "other")
    done = [command(home, url, "store", task) for home, task in ((new, "push"), (new, "status"), (other, "pull"))]
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3
    assert "0 files of this home are not published" in done[1].stdout
    assert new.prepare().record.read_bytes() == other.prepare().record.read_bytes()


KILLED = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('insert into runs values (2)'); c.commit(); os._exit(0)"


def test_the_status_of_a_store_writes_nothing_into_the_home(home: Home, url: str) -> None:
    """Neither where it is published, nor into a log in blocks, nor beside a database that a killed process left open."""

    def content() -> dict[Path, tuple[int, bytes]]:
        found = {path: path.stat().st_mtime_ns for path in home.root.rglob("*")}
        return {path: (changed, path.read_bytes() if path.is_file() else b"") for path, changed in found.items()}

    def to_publish() -> int:
        before = content()
        found = publication.standing(publication.looked_at(home, address_of(url)))
        assert content() == before
        return found.to_publish

    fill(home)
    assert to_publish() > 5
    assert declared(home) is None
    store = opened(home, url)
    push(store)
    assert to_publish() == 0
    logged_in_blocks(home)
    database = home.dagster / "history" / "runs.db"
    subprocess.run([sys.executable, "-c", KILLED, str(database)], check=True)
    assert database.with_name("runs.db-wal").stat().st_size > 0
    assert to_publish() == 2
    push(store)
    assert to_publish() == 0


def test_no_command_publishes_what_a_service_still_writes(home: Home, tmp_path: Path, url: str) -> None:
    """As long as the service or a process of it is there, also if `loopline serve` was killed; what it wrote on days before is."""
    store = opened(fill(home), url)
    folder = home.served / PRODUCT / "shadow"
    folder.mkdir(parents=True)
    today = datetime.now(UTC).date()
    names = [f"{today}-3f0a", f"{today}-bb", f"{today - timedelta(days=2)}-3f0a"]
    for name in names:
        with closing(sqlite3.connect(folder / f"{name}.sqlite")) as connection, connection:
            connection.execute("create table predictions (request_id text)")

    def published() -> list[str]:
        push(store)
        return sorted(Path(path).stem for path in sync_state.read(home).listing if "/shadow/" in path)

    with running_parts.running(home, "3f0a") as held:
        service = subprocess.Popen(["sleep", "60"], pass_fds=[held])
        assert published() == sorted(names[1:])
    assert published() == sorted(names[1:])
    service.kill()
    service.wait()
    assert published() == sorted(names)


def _asked(process: subprocess.Popen[bytes], address: str, row: object, **headers: str) -> httpx.Response:
    """The answer of a service that is starting."""
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        try:
            return httpx.post(address, json=row, timeout=10, headers=headers)
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("the service does not answer")


def test_commands_take_and_publish_and_are_refused_elsewhere(home: Home, tmp_path: Path, url: str) -> None:
    """A key that one machine makes another knows; the home stays with its store."""
    made = command(home, url, "key", "create", "--product", PRODUCT, "--scope", "predict", "--name", "shop")
    assert made.returncode == 0, made.stderr
    other = Home(tmp_path / "other")
    revoked = command(other, url, "key", "revoke", "shop")
    assert revoked.returncode == 0, revoked.stderr
    told = json.loads(command(other, url, "store", "status", "--json").stdout)
    assert (told["to_take"], told["to_publish"], told["is_part"]) == (0, 0, False)
    assert command(home, url, "store", "pull").returncode == 0
    assert "revoked" in command(home, url, "key", "list").stdout
    assert "as published" in command(home, url, "store", "verify", "--deep").stdout
    assert command(home, url, "verify").returncode == 0
    for pack in (tmp_path / "store" / "packs").iterdir():
        pack.unlink()
    damaged = command(home, url, "verify")
    assert damaged.returncode == 1
    assert "missing" in damaged.stdout
    assert "store push --whole" in damaged.stdout
    assert command(home, url, "store", "push", "--whole").returncode == 0
    assert command(home, url, "verify").returncode == 0
    elsewhere = command(home, (tmp_path / "elsewhere").as_uri(), "prune")
    assert elsewhere.returncode == 1
    assert "is published to" in elsewhere.stderr
    assert not (tmp_path / "elsewhere").exists()
    assert command(home, url, "store", "move", (tmp_path / "elsewhere").as_uri()).returncode == 0
    assert (tmp_path / "elsewhere" / "store.json").exists()


def test_an_erasure_that_did_not_reach_the_store_is_carried_on_by_the_next_command(
    home: Home, tmp_path: Path, url: str
) -> None:
    """A server that is down, or a kill, after the rows were erased here: their bytes do not stay in a shared object."""
    store, page = opened(fill(home), url), home.reports / "churn" / "0.json"
    write_json(page, {"person": "C00815"})
    push(store)
    publication.before_command(store, "forget")
    write_json(page, {"person": "erased"})
    publication.after_command(store, "key create")
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file() and b"C00815" in path.read_bytes()]
    store.bucket.requests.clear()
    publication.after_command(store, "key create")
    assert not store.bucket.requests


def test_what_another_machine_erased_goes_from_the_caches_of_this_one(home: Home, tmp_path: Path, url: str) -> None:
    """Copies of rows that are not published, and that the erasure could not reach."""
    there = opened(Home(tmp_path / "other"), url)
    push(opened(fill(home), url))
    publication.take(there, lambda _: None)
    own = ["lake/churn/snapshot/a.parquet", "extracts/shop/orders/b.parquet", "warehouse/warehouse.duckdb", "catalog.html"]
    for file in (*own, "lake/spend/snapshot/a.parquet"):
        (there.home.root / file).parent.mkdir(parents=True, exist_ok=True)
        (there.home.root / file).write_text("C00815")
    write_json(home.root / "erasures" / "0001.json", {"product": "churn"})
    push(opened(home, url))
    publication.take(there, lambda _: None)
    assert [file for file in own if (there.home.root / file).exists()] == []
    assert (there.home.root / "lake" / "spend").exists()
    assert push(there) is None


def test_a_home_is_not_moved_where_it_cannot_be(home: Home, tmp_path: Path, url: str) -> None:
    """A part of one is not published as if it were all, nor is a home to another one's store; it stays where it is."""
    push(opened(fill(home), url))
    part = Home(tmp_path / "part")
    publication.take(opened(part, url), lambda _: None, only=publication.for_service(PRODUCT))
    with pytest.raises(StoreError, match="holds only what a service needs"):
        publication.move(part, address_of((tmp_path / "elsewhere").as_uri()))
    assert not (tmp_path / "elsewhere").exists()
    stranger = opened(Home(tmp_path / "stranger").prepare(), (tmp_path / "theirs").as_uri())
    push(stranger)
    with pytest.raises(StoreError, match="belongs to another home"):
        publication.move(home, address_of(stranger.url))
    assert [declared(item).url for item in (home, part)] == [url, url]  # type: ignore[union-attr]
    publication.take(opened(part, url), lambda _: None)
    publication.move(part, address_of((tmp_path / "elsewhere").as_uri()))


def test_each_reading_command_exists() -> None:
    """The list of what asks the store nothing names commands, so that a renamed one is not published by chance."""
    assert set(_paths(loopline)) >= READS
    assert {"catalog", "database status", "features get", "features skew"} <= READS


def _paths(command: click.Command, path: str = "") -> list[str]:
    if isinstance(command, click.Group):
        return [name for key, item in command.commands.items() for name in _paths(item, f"{path} {key}".strip())]
    return [path]


@pytest.mark.parametrize(("ends", "exit_code"), [(KeyboardInterrupt, 130), (StoreError("no"), 1)], ids=["Ctrl-C", "an error"])
def test_a_command_that_fails_publishes_what_it_made_and_one_that_ctrl_c_ends_does_not(
    home: Home, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, ends: BaseException, exit_code: int
) -> None:
    """Who presses Ctrl-C waits for no store; the next command publishes."""
    push(opened(fill(home), url))
    monkeypatch.setenv("LOOPLINE_HOME", str(home.root))
    monkeypatch.setenv("LOOPLINE_STORE", url)

    @click.command("promote")
    def ended() -> None:
        with told():
            write_json(home.reports / "churn" / "0.json", {"made": "now"})
            raise ends

    group = InterruptibleGroup(commands={"promote": published(ended)})
    assert CliRunner().invoke(group, ["promote"]).exit_code == exit_code
    stored = [path for path in (tmp_path / "store").rglob("*") if path.is_file() and b'"made"' in path.read_bytes()]
    assert bool(stored) == (exit_code == 1)

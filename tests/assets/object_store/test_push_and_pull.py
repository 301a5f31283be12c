"""Push and pull over a folder: what one machine publishes another takes, once, whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from assets.errors import StoreConflictError, StoreError
from assets.object_store import pull as pulling
from assets.object_store import push as pushing
from assets.object_store import sync_state
from assets.object_store.address import address_of, declare
from assets.promotion import ledger
from assets.storage import manifest
from assets.storage.home import Home
from assets.storage.publishing import write_json
from benchmarks.stores.small_home import decision, fill, opened
from orchestration.operations.verification.verify import verify
from tests.object_store import files


@pytest.fixture
def filled(home: Home) -> Home:
    """A home with small files, a large one, a secret one, a database and a ledger."""
    return fill(home)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a store in a folder."""
    return (tmp_path / "store").as_uri()


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """The home of another machine, which does not exist yet."""
    return Home(tmp_path / "other")


def test_an_empty_machine_takes_what_was_published(filled: Home, other: Home, url: str) -> None:
    """Every file with its permissions, the ledger, and nothing more the second time."""
    here, there = opened(filled, url), opened(other, url)
    made = pushing.push(here)
    assert made is not None
    assert made.number == 1
    taken = pulling.pull(there)
    assert taken.number == 1
    assert files(other) == files(filled)
    assert (other.keys / "churn.json").stat().st_mode & 0o777 == 0o600
    assert ledger.entries(other) == ledger.entries(filled)
    assert manifest.head(other.root) == manifest.head(filled.root)
    for store in (here, there):
        assert pushing.push(store) is None
        assert pulling.pull(store).files == 0


def test_nothing_new_is_one_request(filled: Home, other: Home, url: str) -> None:
    """A list for the pull, and none for the push."""
    pushing.push(opened(filled, url))
    pulling.pull(opened(other, url))
    for home in (filled, other):
        store = opened(home, url)
        pulling.pull(store)
        pushing.push(store)
        assert dict(store.bucket.requests) == {"list": 1}


def test_a_commit_takes_a_handful_of_requests(filled: Home, url: str) -> None:
    """Many small files are one object."""
    store = opened(filled, url)
    pushing.push(store)
    store.bucket.requests.clear()
    for number in range(100):
        write_json(filled.reports / "churn" / f"{number}.json", {"again": number})
    assert pushing.push(store).files == 101  # type: ignore[union-attr] # and the manifest
    assert dict(store.bucket.requests) == {"put": 2}


def test_changes_go_both_ways(filled: Home, other: Home, url: str) -> None:
    """Changed and removed files, and rows of a database that another process has open."""
    here, there = opened(filled, url), opened(other, url)
    pushing.push(here)
    pulling.pull(there)
    write_json(other.reports / "churn" / "0.json", {"number": 10})
    manifest.remove(other.models / "churn")
    with closing(sqlite3.connect(filled.dagster / "history" / "runs.db")) as reader:
        assert reader.execute("select count(*) from runs").fetchone() == (1,)
        with closing(sqlite3.connect(other.dagster / "history" / "runs.db")) as connection, connection:
            connection.execute("insert into runs values (2)")
        ledger.accept(other, "churn", decision("second"))
        pushing.push(there)
        pulling.pull(here)
        assert reader.execute("select count(*) from runs").fetchone() == (2,)
    assert not (filled.models / "churn").exists()
    assert [entry.reason for entry in ledger.entries(filled)] == ["first", "second"]
    assert files(other) == files(filled)
    assert pushing.push(here) is None
    assert pulling.pull(there).files == 0


def test_two_that_change_the_same_one_is_told(filled: Home, other: Home, url: str) -> None:
    """Nothing of the second is visible, nothing of it is lost, and after a pull it can go on."""
    here, there = opened(filled, url), opened(other, url)
    pushing.push(here)
    pulling.pull(there)
    write_json(filled.reports / "churn" / "0.json", {"by": "here"})
    write_json(other.reports / "churn" / "0.json", {"by": "there"})
    write_json(other.reports / "churn" / "new.json", {"by": "there"})
    (other.keys / "churn.json").write_text('{"by": "there"}')
    manifest.record(other.keys)
    pushing.push(here)
    before = files(other)
    for refused in (lambda: pushing.push(there), lambda: pulling.pull(there)):
        with pytest.raises(StoreConflictError, match=r"manifest.jsonl, reports/churn/0.json. Nothing here is lost"):
            refused()
        assert files(other) == before
    assert pulling.pull(here).files == 0
    taken = pulling.pull(there, aside=True)
    assert taken.aside is not None
    assert b"there" in (taken.aside / "reports" / "churn" / "0.json").read_bytes()
    assert (taken.aside / "keys" / "churn.json").stat().st_mode & 0o777 == 0o600
    assert b"there" in (taken.aside / "reports" / "churn" / "new.json").read_bytes()
    assert files(other) == files(filled)
    write_json(other.reports / "churn" / "0.json", {"by": "there"})
    assert pushing.push(there) is not None
    pulling.pull(here)
    assert files(other) == files(filled)


def test_changes_that_do_not_meet_are_both_published(filled: Home, other: Home, url: str) -> None:
    """What services write beside what a run makes: the second takes the first's and commits after it."""
    here, there = opened(filled, url), opened(other, url)
    pushing.push(here)
    pulling.pull(there)
    write_json(filled.reports / "churn" / "0.json", {"by": "here"})
    (other.served / "churn").mkdir(parents=True)
    with closing(sqlite3.connect(other.served / "churn" / "2026-11-29.sqlite")) as connection, connection:
        connection.execute("create table predictions (request_id text)")
    ledger.accept(filled, "churn", decision("second"))
    pushing.push(here)
    made = pushing.push(there, lambda path: path.startswith("served/"))
    assert made is not None
    assert made.files in (1, 2)
    assert b"here" in (other.reports / "churn" / "0.json").read_bytes()
    assert len(ledger.entries(other)) == 2
    pulling.pull(here)
    assert files(other) == files(filled)


def test_a_part_that_is_published_overwrites_nothing_that_is_not(filled: Home, other: Home, url: str) -> None:
    """A service publishes its log while a run of this machine goes on and another machine has published."""
    here, there = opened(filled, url), opened(other, url)
    pushing.push(here)
    pulling.pull(there)
    write_json(filled.reports / "churn" / "0.json", {"by": "here"})
    pushing.push(here)
    write_json(other.reports / "churn" / "1.json", {"by": "the run that goes on"})
    (other.served / "churn").mkdir(parents=True)
    (other.served / "churn" / "2026-11-29.sqlite").touch()
    before = files(other)
    with pytest.raises(StoreConflictError, match="manifest.jsonl"):
        pushing.push(there, lambda path: path.startswith("served/"))
    assert files(other) == before


def test_a_store_of_another_home_is_refused(filled: Home, other: Home, url: str) -> None:
    """Whether this home was ever published or not; so is one that was emptied."""
    write_json(other.prepare().reports / "other.json", {})
    store = opened(filled, url)
    pushing.push(store)
    for refused in (lambda: pushing.push(opened(other, url)), lambda: pulling.pull(opened(other, url))):
        with pytest.raises(StoreError, match="belongs to another home"):
            refused()
    folder = Path(url.removeprefix("file://"))
    shutil.rmtree(folder / "log")
    with pytest.raises(StoreError, match="was emptied, replaced or restored"):
        pulling.pull(store)


def test_an_address_is_declared_once_and_holds_no_secret(home: Home, url: str) -> None:
    """Another store by chance is refused; a key in the address is refused without being repeated."""
    declare(home, address_of(url))
    with pytest.raises(StoreError, match="is published to"):
        declare(home, address_of("s3://bucket/loop"))
    secret = ("s3://key:hunter2@bucket/loop", "s3:/key:hunter2@bucket/loop", "key:hunter2@bucket")
    for wrong in (*secret, "s3://bucket/loop?aws_secret_access_key=hunter2"):
        with pytest.raises(StoreError, match="neither credentials nor options") as found:
            address_of(wrong)
        assert "hunter2" not in str(found.value)
    for wrong in ("bucket/loop", "gs://bucket", "s3://", "file://host/folder", "s3://bucket/../other"):
        with pytest.raises(StoreError, match="no address of a store"):
            address_of(wrong)


def test_a_damaged_record_of_what_is_known_is_one_error(filled: Home, url: str) -> None:
    """It names the file, and once that is deleted the home is compared with its store anew."""
    store = opened(filled, url)
    pushing.push(store)
    for name in ("state.json", "unfinished.json", "pending.json"):
        path = filled.root / "store" / name
        path.write_text("no json")
        with pytest.raises(StoreError, match=f"{name} cannot be read. Delete it"):
            pulling.pull(store)
        path.unlink()
        pulling.pull(store)
        assert pushing.push(store) is None


class _KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", range(9))
def test_a_push_that_ends_before_any_of_its_writes_is_ended_by_the_next(
    filled: Home, other: Home, url: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it nobody sees anything of it; afterwards everything is there once."""
    here, there = opened(filled, url), opened(other, url)
    pushing.push(here)
    pulling.pull(there)
    before = files(other)
    (filled.models / "churn" / "more.bin").write_bytes(bytes(3 << 20))
    manifest.record(filled.models)
    ended = _ending_at(step, monkeypatch)
    try:
        ledger.accept(filled, "churn", decision("second"))
        pushing.push(here)
    except _KilledError:
        ended.append(step)
    monkeypatch.undo()
    pulling.pull(there)
    assert files(other) == before or (other.models / "churn" / "more.bin").exists()
    pulling.pull(here)
    if len(ledger.entries(filled)) == 1:
        ledger.accept(filled, "churn", decision("second"))
    pushing.push(here)
    pulling.pull(there)
    assert [entry.reason for entry in ledger.entries(other)] == ["first", "second"]
    assert ledger.entries(other) == ledger.entries(filled)
    assert files(other) == files(filled)
    assert bool(ended) == (step < 8)


def _ending_at(step: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the process seem to end before its write of this number: to the store, or of what is known of it."""
    from assets.object_store.bucket import Bucket

    count = iter(range(1000))

    def counted(write: Callable[..., object]) -> Callable[..., object]:
        def maybe(*given: object) -> object:
            if next(count) == step:
                raise _KilledError
            return write(*given)

        return maybe

    for place, name in ((Bucket, "put"), (Bucket, "create"), (sync_state, "note"), (sync_state, "write")):
        monkeypatch.setattr(place, name, counted(getattr(place, name)))
    return []


def test_an_empty_machine_reads_a_long_log_from_the_last_whole_listing(filled: Home, other: Home, url: str) -> None:
    """Many commits, and then many entries of the ledger alone."""
    store = opened(filled, url)
    for number in range(30):
        write_json(filled.reports / "churn" / "0.json", {"number": number})
        pushing.push(store)
    for number in range(40):
        ledger.accept(filled, "churn", decision(f"entry {number}"))
    there = opened(other, url)
    assert pulling.pull(there).number == 70
    assert files(other) == files(filled)
    assert ledger.entries(other) == ledger.entries(filled)
    assert there.bucket.requests["get"] < 75
    assert sync_state.read(other).base == 26


def test_a_database_that_the_manifest_names_arrives_byte_for_byte(filled: Home, other: Home, url: str) -> None:
    """The features that a service looks up: who reads the file before keeps it, and the manifest names what lies there."""
    here, there = opened(filled, url), opened(other, url)
    target = filled.online / "churn" / "features.sqlite"
    for rows in (2000, 3):
        draft = filled.root / "features.sqlite"
        with closing(sqlite3.connect(draft)) as connection, connection:
            connection.execute("create table features (key text primary key, row text not null)")
            connection.executemany("insert into features values (?, ?)", [(str(key), f"of {rows}") for key in range(rows)])
        manifest.publish(draft, target)
        pushing.push(here)
        pulling.pull(there)
        assert (other.online / "churn" / "features.sqlite").read_bytes() == target.read_bytes()
    assert not [problem for problem in verify(other).problems if problem.file.startswith("online/")]

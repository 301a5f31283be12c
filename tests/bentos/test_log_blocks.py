"""Blocks of the prediction log: a busy service's rows lie in them, and become the same lines as those of a quiet one."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from assets.monitoring import logged_erasure, logged_requests, shadow_store
from assets.storage import log_keys
from assets.storage.home import Home
from assets.storage.row_eraser import Person
from bentos import log_blocks, prediction_log
from bentos.assignment import Assignment
from bentos.by_key import LookedUp
from bentos.log_encryption import PublicKey
from bentos.log_lines import TABLE
from bentos.prediction_log import Answered, PredictionLog
from bentos.served import Served
from tests.models import promised, trained

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = f"{NOW.date()}.sqlite"
SECRET = bytes(range(32))
ONLINE = {"key": {"user": "text"}, "request": [], "ttl_hours": {}, "private": {"user": "hash"}}
EVERY, NONE = 1 << 30, -1


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Served]:
    """A home, and a service's package for entities that are hashed."""
    path = tmp_path_factory.mktemp("blocks")
    home = Home(path / "home").prepare()
    served = promised(home, trained(home, "churn"), path / "package", entity={"name": "user", "keep": "hash"})
    return home, replace(served, promise={**served.promise, "online": ONLINE})


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A key of pseudonyms."""
    (tmp_path / "secret").write_text(SECRET.hex())
    return tmp_path / "secret"


def asked(served: Served, number: int, rows: int = 1, at: datetime = NOW) -> Answered:
    """A request, with all that is logged of one."""
    values = [(20.0 + (number + row) % 60, ("free", "gold", None)[number % 3], float(row)) for row in range(rows)]
    looked_up = LookedUp({"user": f"looked up {number}"}, "a", None, "s", "f", ["age"], 2.0) if number % 5 == 0 else None
    arm = Assignment("trial", "b", 0.25) if number % 2 else None
    who = f"key:{number % 4}:somebody", f"entity-{number % 7}"
    return Answered(f"r{number:05}", at, served, values, served.predict(values)[1], *who, arm, looked_up)


def log_of(folder: Path, items: list[Answered], monkeypatch: pytest.MonkeyPatch, few: int, **settings: Any) -> Path:
    """The file of a log in which these were written, in one turn, by a service that is busy from more than `few` rows on."""
    monkeypatch.setattr(prediction_log, "FEW", few)
    monkeypatch.setattr(prediction_log, "AT_END", 0)
    log = PredictionLog(folder, 1.0, **settings)
    for item in items:
        log.hand(item)
    log.close()
    return folder / DAY


def lines(file: Path) -> list[tuple[Any, ...]]:
    """What a file holds as lines, in their order."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("select * from predictions order by rowid").fetchall()


def blocks(file: Path) -> int:
    """How many rows a file holds in blocks."""
    with closing(sqlite3.connect(file)) as connection:
        if connection.execute(log_blocks.THERE).fetchone() is None:
            return 0
        return int(connection.execute("select coalesce(sum(rows), 0) from blocks").fetchone()[0])


@pytest.mark.parametrize("privacy", [{}, {"plan": "hash", "visits": "drop"}], ids=["plain", "private"])
@pytest.mark.parametrize("has_secret", [True, False])
@pytest.mark.parametrize("keep", ["plain", "hash", None])
def test_blocks_become_the_lines_of_a_quiet_service(
    shop: tuple[Home, Served],
    secret: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    privacy: dict[str, str],
    has_secret: bool,
    keep: str | None,
) -> None:
    """Entities, digests, arms, look-ups and hidden columns too; and what is private never lies in the file, not even in a block."""
    entity = None if keep is None else {"name": "user", "keep": keep}
    promise = {**shop[1].promise, "privacy": privacy}
    served = replace(shop[1], promise={**promise, "limits": {**promise["limits"], "entity": entity}})
    items = [asked(served, number, 1 + 230 * (number % 50 == 0)) for number in range(300)]
    settings = {"secret_file": secret} if has_secret else {}
    quiet = log_of(tmp_path / "quiet", items, monkeypatch, EVERY, **settings)
    busy = log_of(tmp_path / "busy", items, monkeypatch, 0, **settings)
    rows = sum(len(item.rows) for item in items)
    assert (len(lines(quiet)), blocks(quiet), blocks(busy)) == (rows, 0, rows)
    content = b"".join(path.read_bytes() for path in busy.parent.iterdir())
    assert (b"entity-" in content) == (keep == "plain")
    assert (b"gold" in content) == (not privacy)
    assert b"looked up" not in content
    log_blocks.complete(busy)
    assert lines(busy) == lines(quiet)
    assert blocks(busy) == 0


def test_lines_keep_the_order_of_answers_and_the_first_answer_stands(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes while there are blocks is put after them, and a quiet service makes lines of them bit by bit."""
    monkeypatch.setattr(log_blocks, "SOME", 1)
    monkeypatch.setattr(log_blocks, "MOST_BYTES", 1)
    served = shop[1]
    file = log_of(tmp_path, [asked(served, 0)], monkeypatch, EVERY)
    log_of(tmp_path, [asked(served, number, 3) for number in (1, 2, 3)], monkeypatch, 0)
    assert (len(lines(file)), blocks(file)) == (1, 9)
    log_of(tmp_path, [asked(served, 4)], monkeypatch, EVERY)
    assert (len(lines(file)), blocks(file)) == (4, 7)
    log_of(tmp_path, [replace_rows(asked(served, 2, 5))], monkeypatch, EVERY)
    for number in (5, 6, 7, 8):
        log_of(tmp_path, [asked(served, number)], monkeypatch, EVERY)
    assert blocks(file) > 0
    log_blocks.complete(file)
    order = [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 2, 2, 5, 6, 7, 8]
    assert [line[:2] for line in lines(file)] == [
        (f"r{number:05}", order[:place].count(number)) for place, number in enumerate(order)
    ]
    assert all('"age":99' not in line[5] for line in lines(file) if line[0] == "r00002" and line[1] < 3)


def replace_rows(item: Answered) -> Answered:
    """The same request, about others."""
    return item._replace(rows=[(99.0, *row[1:]) for row in item.rows])


def test_whoever_is_killed_while_blocks_become_lines_a_row_is_there_once(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block becomes lines and goes within one transaction."""
    monkeypatch.setattr(log_blocks, "MOST_BYTES", 10_000)
    monkeypatch.setattr(log_blocks, "TOGETHER", 100)
    items = [asked(shop[1], number, 10) for number in range(400)]
    expected = lines(log_of(tmp_path / "quiet", items, monkeypatch, EVERY))
    file = log_of(tmp_path / "busy", items, monkeypatch, 0)
    drawn, kills = random.Random(5), 0  # noqa: S311 - when it is killed
    while blocks(file):
        if (child := os.fork()) == 0:
            log_blocks.complete(file)
            os._exit(0)
        time.sleep(drawn.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(TABLE)
            assert int(connection.execute("select count(*) from predictions").fetchone()[0]) + blocks(file) == len(expected)
    assert kills > 0
    assert lines(file) == expected


def test_readers_parquet_and_erasure_know_rows_in_blocks(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest row comes first; nothing of an erased row is left in the file, and a day that is over becomes Parquet whole."""
    home, served = Home(tmp_path / "home").prepare(), shop[1]
    items = [asked(served, number, at=NOW + timedelta(seconds=number)) for number in range(200)]
    file = log_of(home.served / "churn", items, monkeypatch, 0)
    assert blocks(file) == 200
    assert [line["request_id"] for line in logged_requests.latest(home, "churn", most=2)] == ["r00199", "r00198"]
    log_of(home.served / "churn", [items[0]._replace(request_id="his own", answered_at=NOW)], monkeypatch, 0)
    assert blocks(file) == 1
    erased = logged_erasure.rows_of(home, "churn", Person("his own", ("user",)), [])
    assert erased == {home.relative(file): [("his own", 0)]}
    logged_erasure.erase(home, erased)
    assert not any(b"his own" in path.read_bytes() for path in file.parent.iterdir())
    log_of(home.served / "churn", [items[0]._replace(request_id="last")], monkeypatch, 0)
    assert logged_requests.archive(home, "churn", NOW + timedelta(days=3)) == [file]
    assert pq.read_table(file.with_suffix(".parquet"))["request_id"].to_pylist()[-2:] == ["r00199", "last"]
    assert not file.exists()


def test_an_encrypted_log_has_no_blocks(shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is encrypted for itself; what was in blocks when the key was given becomes lines first."""
    home = Home(tmp_path / "home").prepare()
    key: PublicKey = log_keys.use(home, tmp_path / "log.pem").key
    file = log_of(tmp_path / "log", [asked(shop[1], number) for number in range(10)], monkeypatch, 0)
    assert blocks(file) == 10
    log_of(tmp_path / "log", [asked(shop[1], number) for number in range(10, 300)], monkeypatch, 0, public_key=key)
    assert blocks(file) == 0
    assert [line[9] for line in lines(file)] == [None] * 10 + [1] * 290


def test_blocks_that_came_after_their_day_became_parquet_are_added_to_it(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step to Parquet removes no file whose rows it has not taken."""
    home, served = Home(tmp_path / "home").prepare(), shop[1]
    for folder, archive in (
        (home.served / "churn", logged_requests.archive),
        (shadow_store.folder(home, "churn"), shadow_store.archive),
    ):
        file = log_of(folder, [asked(served, 0)], monkeypatch, EVERY)
        assert archive(home, "churn", NOW + timedelta(days=3)) == [file]
        log_of(folder, [asked(served, number) for number in range(1, 9)], monkeypatch, 0)
        assert (blocks(file), archive(home, "churn", NOW + timedelta(days=3))) == (8, [file])
        assert pq.read_table(file.with_suffix(".parquet"))["request_id"].to_pylist() == [f"r{number:05}" for number in range(9)]
        assert not file.exists()


def test_a_person_is_erased_from_what_lies_beside_a_parquet_file_and_does_not_come_back(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that came late, in blocks, and those of a step to Parquet that was killed before it removed the SQLite file."""
    home, his = Home(tmp_path / "home").prepare(), Person("his own", ("user",))
    items = [asked(shop[1], number)._replace(request_id=name) for number, name in enumerate(("his own", "hers"))]
    folder = home.served / "churn"
    file = log_of(folder, items, monkeypatch, EVERY)
    parquet = file.with_suffix(".parquet")
    kept = file.read_bytes()
    logged_requests.archive(home, "churn", NOW + timedelta(days=3))
    file.write_bytes(kept)
    late = replace_rows(asked(shop[1], 2, 3))._replace(request_id="his own")
    log_of(folder, [late, late._replace(request_id="late")], monkeypatch, 0)
    found = logged_erasure.rows_of(home, "churn", his, [])
    assert found == {
        home.relative(parquet): [("his own", 0)],
        home.relative(file): [("his own", row) for row in range(3)],
    }
    logged_erasure.erase(home, found)
    assert not any(b"his own" in path.read_bytes() for path in folder.iterdir())
    logged_requests.archive(home, "churn", NOW + timedelta(days=3))
    assert pq.read_table(parquet)["request_id"].to_pylist() == ["hers", *["late"] * 3]


def test_a_service_writes_while_a_reader_makes_lines_of_many_blocks(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who makes lines of all leaves the file to those who wait for it, after each transaction."""
    monkeypatch.setattr(log_blocks, "MOST_BYTES", 1)
    monkeypatch.setattr(log_blocks, "TOGETHER", 1)
    file = log_of(tmp_path, [asked(shop[1], number) for number in range(100)], monkeypatch, 0)
    if (child := os.fork()) == 0:
        log_blocks.complete(file)
        os._exit(0)
    try:
        while blocks(file) == 100:
            time.sleep(0.001)
        log_of(tmp_path, [asked(shop[1], 100)], monkeypatch, 0)
        assert blocks(file) > 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    monkeypatch.setattr(log_blocks, "TOGETHER", log_blocks.ALL)
    log_blocks.complete(file)
    assert [line[0] for line in lines(file)] == [f"r{number:05}" for number in range(101)]


def test_a_reader_makes_no_new_file_of_a_day_that_became_parquet_meanwhile(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would lie beside the Parquet file, and be published."""
    monkeypatch.setattr(log_blocks, "MOST_BYTES", 1)
    monkeypatch.setattr(log_blocks, "TOGETHER", 1)
    monkeypatch.setattr(log_blocks, "PAUSE", 3.0)
    home = Home(tmp_path / "home").prepare()
    file = log_of(home.served / "churn", [asked(shop[1], number) for number in range(5)], monkeypatch, 0)
    with pytest.raises(FileNotFoundError):
        log_blocks.complete(file.with_name("2026-03-01.sqlite"))
    reader = threading.Thread(target=logged_requests.files, args=(home, "churn"))
    reader.start()
    while blocks(file) == 5:
        time.sleep(0.001)
    monkeypatch.setattr(log_blocks, "TOGETHER", log_blocks.ALL)
    logged_requests.archive(home, "churn", NOW + timedelta(days=3))
    reader.join()
    assert [path.name for path in file.parent.iterdir()] == [file.with_suffix(".parquet").name]
    assert len(pq.read_table(file.with_suffix(".parquet"))) == 5


def test_nothing_is_left_of_a_block_and_its_day_grows_no_younger(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated id's second answer is in no line, so nobody would find it to erase; retention counts from the last answer."""
    file = log_of(tmp_path, [asked(shop[1], 0)], monkeypatch, EVERY)
    log_of(tmp_path, [asked(shop[1], 0)._replace(caller="key:1:second caller")], monkeypatch, 0)
    os.utime(file, (1e9, 1e9))
    log_blocks.complete(file)
    assert (len(lines(file)), blocks(file), file.stat().st_mtime) == (1, 0, 1e9)
    assert not any(b"second caller" in path.read_bytes() for path in tmp_path.iterdir())


def test_a_service_ends_although_its_day_became_parquet(
    shop: tuple[Home, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last lines were made by who made the Parquet file; those of later days it makes itself."""
    monkeypatch.setattr(prediction_log, "FEW", 0)
    told: list[str] = []
    log = PredictionLog(tmp_path, 1.0, problem=told.append)
    for day in (0, 1):
        log.hand(asked(shop[1], day, at=NOW + timedelta(days=day)))
    later = tmp_path / f"{NOW.date() + timedelta(days=1)}.sqlite"
    while not later.exists() or not blocks(later):
        time.sleep(0.01)
    log_blocks.complete(tmp_path / DAY)
    (tmp_path / DAY).unlink()
    log.close()
    assert (told, blocks(later), len(lines(later))) == ([], 0, 1)
    assert not (tmp_path / DAY).exists()

"""A shadow's answers are kept, erased and sealed anew as the log is whose answers they stand beside."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from assets.errors import HomeError
from assets.monitoring import logged_erasure, logged_requests, shadow_store
from assets.storage import log_keys
from assets.storage.home import Home
from assets.storage.row_eraser import Person
from bentos import log_lines
from bentos.log_encryption import Sealer
from bentos.log_lines import Line
from orchestration.operations.verification.verify import verify
from tests.assets.monitoring.test_logged_outcomes import ANSWER, NOW, START, log

HERS = [("hers", 0), ("hers-too", 0)]


def shadowed(home: Home, line: Line, sealer: Sealer | None = None) -> Path:
    """Write a line as a shadow does; its file."""
    folder = shadow_store.folder(home, "churn")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{START.date()}.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(log_lines.TABLE)
        if sealer is not None:
            (line,) = log_lines.encrypted(sealer, [line], sealer.begin(connection, file.stem))
        connection.execute(log_lines.INSERT, line)
    return file


def line(request: str, entity: str | None = None) -> Line:
    """A line of a shadow."""
    told = START.isoformat(timespec="milliseconds")
    return Line(request, 0, told, 2, "e", '{"age":30.0}', ANSWER, None, None, None, entity, None, "trial", "shadow", 1.0)


def test_an_entity_is_erased_from_the_log_and_from_its_shadow(home: Home) -> None:
    """Where the shadow kept no key, by the request that was answered; nobody else's rows go, in SQLite and in Parquet."""
    log(home, [("hers", START, "C1"), ("hers-too", START, "hmac:1"), ("other", START, "C2")])
    for request, entity in (("hers", None), ("hers-too", "hmac:1"), ("other", "C2")):
        shadowed(home, line(request, entity))
    rows = logged_erasure.rows_of(home, "churn", Person("C1", ("customer_id",), pseudonym="hmac:1"), [])
    assert list(rows.values()) == [HERS, HERS]
    (shadow,) = shadow_store.archive(home, "churn", NOW)
    logged_erasure.erase(home, rows)
    for file in (*logged_requests.files(home, "churn"), *shadow_store.files(home, "churn")):
        assert [found["request_id"] for found in logged_requests.lines_of(file, [])] == ["other"]
    assert not shadow.exists()
    assert verify(home, deep=True).problems == []
    assert logged_erasure.rows_of(home, "churn", Person("C1", ("customer_id",), pseudonym="hmac:1"), []) == {}


def test_a_shadow_is_sealed_anew_with_the_log(home: Home, tmp_path: Path) -> None:
    """As SQLite and as Parquet; without the key nothing is read, and it holds no value in the clear."""
    first = log_keys.use(home, tmp_path / "first.pem")
    file = shadowed(home, line("a", "C-PRIVATE"), Sealer(first.key))
    assert b"C-PRIVATE" not in b"".join(path.read_bytes() for path in file.parent.iterdir())
    second = log_keys.use(home, tmp_path / "second.pem")
    assert (log_keys.seal_anew(home), log_keys.sealed_with(home)) == (1, {second.key.id: 1})
    assert shadow_store.archive(home, "churn", NOW) == [file]
    third = log_keys.use(home, tmp_path / "third.pem")
    assert (log_keys.seal_anew(home), log_keys.keys(home)) == (1, [third])
    (archived,) = shadow_store.files(home, "churn")
    (found,) = logged_requests.lines_of(archived, log_keys.keys(home))
    assert (found["entity"], found["prediction"]) == ("C-PRIVATE", ANSWER)
    Path(third.file).unlink()
    with pytest.raises(HomeError, match=r"third\.pem"):
        logged_requests.lines_of(archived, log_keys.keys(home))


def test_a_day_that_may_still_be_written_to_is_not_over(home: Home) -> None:
    """It is neither made into Parquet nor removed."""
    file = shadowed(home, line("a"))
    assert shadow_store.archive(home, "churn", START + timedelta(days=1)) == []
    assert shadow_store.over(home, "churn", START + timedelta(days=1)) == []
    assert shadow_store.over(home, "churn", NOW) == [file]
    assert list(logged_requests.latest(home, "churn")) == []

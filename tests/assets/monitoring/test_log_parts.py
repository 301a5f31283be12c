"""A day's log in parts of several services: read in the order of answers, and kept, erased and joined as one log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets.monitoring import logged_erasure, logged_outcomes, logged_requests, request_drift
from assets.storage.home import Home
from assets.storage.row_eraser import Person
from bentos import day_file
from bentos.assignment import Assignment
from bentos.prediction_log import Answered, PredictionLog
from bentos.served import Served
from tests.models import promised, trained
from tests.shop import product

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPEC = product("churn", serving={"entity": {"name": "customer", "keep": "plain"}})


@pytest.fixture
def served(home: Home, tmp_path: Path) -> Served:
    """What services answer from."""
    return promised(home, trained(home, "churn"), tmp_path / "package")


def answer(home: Home, served: Served, part: str, minutes: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a service with a part of its own log requests, each about a customer of the same name, at a minute."""
    monkeypatch.setattr(day_file, "OWN", part)
    log = PredictionLog(home.served / "churn", 1.0)
    row, given = (30.0, "free", 2.0), {"probability": 0.5, "is_positive": True}
    named = Served({**served.promise, "entity": {"name": "customer", "keep": "plain"}}, served.model, served.row_graph)
    assignment = Assignment("trial", "control", 0.5)
    for name, minute in minutes.items():
        log.hand(Answered(name, BEGIN + timedelta(minutes=minute), named, [row], [given], None, name, assignment))
    log.close()


def test_parts_are_one_log(home: Home, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest answers come first whoever gave them; a part that comes late is news, and a person is found in all."""
    answer(home, served, "aa", {"first": 0, "third": 20, "fifth": 40}, monkeypatch)
    reached = request_drift.position(home, "churn")
    answer(home, served, "bb", {"second": 10, "fourth": 30}, monkeypatch)
    answer(home, served, "cc", {"yesterday": -24 * 60}, monkeypatch)
    expected = ["fifth", "fourth", "third", "second", "first", "yesterday"]
    for most in (6, 4, 1):
        assert [line["request_id"] for line in logged_requests.latest(home, "churn", most=most)] == expected[:most]
    assert request_drift.position(home, "churn") != reached
    assert logged_outcomes.known(home, SPEC).answered == 6
    with logged_outcomes.joined(home, SPEC, begin="2026-03-01", end="2026-03-01") as rows:
        assert len(rows.fetchall()) == 5
    found = logged_erasure.rows_of(home, "churn", Person("fourth", ("customer",)), [])
    assert found == {"served/churn/2026-03-01-bb.sqlite": [("fourth", 0)]}
    logged_erasure.erase(home, found)
    with closing(sqlite3.connect(home.served / "churn" / "2026-03-01-bb.sqlite")) as connection:
        assert connection.execute("select request_id from predictions").fetchall() == [("second",)]


def test_a_part_that_names_no_file_lets_no_service_start() -> None:
    """What is wrong, and what it may be."""
    for given in ("../x", "A", "a" * 17):
        with pytest.raises(ValueError, match="LOOPLINE_LOG_PART=.* must be 1 to 16 small letters and digits"):
            day_file.read_part(given)

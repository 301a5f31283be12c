"""What the prediction log says of a circuit breaker: of its latest rows, whether they are lines by then or blocks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from assets.monitoring import breaker_log
from assets.monitoring.breaker_log import BreakerAnswers
from assets.storage.home import Home
from bentos import day_file
from bentos.fallback import BREAKER, MITIGATION
from bentos.fallback_served import falling_back
from bentos.prediction_log import Answered, PredictionLog
from bentos.served import Served
from tests.models import promised, trained

BEGIN = datetime(2026, 3, 1, 23, 50, tzinfo=UTC)
ROW, ANSWER = (30.0, "free", 2.0), {"probability": 0.5, "is_positive": True}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """What services answer from."""
    folder = tmp_path_factory.mktemp("served")
    home = Home(folder / "home").prepare()
    return promised(home, trained(home, "churn"), folder / "package", fallback={"otherwise": [0.9, 0.1], "reach": None})


def log(home: Home, served: Served, minutes: dict[int, int], *, is_closed: bool = True) -> PredictionLog:
    """Let so many rows be answered at minutes."""
    made = PredictionLog(home.served / "churn", 1.0)
    for minute, rows in minutes.items():
        made.hand(Answered(str(minute), BEGIN + timedelta(minutes=minute), served, [ROW] * rows, [ANSWER] * rows))
    if is_closed:
        made.close()
    return made


def at(minute: int) -> str:
    """A minute as the log has it."""
    return (BEGIN + timedelta(minutes=minute)).isoformat(timespec="milliseconds")


def test_the_latest_rows_are_counted_over_days_and_parts(home: Home, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one version alone; what a person let be answered is not the breaker's."""
    assert breaker_log.answers(home, "churn", 1, 50) is None
    broken = falling_back(served, BREAKER)
    log(home, served, {0: 3})
    log(home, falling_back(served, MITIGATION), {1: 1})
    assert breaker_log.answers(home, "churn", 1, 50) is None
    log(home, broken, {2: 2})
    monkeypatch.setattr(day_file, "OWN", "bb")
    log(home, broken, {12: 4})
    monkeypatch.setattr(day_file, "OWN", "cc")
    log(home, served, {11: 1})
    assert breaker_log.answers(home, "churn", 1, 50) == BreakerAnswers(6, 11, at(2), at(12))
    assert breaker_log.answers(home, "churn", 1, 5) == BreakerAnswers(4, 5, at(12), at(12))
    assert breaker_log.answers(home, "churn", 2, 50) is None


def test_rows_that_are_no_lines_yet_count_and_stay_as_they_are(home: Home, served: Served) -> None:
    """A busy service keeps them in blocks; who only asks writes nothing."""
    writing = log(home, falling_back(served, BREAKER), {0: 600}, is_closed=False)
    writing.writer.close()
    (file,) = (home.served / "churn").iterdir()
    before = file.read_bytes()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select sum(rows) from blocks").fetchone()[0] > 0
    assert breaker_log.answers(home, "churn", 1, 200) == BreakerAnswers(200, 200, at(0), at(0))
    assert file.read_bytes() == before

"""Outcomes: what is told of answers is checked, kept, and joined with the log; late, doubled, contradicting, unknown are counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.errors import HomeError, SourceError
from assets.monitoring import logged_outcomes, logged_requests, outcome_intake, outcome_store
from assets.monitoring.logged_outcomes import Known
from assets.spec import ProductSpec
from assets.storage import log_keys, pseudonym_key
from assets.storage.home import Home
from bentos import log_lines, outcome_bodies
from bentos.log_lines import Line
from bentos.outcome_log import OutcomeLog
from bentos.pseudonyms import pseudonym
from orchestration.operations.verification.verify import verify
from tests.shop import product

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW = datetime(2026, 3, 9, tzinfo=UTC)
ANSWER = '{"probability":0.75,"is_positive":true,"unknown_categories":[]}'


def spec_of(name: str = "churn", keep: str = "hash") -> ProductSpec:
    """A product whose requests are about customers, and whose outcomes are late after two days."""
    return product(name, serving={"entity": {"name": "customer_id", "keep": keep}, "outcomes": {"late_after_days": 2.0}})


def log(home: Home, requests: Sequence[tuple[str, datetime, str | None]], name: str = "churn", answer: str = ANSWER) -> None:
    """Write lines as the service does: a row for each request."""
    folder = home.served / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, (request, moment, entity) in enumerate(requests):
        told = moment.isoformat(timespec="milliseconds")
        arm = ("cheaper", "ab"[number % 2], 0.5)
        line = Line(request, 0, told, 1, "d", "{}", answer, None, None, None, entity, None, *arm)
        with closing(sqlite3.connect(folder / f"{moment.date()}.sqlite")) as connection, connection:
            connection.execute(log_lines.TABLE)
            connection.execute(log_lines.INSERT, line)


def written(path: Path, *lines: str, header: str = "request_id,outcome,observed_at") -> Path:
    """A CSV file."""
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def tell(home: Home, file: Path, spec: ProductSpec | None = None, now: datetime = NOW) -> tuple[int, int, int]:
    """Add a file: its rows, those that were new, those that were not."""
    taken = outcome_intake.take(home, spec or spec_of(), file, "person:tester", now)
    return taken.rows, taken.new, taken.repeated


def rows(home: Home, spec: ProductSpec | None = None, **given: Any) -> dict[str, tuple[Any, ...]]:
    """Outcome, lateness, output, decision and arm by request."""
    with logged_outcomes.joined(home, spec or spec_of(), **given) as relation:
        found = relation.select("request_id, outcome, is_late, output, decision, arm").fetchall()
    return {row[0]: row[1:] for row in found}


def test_an_archived_answer_is_read_from_its_json_where_its_columns_are_empty(home: Home) -> None:
    """Also beside a day that has them, and in a day of which only some rows lack them."""
    log(home, [("r0", START, None)])
    second = START + timedelta(days=1)
    log(home, [("r1", second, None), ("r2", second, None)])
    with closing(sqlite3.connect(home.served / "churn" / f"{second.date()}.sqlite")) as connection, connection:
        connection.execute("update predictions set output = 0.5, decision = 'false' where request_id = 'r1'")
    third = START + timedelta(days=2)
    log(home, [("r3", third, None)])
    with closing(sqlite3.connect(home.served / "churn" / f"{third.date()}.sqlite")) as connection, connection:
        connection.execute("update predictions set output = 0.25, decision = 'false'")
    before = rows(home)
    assert len(logged_requests.archive(home, "churn", NOW)) == 3
    assert rows(home) == before
    assert {name: found[2:4] for name, found in before.items()} == {
        "r0": (0.75, "true"),
        "r1": (0.5, "false"),
        "r2": (0.75, "true"),
        "r3": (0.25, "false"),
    }


def test_outcomes_are_joined_and_what_does_not_fit_is_counted(home: Home, tmp_path: Path) -> None:
    """The first of a row stands; the same file twice changes nothing; an outcome whose answer comes later is found then."""
    log(home, [(f"r{number}", START, None) for number in range(4)])
    file = written(
        tmp_path / "labels.csv",
        "r0,1,2026-03-03T08:00:00+00:00",
        "r1,false,2026-03-05 08:00:00",
        "r2,0,2026-03-03T08:00:00+00:00",
        "later,1,2026-03-03T08:00:00+00:00",
    )
    assert tell(home, file) == (4, 4, 0)
    stored = {path: path.read_bytes() for path in outcome_store.files(home, "churn")}
    assert tell(home, file, now=NOW + timedelta(days=1)) == (4, 0, 4)
    assert {path: path.read_bytes() for path in outcome_store.files(home, "churn")} == stored
    assert rows(home) == {
        "r0": (1.0, False, 0.75, "true", "a"),
        "r1": (0.0, True, 0.75, "true", "b"),
        "r2": (0.0, False, 0.75, "true", "a"),
        "r3": (None, None, 0.75, "true", "b"),
    }
    again = written(
        tmp_path / "again.csv", "r0,1,2026-03-04T08:00:00Z", "r2,1,2026-03-02T09:00:00Z", "r0,1,2026-03-04T08:00:00Z"
    )
    assert tell(home, again, now=NOW + timedelta(days=2)) == (3, 2, 1)
    assert rows(home)["r2"][0] == 0.0
    expected = Known(answered=4, told=6, matched=3, late=1, doubled=1, conflicting=1, unknown=1)
    assert logged_outcomes.known(home, spec_of()) == expected
    log(home, [("later", START + timedelta(days=1), None)])
    assert logged_outcomes.known(home, spec_of()) == Known(5, 6, 4, 1, 1, 1, 0)
    assert rows(home, begin="2026-03-03") == {"later": (1.0, False, 0.75, "true", "a")}
    assert rows(home, experiment="another") == {}
    with logged_outcomes.joined(home, spec_of()):  # two readers do not wait for each other
        assert len(rows(home)) == 5
    logged_requests.archive(home, "churn", NOW)
    assert logged_outcomes.known(home, spec_of()) == Known(5, 6, 4, 1, 1, 1, 0)
    assert verify(home).problems == []


def test_an_outcome_of_an_entity_belongs_to_its_last_answer_before(home: Home, tmp_path: Path) -> None:
    """By the pseudonym that the log keeps; what was observed before the first answer is of no answer."""
    secret = pseudonym_key.secret(home)
    anna = pseudonym(secret, "customer_id", "C1")
    log(home, [("first", START, anna), ("second", START + timedelta(hours=2), anna), ("unnamed", START, None)])
    file = written(
        tmp_path / "labels.csv",
        "C1,1,2026-03-02T09:00:00Z",
        "C1,0,2026-03-02T10:00:00Z",
        "C1,1,2026-03-02T07:00:00Z",
        "C2,1,2026-03-02T09:00:00Z",
        header="entity,outcome,observed_at",
    )
    assert tell(home, file) == (4, 4, 0)
    assert {name: row[0] for name, row in rows(home).items()} == {"first": 1.0, "second": 0.0, "unnamed": None}
    assert logged_outcomes.known(home, spec_of()) == Known(3, 4, 2, 0, 0, 0, 2)
    (stored,) = outcome_store.files(home, "churn")
    assert b"C2" not in str(pq.read_table(stored).to_pylist()).encode()


@pytest.mark.parametrize(
    ("lines", "header", "told"),
    [
        (["r0,2,2026-03-03"], None, "line 2: outcome: is '2', but must be 1, 0, true or false. Nothing was added."),
        (["r0,1,2026-03-03", "r1,1,soon", "r2,1,x"], None, "line 3: observed_at: is 'soon', but must be a moment such as"),
        (["r0,1,infinity"], None, "line 2: observed_at: is 'infinity', but must be a moment"),
        (
            ["r 0,1,2026-03-03", ",1,2026-03-03"],
            None,
            "line 2: request_id: is 'r 0', but must be an X-Request-ID. So are 1 more",
        ),
        ([",1,2026-03-03"], None, "line 2: request_id: neither request_id nor entity is given"),
        (["r0,1,2026-03-03,9"], None, "cannot be read: Invalid Input Error: CSV Error on Line: 2"),
        (
            ["r0,-1,1,2026-03-03"],
            "request_id,row_number,outcome,observed_at",
            "line 2: row_number: is '-1', but must be a whole",
        ),
        (["r0,C1,1,2026-03-03"], "request_id,entity,outcome,observed_at", "line 2: entity: both request_id and entity"),
        (
            [],
            "request_id,outcome,observed_at,label",
            "line 1: has a column 'label'. Allowed are: request_id, row_number, entity",
        ),
        ([], "request_id,outcome", "line 1: lacks a column 'observed_at'"),
        ([], "outcome,observed_at", "line 1: lacks a column 'request_id'"),
    ],
)
def test_a_bad_file_is_one_error_and_nothing_is_added(
    home: Home, tmp_path: Path, lines: list[str], header: str | None, told: str
) -> None:
    """File, line and field, what is allowed, and what to do."""
    file = written(tmp_path / "labels.csv", *lines, **({} if header is None else {"header": header}))
    with pytest.raises(SourceError) as error:
        tell(home, file)
    assert str(error.value).startswith(str(file))
    assert told in str(error.value)
    assert outcome_store.files(home, "churn") == []


def test_files_of_other_forms_are_refused(home: Home, tmp_path: Path) -> None:
    """Missing, of another ending, and no Parquet."""
    (tmp_path / "no.parquet").write_text("no table")
    for name, told in (("gone.csv", "cannot be read (No such file"), ("a.txt", "must end in .csv"), ("no.parquet", "Parquet")):
        with pytest.raises(SourceError) as error:
            tell(home, tmp_path / name)
        assert told in str(error.value)
    with pytest.raises(SourceError, match=r"Declare 'serving.entity'"):
        tell(home, written(tmp_path / "e.csv", header="entity,outcome,observed_at"), product("churn"))


@pytest.mark.parametrize(
    ("name", "answer", "outcome", "kept", "output", "decision"),
    [
        ("spend", '{"value":3.5,"planned":4.0,"low":1.0,"high":6.0}', 2.25, 2.25, 3.5, "4.0"),
        (
            "tier",
            '{"predicted_class":"gold","probabilities":{"bronze":0.25,"silver":0.25,"gold":0.5}}',
            "silver",
            "silver",
            0.5,
            "gold",
        ),
    ],
)
def test_other_kinds_of_targets_have_their_outcomes(
    home: Home, tmp_path: Path, name: str, answer: str, outcome: Any, kept: Any, output: float, decision: str
) -> None:
    """A number or a class, from a Parquet file with moments of its own."""
    log(home, [("r0", START, None)], name, answer)
    moment = pd.Timestamp("2026-03-03")
    pq.write_table(pa.table({"request_id": ["r0"], "outcome": [outcome], "observed_at": [moment]}), tmp_path / "labels.parquet")
    assert tell(home, tmp_path / "labels.parquet", spec_of(name)) == (1, 1, 0)
    assert rows(home, spec_of(name)) == {"r0": (kept, False, output, decision, "a")}
    with pytest.raises(SourceError, match="row 1: outcome: is 'odd', but must be "):
        pq.write_table(pa.table({"request_id": ["r0"], "outcome": ["odd"], "observed_at": [moment]}), tmp_path / "b.parquet")
        tell(home, tmp_path / "b.parquet", spec_of(name))


def test_outcomes_are_encrypted_where_the_log_is(home: Home, tmp_path: Path) -> None:
    """Nothing is in the clear but requests and moments, the same file twice changes nothing, and without the key nothing is read."""
    log_keys.use(home, tmp_path / "log.pem")
    spec = spec_of("spend", "plain")
    log(home, [("r0", START, "customer-1")], "spend", '{"value":3.5,"planned":4.0}')
    file = written(tmp_path / "a.csv", "customer-1,987654.25,2026-03-03", header="entity,outcome,observed_at")
    assert [tell(home, file, spec) for _ in range(2)] == [(1, 1, 0), (1, 0, 1)]
    key = log_keys.keys(home)[-1].key
    told = outcome_bodies.Outcome(None, 0, "customer-1", "987654.25", "2026-03-03T00:00:00.000+00:00")
    assert OutcomeLog(outcome_store.folder(home, "spend"), public_key=key).append([told], NOW, "key:1:shop") == 1
    content = b"".join(path.read_bytes() for path in outcome_store.folder(home, "spend").iterdir())
    assert [mark for mark in (b"987654", b"customer-1", b"person:tester", b"shop") if mark in content] == []
    assert logged_outcomes.known(home, spec) == Known(1, 1, 1, 0, 0, 0, 0)
    outcome_store.archive(home, "spend", NOW + timedelta(days=2))
    log_keys.use(home, tmp_path / "second.pem")
    assert log_keys.seal_anew(home) == 2
    assert logged_outcomes.known(home, spec) == Known(1, 1, 1, 0, 0, 0, 0)
    assert rows(home, spec)["r0"][0] == 987654.25
    assert verify(home, deep=True).problems == []
    (tmp_path / "second.pem").unlink()
    with pytest.raises(HomeError, match="private key"):
        rows(home, spec)

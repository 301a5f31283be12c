"""The encrypted prediction log: nobody reads it without the key, with it everything is as it was, and keys are rotated."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assets.errors import HomeError
from assets.monitoring import champion_monitor, logged_requests
from assets.storage import log_keys
from assets.storage.home import Home
from bentos.app import ModelApp
from bentos.assignment import Assignment
from bentos.log_encryption import LogKeyError, PublicKey
from bentos.log_privacy import inputs_digest
from bentos.prediction_log import Answered, PredictionLog
from tests.assets.monitoring.test_request_drift import START, Shop, ask, shop, spec_of
from tests.bentos.serving import answering, until
from tests.shop import customers

__all__ = ["shop"]
ENTITY = {"name": "tail_number", "keep": "plain"}
ROW = {"age": 30.0, "plan": "free", "visits": 2.0}


def logged(shop: Shop, request: str, plan: str = "a plan of nobody else") -> Path:
    """Log one request as a service of this home does; the file."""
    home, _, _, served = shop
    (*_, key) = log_keys.keys(home)
    served = replace(served, promise={**served.promise, "limits": {**served.limits, "entity": ENTITY}})
    log = PredictionLog(home.served / "churn", 1.0, public_key=key.key)
    log.hand(
        Answered(
            request,
            START,
            served,
            [served.bodies.row({**ROW, "plan": plan})],
            [{"probability": 0.25, "is_positive": False}],
            "key:1:somebody",
            "entity-17",
            Assignment("cheaper", "b", 0.25),
        )
    )
    log.close()
    return home.served / "churn" / f"{START.date()}.sqlite"


def test_an_encrypted_log_holds_no_value_and_is_read_with_the_key_only(shop: Shop, tmp_path: Path) -> None:
    """Neither features, answer nor caller; the file of the key is its owner's, and the home holds it nowhere."""
    home = shop[0]
    key = log_keys.use(home, tmp_path / "log.pem")
    file = logged(shop, "a")
    content = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert not any(value in content for value in (b"nobody else", b"0.25", b"somebody", b"entity-17"))
    (line,) = logged_requests.latest(home, "churn")
    assert json.loads(line["features"])["plan"] == "a plan of nobody else"
    assert (line["prediction"], line["caller"]) == ('{"probability":0.25,"is_positive":false}', "key:1:somebody")
    assert (line["output"], line["decision"]) == (0.25, "false")
    assert (line["entity"], line["experiment"], line["arm"], line["propensity"]) == ("entity-17", "cheaper", "b", 0.25)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select output, decision, entity, inputs_digest from predictions").fetchall() == [(None,) * 4]
    assert line["inputs_digest"] == inputs_digest({**ROW, "plan": "a plan of nobody else"})
    assert oct(Path(key.file).stat().st_mode & 0o777) == "0o600"
    private = Path(key.file).read_bytes().splitlines()[1]
    assert not any(private in path.read_bytes() for path in home.root.rglob("*") if path.is_file())
    Path(key.file).rename(tmp_path / "elsewhere.pem")
    with pytest.raises(HomeError, match=r"log.pem: the private key .* cannot be read \(No such file or directory\)"):
        list(logged_requests.latest(home, "churn"))
    log_keys.use(home, tmp_path / "elsewhere.pem")
    assert len(list(logged_requests.latest(home, "churn"))) == len(log_keys.keys(home)) == 1


def test_monitoring_reads_an_encrypted_log_and_says_so_where_it_cannot(shop: Shop, tmp_path: Path) -> None:
    """Rows in the clear from before count too; without the key the rest of the record is made."""
    home, snapshot, champion, served = shop
    rows = customers(1500, seed=9)
    ask(shop, rows[:500])
    log_keys.use(home, tmp_path / "log.pem")
    log = PredictionLog(home.served / "churn", 1.0, public_key=log_keys.keys(home)[0].key)
    features = rows[["age", "plan", "visits"]].astype(object)
    named = features.where(features.notna(), None).to_dict("records")[500:]
    given = [served.bodies.row(row) for row in named]
    log.hand(Answered("later", START, served, given, [{}] * len(given)))
    log.close()
    found = champion_monitor.look(home, spec_of(), snapshot, champion)["asked"]
    assert (found["rows"], found["alarms"]) == (1500, [])
    assert set(found["data"]) == {"age", "plan", "visits"}
    (tmp_path / "log.pem").unlink()
    record = champion_monitor.look(home, spec_of(), snapshot, champion)
    assert (record["asked"]["rows"], record["asked"]["requests"]) == (1500, 51)
    assert "the private key of the prediction log cannot be read" in record["asked"]["not_judged"]


def test_a_row_that_was_changed_or_put_elsewhere_is_not_read(shop: Shop, tmp_path: Path) -> None:
    """Its ciphertext belongs to its request."""
    home = shop[0]
    log_keys.use(home, tmp_path / "log.pem")
    file = logged(shop, "a")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update predictions set request_id = 'b'")
    with pytest.raises(HomeError, match="row 0 of request b was changed, or put in another place"):
        list(logged_requests.latest(home, "churn"))


def test_a_rotated_key_opens_what_the_earlier_one_did(shop: Shop, tmp_path: Path) -> None:
    """Both are needed until data keys are sealed anew; then the earlier file can go, and opens nothing."""
    home = shop[0]
    first = log_keys.use(home, tmp_path / "first.pem")
    logged(shop, "a")
    second = log_keys.use(home, tmp_path / "second.pem")
    logged(shop, "b")
    assert log_keys.sealed_with(home) == {first.key.id: 1, second.key.id: 1}
    assert {line["request_id"] for line in logged_requests.latest(home, "churn")} == {"a", "b"}
    assert log_keys.seal_anew(home) == 1
    assert log_keys.keys(home) == [second]
    Path(first.file).unlink()
    assert {line["request_id"] for line in logged_requests.latest(home, "churn")} == {"a", "b"}
    Path(second.file).unlink()
    with pytest.raises(HomeError, match="second.pem"):
        list(logged_requests.latest(home, "churn"))


def test_an_archived_day_stays_encrypted_and_its_keys_are_rotated(shop: Shop, tmp_path: Path) -> None:
    """Parquet holds the ciphertext, and the sealed keys beside it change alone; a line that came late is read with its own."""
    home = shop[0]
    first = log_keys.use(home, tmp_path / "first.pem")
    logged(shop, "a")
    after = START + timedelta(days=2)
    (file,) = logged_requests.archive(home, "churn", after)
    logged(shop, "late")
    assert [line["request_id"] for line in logged_requests.latest(home, "churn")] == ["a"]
    assert logged_requests.archive(home, "churn", after) == [file]
    content = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert not any(value in content for value in (b"nobody else", b"0.25", b"somebody", b"entity-17"))
    lines = list(logged_requests.latest(home, "churn"))
    assert [(line["request_id"], line["entity"], line["data_key"]) for line in lines] == [
        ("late", "entity-17", 2), ("a", "entity-17", 1)
    ]  # fmt: skip
    rows = file.with_suffix(".parquet").read_bytes()
    second = log_keys.use(home, tmp_path / "second.pem")
    assert (log_keys.seal_anew(home), log_keys.sealed_with(home)) == (2, {second.key.id: 2})
    Path(first.file).unlink()
    assert list(logged_requests.latest(home, "churn")) == lines
    assert file.with_suffix(".parquet").read_bytes() == rows


def test_keys_of_lines_that_lie_beside_their_days_parquet_file_are_rotated(shop: Shop, tmp_path: Path) -> None:
    """Lines that came late are read when they are in the Parquet file too; the earlier key is gone by then."""
    home = shop[0]
    first = log_keys.use(home, tmp_path / "first.pem")
    logged(shop, "a")
    after = START + timedelta(days=2)
    logged_requests.archive(home, "churn", after)
    logged(shop, "late")
    second = log_keys.use(home, tmp_path / "second.pem")
    assert (log_keys.seal_anew(home), log_keys.sealed_with(home)) == (2, {second.key.id: 2})
    Path(first.file).unlink()
    logged_requests.archive(home, "churn", after)
    assert [line["request_id"] for line in logged_requests.latest(home, "churn")] == ["late", "a"]


def test_a_key_that_cannot_be_is_one_error_and_nothing_changed(home: Home, tmp_path: Path) -> None:
    """In the home, in a folder that is not there, of another kind, and in the variable."""
    with pytest.raises(HomeError, match="lies in the home"):
        log_keys.use(home, home.root / "log.pem")
    with pytest.raises(HomeError, match=r"cannot be written \(No such file"):
        log_keys.use(home, tmp_path / "missing" / "log.pem")
    (tmp_path / "other.pem").write_text("no key")
    with pytest.raises(HomeError, match="holds no private key in PEM"):
        log_keys.use(home, tmp_path / "other.pem")
    assert log_keys.keys(home) == []
    for text in ("", "short", "AAAA"):
        with pytest.raises(LogKeyError, match="LOOPLINE_LOG_KEY must hold a public key of 32 bytes"):
            PublicKey.read(text)


def test_a_service_encrypts_over_http(shop: Shop, tmp_path: Path) -> None:
    """What two services of one file write is read together; a log that vanishes while a service runs begins anew."""
    home, _, _, served = shop
    key = log_keys.use(home, tmp_path / "log.pem").key
    apps = [ModelApp(served, log_folder=home.served / "churn", public_key=key) for _ in range(2)]
    for number, app in enumerate(apps):
        with answering(app) as client:
            for row in range(3):
                client.post("/predict", json={"row": ROW}, headers={"X-Request-ID": f"{number}-{row}"})
    lines = list(logged_requests.latest(home, "churn"))
    assert sorted(line["request_id"] for line in lines) == [f"{number}-{row}" for number in range(2) for row in range(3)]
    assert all(json.loads(line["features"]) == ROW for line in lines)
    assert sum(log_keys.sealed_with(home).values()) == 2
    written: list[int] = []
    log = PredictionLog(home.served / "churn", 1.0, public_key=key, on_written=written.append)
    log.hand(Answered("before", START, served, [served.bodies.row(ROW)], [{}]))
    until(lambda: bool(written))
    (home.served / "churn" / f"{START.date()}.sqlite").unlink()
    log.hand(Answered("after", START, served, [served.bodies.row(ROW)], [{}]))
    log.close()
    assert "after" in {line["request_id"] for line in logged_requests.latest(home, "churn")}

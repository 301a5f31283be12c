"""What services were asked, held against what their model was validated on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from assets.features.snapshots import Snapshot
from assets.monitoring import champion_monitor, logged_requests, monitor_page, request_drift
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage import pseudonym_key
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import training
from bentos.prediction_log import Answered, PredictionLog
from bentos.runtime import Model
from bentos.served import Served
from orchestration.operations.verification.verify import verify
from tests.models import champion_of, promised, snapshot_of
from tests.shop import AT_RANDOM, COLUMNS, customers, product

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
Shop = tuple[Home, Snapshot, Entry, Served]


def spec_of() -> ProductSpec:
    """Customers without a time: there are no periods, only what services are asked."""
    features = product("churn").features.model_dump() | {"event_time": None}
    return product("churn", features=features, split=AT_RANDOM)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A champion, and its service's package."""
    home = Home(tmp_path / "home").prepare()
    snapshot = snapshot_of(home, spec_of(), customers())
    made = training.train(home, spec_of(), snapshot)
    model = Model.load(made.folder, made.digest)
    champion = replace(champion_of(model), snapshot_digest=snapshot.digest)
    return home, snapshot, champion, promised(home, model, tmp_path / "package")


def ask(
    shop: Shop,
    rows: pd.DataFrame,
    features: Sequence[str] = ("age", "plan", "visits"),
    *,
    answered: bool = False,
    named: str = "r",
) -> None:
    """Let a service log these rows, ten a request; with their answers, if they are to be `answered`."""
    home, _, champion, served = shop
    pseudonym_key.secret(home)
    log = PredictionLog(home.served / champion.product, 1.0, secret_file=pseudonym_key.file_of(home))
    given = rows[[*features]].astype(object).where(rows[[*features]].notna(), None)
    for number, start in enumerate(range(0, len(rows), 10)):
        several = [served.bodies.row(row) for row in given.iloc[start : start + 10].to_dict("records")]
        answers: Any = served.predict(several)[1] if answered else [{}] * len(several)
        log.hand(Answered(f"{named}{number}", START + timedelta(minutes=2 * number), served, several, answers))
    log.close()


@pytest.mark.parametrize(
    "plant", [lambda rows: rows, lambda rows: rows.assign(visits=rows["visits"] + 6)], ids=["like", "apart"]
)
def test_what_is_asked_is_held_against_the_validation_rows(shop: Shop, plant: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Other customers of the same kind raise nothing; with more visits, the feature and the outputs are named."""
    home, snapshot, champion, _ = shop
    rows = plant(customers(1500, seed=9))
    ask(shop, rows)
    record = champion_monitor.look(home, spec_of(), snapshot, champion)
    found = record["asked"]
    assert (found["rows"], found["requests"]) == (1500, 150)
    moved = {alarm["what"] for alarm in record["alarms"]}
    assert moved == ({"visits", "outputs"} if rows["visits"].min() >= 6 else set())
    assert {alarm["kind"] for alarm in record["alarms"]} <= {"asked"}
    if moved:
        assert found["data"]["visits"]["effect"] > 0.5 > found["data"]["age"]["effect"]
    assert set(found["data"]) == {"age", "plan", "visits"}


def test_a_feature_may_be_named_like_the_outputs(tmp_path: Path) -> None:
    """It is held against the validation rows beside them."""
    spec = spec_of()
    features = spec.features.model_dump()
    features["groups"]["all"]["outputs"] = features["groups"]["all"].pop("visits")
    columns = {("outputs" if name == "visits" else name): item for name, item in COLUMNS.items()}
    source = {"file": "customers.csv", "key": ["customer_id"], "columns": columns}
    spec = product("churn", features=features, source=source, split=AT_RANDOM)
    home, frame = Home(tmp_path / "home").prepare(), customers().rename(columns={"visits": "outputs"})
    snapshot = snapshot_of(home, spec, frame)
    made = training.train(home, spec, snapshot)
    model = Model.load(made.folder, made.digest)
    champion = replace(champion_of(model), snapshot_digest=snapshot.digest)
    shop = home, snapshot, champion, promised(home, model, tmp_path / "package")
    ask(shop, customers(1500, seed=9).rename(columns={"visits": "outputs"}), ["age", "plan", "outputs"])
    found = request_drift.look(home, spec, champion)
    assert found is not None
    assert set(found["data"]) == {"age", "plan", "outputs"}
    assert set(found["model"]) == {"outputs"}
    assert found["data"]["outputs"] != found["model"]["outputs"]


def test_days_that_are_over_become_parquet_and_nothing_that_is_read_of_them_changes(shop: Shop) -> None:
    """Not what was asked, nor its order, nor how far the log has come; a day that may be written to stays as it is."""
    home, _, champion, _ = shop
    ask(shop, customers(300, seed=9), answered=True)
    before = [
        list(logged_requests.latest(home, "churn", most=25)),
        list(logged_requests.latest(home, "churn", champion.model_digest)),
        request_drift.position(home, "churn"),
        logged_requests.extent(home, champion),
        request_drift.look(home, spec_of(), champion),
    ]
    assert logged_requests.archive(home, "churn", START + timedelta(days=1)) == []
    (file,) = logged_requests.archive(home, "churn", START + timedelta(days=2))
    assert sorted(path.name for path in file.parent.iterdir()) == [f"{START.date()}.parquet"]
    assert verify(home).problems == []
    assert before == [
        list(logged_requests.latest(home, "churn", most=25)),
        list(logged_requests.latest(home, "churn", champion.model_digest)),
        request_drift.position(home, "churn"),
        logged_requests.extent(home, champion),
        request_drift.look(home, spec_of(), champion),
    ]


def test_a_log_without_lines_of_the_champion_is_as_if_nobody_asked(shop: Shop) -> None:
    """Also where the record of its keys cannot be read, so that only the extent would be told."""
    home, _, champion, _ = shop
    ask(shop, customers(20, seed=9))
    (file,) = logged_requests.files(home, "churn")
    write_json(home.keys / "prediction_log" / "keys.json", {"keys": [{"key": "lost"}]})
    found = request_drift.look(home, spec_of(), champion)
    assert found is not None
    assert (found["rows"], found["alarms"]) == (20, [])
    assert "must hold the public keys" in found["not_judged"]
    assert logged_requests.extent(home, replace(champion, model_digest="0" * 64)) is None
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("delete from predictions")
    assert request_drift.look(home, spec_of(), champion) is None


def test_too_little_is_not_judged(shop: Shop) -> None:
    """It says why; nobody asked, and nothing is said."""
    home, snapshot, champion, _ = shop
    assert "asked" not in champion_monitor.look(home, spec_of(), snapshot, champion)
    ask(shop, customers(100, seed=9))
    assert "fewer than 200 rows" in champion_monitor.look(home, spec_of(), snapshot, champion)["asked"]["not_judged"]


def test_the_log_of_another_model_is_not_the_champions(shop: Shop) -> None:
    """After a promotion, what the former one was asked says nothing of the new one."""
    home, snapshot, champion, _ = shop
    ask(shop, customers(1500, seed=9))
    rows = champion_monitor.look(home, spec_of(), snapshot, champion)["asked"]["rows"]
    other = training.train(
        home, spec_of().model_copy(update={"model": spec_of().model.model_copy(update={"seed": 5})}), snapshot
    )
    assert rows == 1500
    assert other.digest != champion.model_digest
    assert "asked" not in champion_monitor.look(home, spec_of(), snapshot, replace(champion, model_digest=other.digest))


def test_the_log_s_position_moves_with_each_row_only(shop: Shop) -> None:
    """So what is watched is stale when something was asked, and only then."""
    home, *_ = shop
    assert request_drift.position(home, "churn") == ""
    ask(shop, customers(20, seed=9))
    before = request_drift.position(home, "churn")
    assert before == request_drift.position(home, "churn") != ""
    ask(shop, customers(30, seed=9))  # two requests are repeated, and one is new
    assert request_drift.position(home, "churn") != before


@pytest.mark.parametrize("moved", [False, True], ids=["like", "apart"])
def test_what_is_hashed_is_compared_and_what_is_dropped_is_told(shop: Shop, moved: bool) -> None:
    """A hashed category is held against hashed validation rows, the outputs are those answered; no value is in the log."""
    home, snapshot, champion, served = shop
    private = replace(served, promise={**served.promise, "privacy": {"plan": "hash", "age": "hash", "visits": "drop"}})
    rows = customers(1500, seed=9)
    if moved:
        rows["plan"] = "basic"
    ask((home, snapshot, champion, private), rows, answered=True)
    (file,) = (home.served / "churn").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        lines = connection.execute("select features, hidden from predictions").fetchall()
    assert {line[1] for line in lines} == {'{"age":"hash","plan":"hash","visits":"drop"}'}
    kept = [json.loads(line[0]) for line in lines]
    assert {tuple(row) for row in kept} == {("age", "plan")}
    assert len({row["plan"] for row in kept}) == rows["plan"].nunique()
    assert len({row["age"] for row in kept}) == rows["age"].nunique()
    assert all(value.startswith("hmac:") for row in kept for value in row.values())
    record = champion_monitor.look(home, spec_of(), snapshot, champion)
    assert ("plan" in {alarm["what"] for alarm in record["alarms"]}) is moved
    assert set(record["asked"]["data"]) == {"plan"}
    assert set(record["asked"]["not_compared"]) == {"age", "visits"}
    if not moved:
        assert record["alarms"] == []
    page = monitor_page.write(home, record, [])
    assert "visits is not compared: `privacy` drops it from the prediction log." in page.read_text()


def test_rows_logged_before_a_column_was_private_are_compared_with_those_after(shop: Shop) -> None:
    """Values in the clear are hashed where others are."""
    home, snapshot, champion, served = shop
    ask(shop, customers(800, seed=9), answered=True)
    private = replace(served, promise={**served.promise, "privacy": {"plan": "hash"}})
    ask((home, snapshot, champion, private), customers(800, seed=10), answered=True, named="later")
    record = champion_monitor.look(home, spec_of(), snapshot, champion)
    assert record["asked"]["rows"] == 1600
    assert set(record["asked"]["data"]) == {"age", "plan", "visits"}
    assert record["alarms"] == []


def test_without_the_key_what_should_be_hashed_is_dropped(shop: Shop, tmp_path: Path) -> None:
    """Nothing is kept in the clear, and the row says what was done."""
    _, _, _, served = shop
    private = replace(served, promise={**served.promise, "privacy": {"plan": "hash"}})
    log = PredictionLog(tmp_path / "log", 1.0, secret_file=tmp_path / "missing")
    log.hand(Answered("r", START, private, [private.bodies.row({"age": 30.0, "plan": "free"})], [{}]))
    log.close()
    (file,) = (tmp_path / "log").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select features, hidden from predictions").fetchall() == [
            ('{"age":30.0}', '{"plan":"drop"}')
        ]

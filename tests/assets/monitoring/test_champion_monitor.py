"""Monitoring: three kinds of planted drift are told apart, nothing planted raises nothing, and nobody sees the future."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError
from assets.features.snapshots import Snapshot
from assets.monitoring import champion_monitor, monitor_page, scored_rows
from assets.monitoring.monitoring_asset import watch_champion
from assets.monitoring.watching import EVIDENTLY, look_back, second_opinion
from assets.promotion import ledger
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from bentos.runtime import Model
from tests.models import champion_of, snapshot_of
from tests.shop import AT_RANDOM, customers, product
from tests.world import World

LATER = 0.7
"""From this share of the rows on, drift is planted: after the validation rows."""
SPLIT = {"by": "time", "train": 0.4, "validation": 0.3, "test": 0.3}
Planting = Callable[[pd.DataFrame, np.random.Generator], None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with models and snapshots."""
    return Home(tmp_path_factory.mktemp("monitoring") / "home").prepare()


def spec_of(name: str = "churn", **monitored_as: Any) -> ProductSpec:
    """The shop's product, watched."""
    return product(name, split=SPLIT, monitoring={"period": "month", **monitored_as})


@pytest.fixture(scope="module")
def shop(home: Home) -> tuple[Snapshot, Model]:
    """The shop's customers as they came, and the churn model that learnt from the first of them."""
    snapshot = snapshot_of(home, spec_of(), customers(6000))
    made = training.train(home, spec_of(), snapshot)
    return snapshot, Model.load(made.folder, made.digest)


def looked(home: Home, model: Model, plant: Planting, name: str = "churn", **monitored_as: Any) -> dict[str, Any]:
    """What is said when something was planted in the later rows."""
    frame, random = customers(6000), np.random.default_rng(1)
    later = frame.iloc[int(LATER * len(frame)) :].copy()
    plant(later, random)
    spec = spec_of(name, **monitored_as)
    snapshot = snapshot_of(home, spec, pd.concat([frame.iloc[: int(LATER * len(frame))], later]))
    return champion_monitor.look(home, spec, snapshot, champion_of(model))


def raised(record: dict[str, Any]) -> set[tuple[str, str]]:
    """All alarms of all periods, by kind and what."""
    return {(alarm["kind"], alarm["what"]) for period in record["periods"] for alarm in period["alarms"]}


def judged(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The periods that hold enough rows."""
    return [period for period in record["periods"] if "drift" in period]


def nothing(rows: pd.DataFrame, random: np.random.Generator) -> None:
    """The rows as they came."""


def older(rows: pd.DataFrame, random: np.random.Generator) -> None:
    """Another mix of visits; who leaves at which number of visits is as before."""
    rows["visits"] = random.poisson(7, len(rows)).astype(float)
    strength = 1.5 * (rows["plan"] == "free") + 0.5 * rows["visits"] - 2.5
    rows["churned"] = np.where(random.random(len(rows)) < 1 / (1 + np.exp(-strength)), "yes", "no")


def turned(rows: pd.DataFrame, random: np.random.Generator) -> None:
    """The same customers; those of the free plan now stay, those of the others leave."""
    strength = 1.5 * (rows["plan"] != "free") + 0.5 * rows["visits"].fillna(4) - 2.5
    rows["churned"] = np.where(random.random(len(rows)) < 1 / (1 + np.exp(-strength)), "yes", "no")


def test_nothing_planted_raises_nothing(home: Home, shop: tuple[Snapshot, Model]) -> None:
    """Four months, three features, three kinds."""
    record = looked(home, shop[1], nothing)
    assert len(record["periods"]) >= 3
    assert raised(record) == set()
    before = record["reference"]["metrics"]["roc_auc"]
    assert all(period["realised"]["roc_auc"]["low"] < before["high"] for period in judged(record))


def test_another_mix_of_rows_is_data_drift_and_no_concept_drift(home: Home, shop: tuple[Snapshot, Model]) -> None:
    """The feature is named; the outputs follow it; what comes at like values is what it was."""
    found = raised(looked(home, shop[1], older))
    assert ("data", "visits") in found
    assert ("data", "age") not in found
    assert ("model", "outputs") in found
    assert not {what for kind, what in found if kind == "concept"}


def test_another_relation_is_concept_drift_and_no_data_drift(home: Home, shop: tuple[Snapshot, Model]) -> None:
    """The feature whose meaning turned is named, quality falls, and its cost is told; the estimate cannot know."""
    record = looked(home, shop[1], turned)
    found = raised(record)
    assert ("concept", "plan") in found
    assert ("quality", "roc_auc") in found
    assert not {what for kind, what in found if kind == "data"}
    assert ("model", "outputs") not in found
    last = record["periods"][-1]
    assert last["expected"]["roc_auc"]["low"] > last["realised"]["roc_auc"]["high"]
    assert record["foretold"]["roc_auc"]["mean_absolute_error"] > 0.1
    (alarm,) = [alarm for alarm in last["alarms"] if alarm["kind"] == "quality"]
    assert "units against the reference" in alarm["told"]
    assert alarm["cost"] > 0


def test_other_answers_to_the_same_rows_are_model_drift_alone(home: Home, shop: tuple[Snapshot, Model]) -> None:
    """What answered is not the champion: features and relation are as before."""
    snapshot, model = shop
    rows = scored_rows.Monitored.load(home, spec_of(), snapshot, model.digest)
    later = rows.rows(rows.later)
    served = rows.outputs.copy()
    served[later] = served[later] ** 2
    record = champion_monitor.look_at(replace(rows, served=served))
    found = raised(record)
    assert {("model", "outputs"), ("model", "calibration")} <= found
    assert not {what for kind, what in found if kind in ("data", "concept")}


@pytest.mark.parametrize("name", ["tier", "spend"])
def test_other_kinds_of_target_are_watched_too(home: Home, name: str) -> None:
    """Several classes and values: expected and realised, and no alarm where nothing was planted."""
    spec = spec_of(name)
    snapshot = snapshot_of(home, spec, customers(6000))
    made = training.train(home, spec, snapshot)
    record = champion_monitor.look(home, spec, snapshot, champion_of(Model.load(made.folder, made.digest)))
    assert raised(record) == set()
    for period in judged(record):
        assert spec.metric in period["realised"]
        assert spec.metric in period["expected"]
    assert record["foretold"][spec.metric]["share_inside"] >= 0.5


def test_nobody_sees_the_future(home: Home, shop: tuple[Snapshot, Model]) -> None:
    """What is said as of a moment is the same, to the last figure, when later rows are altered."""
    snapshot, model = shop
    moment = pd.Timestamp("2024-09-10").to_pydatetime()
    frame = customers(6000)
    altered = frame.copy()
    altered.loc[frame["signed_up_at"] > moment, ["age", "plan", "churned"]] = [99, "pro", "yes"]
    told = [
        champion_monitor.look(home, spec_of(), given, champion_of(model), moment)
        for given in (snapshot, snapshot_of(home, spec_of(), altered))
    ]
    for record in told:
        record.pop("snapshot_digest")
    assert json.dumps(told[0]) == json.dumps(told[1])
    assert told[0]["periods"][-1]["to"] == "2024-09-09"


def test_an_alarm_stands_after_as_many_periods_as_declared(home: Home, shop: tuple[Snapshot, Model]) -> None:
    """In the first period it is raised; in the second it stands."""
    record = looked(home, shop[1], turned, debounce=2)
    standing = [
        any(alarm["stands"] for alarm in period["alarms"] if (alarm["kind"], alarm["what"]) == ("concept", "plan"))
        for period in judged(record)
    ]
    assert len(standing) >= 3
    assert standing == [False, *[True] * (len(standing) - 1)]


def test_ignored_features_raise_no_alarm_and_are_shown(home: Home, shop: tuple[Snapshot, Model]) -> None:
    """Their figures are in the record."""
    record = looked(home, shop[1], older, drift={"ignore": ["visits"]})
    assert ("data", "visits") not in raised(record)
    moved = record["periods"][-1]["drift"]["data"]["visits"]
    assert moved["effect"] > moved["floor"]


def test_few_rows_are_not_judged_and_lost_rows_are_an_alarm(home: Home, shop: tuple[Snapshot, Model]) -> None:
    """Three of four customers are gone."""
    frame = customers(6000)
    kept = frame[(frame.index < LATER * len(frame)) | (frame.index % 4 == 0)]
    spec = spec_of(min_rows=20)
    record = champion_monitor.look(home, spec, snapshot_of(home, spec, kept), champion_of(shop[1]))
    assert ("volume", "rows") in raised(record)
    record = champion_monitor.look(home, spec_of(min_rows=100_000), snapshot_of(home, spec, kept), champion_of(shop[1]))
    assert all("not_judged" in period for period in record["periods"])


def test_rows_of_a_few_days_are_watched_row_by_row(home: Home) -> None:
    """A date for each quarter: drift cannot be judged, and a figure's interval is that of its rows, not of one day."""
    frame = customers(6000)
    quarters = pd.to_datetime(frame["signed_up_at"]).dt.to_period("Q").dt.start_time
    spec = spec_of()
    snapshot = snapshot_of(home, spec, frame.assign(signed_up_at=quarters))
    made = training.train(home, spec, snapshot)
    record = champion_monitor.look(home, spec, snapshot, champion_of(Model.load(made.folder, made.digest)))
    last = record["periods"][-1]
    assert not last["drift"]["data"]
    assert last["realised"]["roc_auc"]["low"] < last["realised"]["roc_auc"]["value"] < last["realised"]["roc_auc"]["high"]
    assert "Drift is not judged" in monitor_page.write(home, record, []).read_text()


def test_rows_without_time_are_not_watched_and_it_is_said(home: Home) -> None:
    """There are no periods."""
    features = {"entity": "customer_id", "groups": {"all": {"age": {}, "plan": {}, "visits": {"max_missing": 0.3}}}}
    spec = product("churn", features=features, split=AT_RANDOM)
    snapshot = snapshot_of(home, spec, customers())
    made = training.train(home, spec, snapshot)
    record = champion_monitor.look(home, spec, snapshot, champion_of(Model.load(made.folder, made.digest)))
    assert "no event_time" in record["not_watched"]


def test_rows_that_were_drawn_at_random_are_not_watched_and_it_is_said(home: Home) -> None:
    """They have times, but none is later than those that were learnt; a declaration that changed since is told, too."""
    spec = product("churn", split=AT_RANDOM)
    snapshot = snapshot_of(home, spec, customers())
    made = training.train(home, spec, snapshot)
    champion = champion_of(Model.load(made.folder, made.digest))
    record = champion_monitor.look(home, spec, snapshot, champion)
    assert "its split is random" in record["not_watched"]
    assert monitor_page.write(home, record, []).exists()
    with pytest.raises(DataError, match="drawn at random, so no period is later"):
        champion_monitor.look(home, product("churn"), snapshot, champion)


def test_the_asset_publishes_record_page_and_a_warning(ran: Home, ran_copy: Home, world: World) -> None:
    """In the small world's run; the page needs nothing but itself."""
    record = champion_monitor.recorded(ran, "flight_delay")
    champion = ledger.standing(ran, "flight_delay").champion
    assert record is not None
    assert champion is not None
    assert record["model_digest"] == champion.model_digest
    page = (ran.monitoring / "flight_delay" / "monitor.html").read_text()
    assert "flight_delay: monitor" in page
    assert record["periods"][0]["name"] in page
    assert not re.search(r"(src|href)=.http", page)
    made = watch_champion(ran_copy, world.product)
    (check,) = made.checks
    assert check.passed is (not record["alarms"])
    assert check.warns
    earlier = look_back(ran_copy, world.product, pd.Timestamp(record["as_of"]).to_pydatetime())
    assert earlier == record


@pytest.mark.skipif(EVIDENTLY.exists(), reason="it is set up")
def test_a_second_opinion_that_is_not_set_up_says_how(ran: Home, world: World) -> None:
    """It has an environment of its own."""
    with pytest.raises(DataError, match="Run `make evidently`"):
        second_opinion(ran, world.product)


@pytest.mark.skipif(not EVIDENTLY.exists(), reason="make evidently")
def test_evidently_gives_a_second_opinion(ran_copy: Home, world: World) -> None:
    """A page of the last period against the reference."""
    assert "temperature_fahrenheit" in second_opinion(ran_copy, world.product).read_text()


def test_labels_count_from_the_moment_they_were_known(home: Home, shop: tuple[Snapshot, Model], tmp_path: Path) -> None:
    """A label that arrives a month later is none until then."""
    frame = customers(6000).assign(known=lambda rows: rows["signed_up_at"] + pd.Timedelta(days=30))
    columns = {name: dict(item) for name, item in product("churn").model_dump()["source"]["columns"].items()}
    columns["known"] = {"type": "timestamp"}
    declared = product("churn").model_dump()
    spec = ProductSpec.model_validate(
        {
            **declared,
            "split": SPLIT,
            "source": {**declared["source"], "columns": columns},
            "target": {**declared["target"], "known_at": "known"},
        }
    )
    snapshot = snapshot_of(home, spec, frame)
    moment = pd.Timestamp("2024-09-20")
    rows = scored_rows.Monitored.load(home, spec, snapshot, shop[1].digest, moment.to_pydatetime())
    with duckdb.connect() as connection:
        known = connection.execute(f"select count(*) from '{snapshot.path}' where known <= '{moment}'").fetchone()
    assert known is not None
    assert (~np.isnan(rows.labels)).sum() == known[0]

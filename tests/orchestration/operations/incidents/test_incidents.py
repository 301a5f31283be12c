"""Incidents: an alarm opens one, is added to it, and a search names what was planted; a word closes it for good."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError, DigestError, IncidentError
from assets.features.snapshot_origin import origin
from assets.features.snapshots import Snapshot
from assets.incidents import incident_log
from assets.incidents.incident_log import PAGE, folder
from assets.monitoring import champion_monitor
from assets.promotion import ledger
from assets.promotion.ledger_state import Decision
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import training
from orchestration.operations.incidents import incidents, root_cause
from orchestration.operations.verification.verify import verify
from tests.models import snapshot_of
from tests.shop import customers, product

SPLIT = {"by": "time", "train": 0.4, "validation": 0.3, "test": 0.3}
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def current(home: Home, spec: ProductSpec, frame: pd.DataFrame, files: list[str]) -> Snapshot:
    """Rows as the current snapshot, with what it was made of."""
    made = snapshot_of(home, spec, frame)
    write_json(origin(home, spec.name, made.digest), {"landed": {"churn.data": files}, "versions": {}})
    write_json(home.snapshots / spec.name / "current.json", {"digest": made.digest, "rows": made.rows})
    return made


@pytest.fixture(scope="module")
def spec() -> ProductSpec:
    """The shop's product, watched by month."""
    return product("churn", split=SPLIT, monitoring={"period": "month"})


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, spec: ProductSpec) -> Home:
    """A champion, and a later month in which visits come as their complement, as the monitoring saw it."""
    home = Home(tmp_path_factory.mktemp("incidents") / "home").prepare()
    frame = customers(9000)
    first = current(home, spec, frame, ["a"])
    model = training.train(home, spec, first)
    ledger.promote(home, spec.name, Decision(1, model.digest, first.digest, "gate", "better"), instead_of=None)
    fresh = customers(9000, seed=1)
    moved = fresh["signed_up_at"] + pd.Timedelta(days=300)
    later = fresh.assign(customer_id=fresh["customer_id"].str.replace("C", "D"), signed_up_at=moved).iloc[:2500]
    broken = later.assign(visits=np.where(later["visits"].isna(), np.nan, (12 - later["visits"]).clip(lower=0)))
    second = current(home, spec, pd.concat([frame, broken]), ["a", "b"])
    champion_monitor.monitor(home, spec, second, ledger.require_champion(home, spec.name))
    return home


def test_an_alarm_opens_one_incident_and_the_same_look_adds_nothing(watched: Home, spec: ProductSpec) -> None:
    """With what changed before it, and suspects by rank."""
    (opened,) = incidents.watch(watched, [spec.name], now=NOW)
    assert (opened.name, opened.is_open, opened.opened_at) == ("churn-1", True, "2026-11-01T12:00:00+00:00")
    event = opened.events[0]
    assert {"visits"} <= {item["what"] for item in event["alarms"]}
    assert {item["kind"] for item in event["changes"]} == {"decision", "data"}
    assert event["suspects"][0]["kind"] == "feature"
    assert event["suspects"][0]["what"] == "visits"
    assert incidents.watch(watched, [spec.name]) == []
    assert [item.name for item in incident_log.incidents(watched)] == ["churn-1"]
    page = (folder(watched, "churn-1") / PAGE).read_text(encoding="utf-8")
    assert "1 landed files are new" in page
    assert "Not searched for." in page


def test_a_search_names_the_column_and_is_kept(watched: Home, spec: ProductSpec) -> None:
    """In the record and on the page; the files are as they were published."""
    found = incidents.search(watched, spec, "churn-1", "tester")
    assert found.root_cause is not None
    (guilty,) = found.root_cause["guilty"]
    assert (guilty["kind"], guilty["columns"]) == ("features", ["visits"])
    assert found.events[-1]["by"] == "tester"
    assert found.events[-1]["told"].startswith("features: all (visits). visits: its values are")
    assert "visits" in found.root_cause["suspects"][0]["columns"]
    assert set(found.root_cause["shares"]) == {"all"}
    assert "guilty" in (folder(watched, "churn-1") / PAGE).read_text(encoding="utf-8")
    assert [item for item in verify(watched).problems if item.file.startswith("incidents/")] == []


def test_another_snapshot_of_the_same_rows_is_held_against_it(watched: Home, spec: ProductSpec, tmp_path: Path) -> None:
    """Where no landed file was replaced, it was the code."""
    home = Home(shutil.copytree(watched.root, tmp_path / "home"))
    rows = customers(9000)
    last = rows["signed_up_at"] >= rows["signed_up_at"].max() - pd.Timedelta(days=60)
    current(home, spec, rows.assign(visits=np.where(last, 0.0, rows["visits"])), ["a", "b"])
    days = {"now": ("2024-09-05", "2024-10-20"), "reference": ("2024-07-01", "2024-08-20")}
    found = root_cause.find(home, spec, **days)
    (guilty, *_) = found["guilty"]
    assert (guilty["kind"], guilty["columns"]) == ("version", ["visits"])
    assert guilty["told"] == "no landed file was replaced since: the code that makes features is another"
    assert root_cause.told(found)[1].startswith("version: snapshot ")


def test_what_cannot_be_searched_is_one_sentence(watched: Home, spec: ProductSpec, home: Home) -> None:
    """Days without rows, a metric that there is not, days too few, an incident that there is not."""
    with pytest.raises(DataError, match="churn: there is no metric 'speed'. There are: roc_auc"):
        root_cause.find(watched, spec, metric="speed")
    with pytest.raises(DataError, match="the period 'now', 2024-09-01 to 2024-09-03, has labelled rows of 3 days"):
        root_cause.find(watched, spec, now=("2024-09-01", "2024-09-03"))
    with pytest.raises(IncidentError, match="there is no incident 'churn-7'. There are: churn-1"):
        incidents.search(watched, spec, "churn-7", "tester")
    with pytest.raises(DataError, match="its split is random"):
        root_cause.find(home, product("churn", split={"by": "random", "train": 0.6, "validation": 0.2, "test": 0.2}))


def test_a_word_closes_it_and_the_same_alarm_does_not_open_it_again(watched: Home, spec: ProductSpec) -> None:
    """A closed incident takes no event; another failure opens the next one."""
    with pytest.raises(IncidentError, match="is not closed without a word"):
        incidents.close(watched, "churn-1", "tester", "  ")
    assert not incidents.close(watched, "churn-1", "tester", "visits were mirrored").is_open
    assert incidents.watch(watched, [spec.name]) == []
    with pytest.raises(IncidentError, match="incident 'churn-1' was closed: visits were mirrored"):
        incidents.close(watched, "churn-1", "tester", "again")
    with pytest.raises(IncidentError, match="incident 'churn-1' was closed"):  # before it is asked what to search for
        incidents.search(watched, spec, "churn-1", "tester", metric="speed")
    (failed,) = incidents.watch(watched, [spec.name], ["churn__model: no rows\nat all"], NOW)
    assert (failed.name, failed.told) == ("churn-2", "churn__model failed: no rows")
    (again,) = incidents.watch(watched, [spec.name], ["churn__model: no rows\nat all"])
    assert [item["event"] for item in again.events] == ["opened", "raised"]
    assert json.loads((folder(watched, "churn-2") / "record.json").read_text(encoding="utf-8"))["subject"] == "churn"


def test_a_source_that_fails_has_an_incident_of_its_own(home: Home) -> None:
    """Named for the source, not for its table."""
    (found,) = incidents.watch(home, [], ["landing__flights__weather: the file is missing"])
    assert (found.name, found.subject) == ("flights-1", "flights")


def seen(home: Home, product: str, alarms: list[dict[str, object]]) -> None:
    """What the monitoring said of a product last."""
    record = {"model_digest": "m", "snapshot_digest": "s", "alarms": alarms, "periods": [{"name": "2024-10"}]}
    write_json(home.monitoring / product / "seen.json", record)
    write_json(home.monitoring / product / "current.json", {"file": "seen.json"})


ALARM: dict[str, object] = {"kind": "data", "what": "visits", "told": "visits moved", "effect": 0.4, "floor": 0.1}


def test_that_no_alarm_stands_is_said_once(home: Home) -> None:
    """Whatever people do about the incident afterwards; and again only after another alarm."""
    events = []
    for alarms in ([ALARM], [], [], [ALARM, ALARM], []):
        seen(home, "churn", alarms)
        incidents.watch(home, ["churn"], now=NOW)
        events = [
            item["event"] for item in incident_log.add(home, "churn-1", "root_cause", by="ann", told="-", found={}).events
        ]
    told = [event for event in events if event != incident_log.ROOT_CAUSE]
    assert told == ["opened", "quiet", "raised", "quiet"]


@pytest.mark.parametrize("event", [incident_log.QUIET, incident_log.CLOSED])
def test_that_no_alarm_stands_is_not_said_after_another_process(
    home: Home, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which said it, or closed the incident, while this one waited for the lock."""
    seen(home, "churn", [ALARM])
    incidents.watch(home, ["churn"], now=NOW)
    seen(home, "churn", [])
    alone = incident_log._alone

    def after_another(place: Home) -> Any:
        monkeypatch.setattr(incident_log, "_alone", alone)
        incident_log.add(place, "churn-1", event, by="ann", told="-")
        return alone(place)

    monkeypatch.setattr(incident_log, "_alone", after_another)
    assert incidents.watch(home, ["churn"], now=NOW) == []
    assert [item["event"] for item in incident_log.incident(home, "churn-1").events] == ["opened", event]


def test_a_product_that_cannot_be_looked_at_hides_no_other(home: Home) -> None:
    """Its error is raised once the others' alarms are recorded."""
    ledger.promote(home, "churn", Decision(1, "m", "s", "gate", "better"), instead_of=None)  # its snapshot is gone
    for name in ("churn", "tier"):
        seen(home, name, [ALARM])
    with pytest.raises(DigestError, match="churn: no snapshot is published"):
        incidents.watch(home, ["churn", "tier"], ["landing__flights__weather: the file is missing"])
    assert {item.name for item in incident_log.incidents(home)} == {"tier-1", "flights-1"}
    assert all((folder(home, item.name) / PAGE).exists() for item in incident_log.incidents(home))

"""Triggers: what happened is decided once, whatever is repeated, interrupted or missed; real ticks on a real instance."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.features import snapshots
from assets.incidents import incident_log
from assets.monitoring import retraining_decisions, retraining_triggers
from assets.monitoring.retraining_triggers import Event
from assets.promotion import ledger, registered_versions
from assets.promotion.gate_rules import rules_of
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json
from orchestration import resources
from orchestration.operations.incidents import incidents
from orchestration.staleness.kept import KEPT
from orchestration.staleness.run_loop import QUIET, RunFailedError, run
from orchestration.staleness.run_tags import BY_HAND, LAUNCHER, REASON, RUN_KEY, TRIGGER
from orchestration.staleness.waves import trained
from tests.shop import customers, definitions, product, run_products

NOW = datetime(2024, 6, 3, 12, 0, tzinfo=UTC)
ROWS = 4000


def churn(*on: str, **rule: Any) -> ProductSpec:
    """The product, trained anew on these triggers."""
    return product(
        "churn",
        promotion={"min_saving": -10_000.0},
        baseline={"by": {"age": 10}},
        # by validation rows, as of a large table: what comes after them is watched
        evaluation={"cross_fitted_below": 0},
        retrain={"triggers": list(on), "cooldown_days": 0, "min_new_labels": 100, **rule},
    )


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    """A home in which the product was run once, and the folder of its file; do not change them."""
    folder = tmp_path_factory.mktemp("triggers")
    customers(ROWS).iloc[:3000].to_csv(folder / "customers.csv", index=False)
    home = Home(folder / "home")
    run_products(home, folder, churn("new_data"))
    return home, folder


@pytest.fixture
def shop(ran_once: tuple[Home, Path], tmp_path: Path) -> tuple[Home, Path]:
    """A copy, to be changed."""
    home, folder = ran_once
    shutil.copytree(folder, tmp_path / "shop")
    assert home.root.name == "home"
    return Home(tmp_path / "shop" / "home"), tmp_path / "shop"


class Ticks:
    """The product's schedule and sensor, ticked by hand on a real instance."""

    def __init__(self, home: Home, folder: Path, spec: ProductSpec, instance: dg.DagsterInstance) -> None:
        self.home, self.spec, self.instance = home, spec, instance
        self.definitions = definitions(home, folder, spec)
        self.graph: Any = self.definitions.resolve_asset_graph()

    def sensor(self) -> Any:
        """One tick of the sensor."""
        given = {"home": self.home, "graph": self.definitions.resources["graph"]}
        with dg.build_sensor_context(instance=self.instance, resources=given) as context:
            return _answer(self.definitions.resolve_sensor_def("churn_retraining").evaluate_tick(context))

    def schedule(self) -> Any:
        """One tick of the schedule."""
        given = {"home": self.home, "graph": self.definitions.resources["graph"]}
        with dg.build_schedule_context(instance=self.instance, resources=given) as context:
            return _answer(self.definitions.resolve_schedule_def("churn_schedule").evaluate_tick(context))

    def loop(self) -> Any:
        """One tick of the sensor of the whole loop."""
        given = {"home": self.home, "graph": self.definitions.resources["graph"]}
        with dg.build_sensor_context(instance=self.instance, resources=given) as context:
            return _answer(self.definitions.resolve_sensor_def("loopline_loop").evaluate_tick(context))

    def incidents(self, since: str | None) -> tuple[str, str | None]:
        """One tick of the sensor that opens incidents, from a cursor: what it says, and the next cursor."""
        given = {"home": self.home, "graph": self.definitions.resources["graph"]}
        with dg.build_sensor_context(instance=self.instance, resources=given, cursor=since) as context:
            tick = self.definitions.resolve_sensor_def("loopline_incidents").evaluate_tick(context)
            return str(tick.skip_message), tick.cursor

    def launch(self, request: dg.RunRequest, *, fails: bool = False) -> Any:
        """Run what was requested, as the daemon would."""
        key = {} if request.run_key is None else {RUN_KEY: request.run_key}
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=request.asset_selection,
            tags={**request.tags, **key},
            raise_on_error=not fails,
            run_config=QUIET,
        )

    def watch(self) -> None:
        """Let the schedule publish what came, without training."""
        request = self.schedule()
        assert isinstance(request, dg.RunRequest)
        self.launch(request)


@pytest.fixture
def ticks(shop: tuple[Home, Path]) -> Iterator[Ticks]:
    """Ticks of the product that trains on new data."""
    home, folder = shop
    with resources.instance(home) as instance:
        yield Ticks(home, folder, churn("new_data"), instance)


def _answer(tick: Any) -> Any:
    """The one run that a tick asks for, or why it asks for none."""
    return tick.run_requests[0] if tick.run_requests else dg.SkipReason(tick.skip_message)


def more_rows(folder: Path, rows: int = ROWS) -> None:
    """More customers came."""
    customers(ROWS).iloc[:rows].to_csv(folder / "customers.csv", index=False)


def test_the_schedule_publishes_and_watches_and_leaves_training_to_triggers(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """A new snapshot, new predictions, a new look; the same model."""
    home, folder = shop
    before = snapshots.current(home, "churn")
    assert isinstance(ticks.schedule(), dg.SkipReason)
    more_rows(folder)
    ticks.watch()
    assert snapshots.current(home, "churn") != before
    assert read_json(home.models / "churn" / "current.json")["snapshot_digest"] == before.digest
    assert isinstance(ticks.schedule(), dg.SkipReason)


def test_the_loop_is_asked_for_once_and_leaves_training_to_triggers(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """The same change has the same run key; a run that is going on, or that was cancelled, is waited for or told."""
    home, folder = shop
    assert ticks.loop().skip_message == "nothing changed"
    more_rows(folder)
    with exclusive(home.run_lock):
        assert "`loopline run` is going on" in str(ticks.loop().skip_message)
    first, again = ticks.loop(), ticks.loop()
    assert first.run_key == again.run_key
    assert not {dg.AssetKey(["churn", name]) for name in trained()} & set(first.asset_selection)
    job, tags = ticks.definitions.resolve_implicit_global_asset_job_def(), {RUN_KEY: first.run_key}
    going = ticks.instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, asset_selection=frozenset(first.asset_selection), tags=tags
    )
    assert str(ticks.loop().skip_message).startswith(f"a run is going on: {going.run_id[:8]} (started)")
    ticks.instance.report_run_canceled(going)
    assert "ended as canceled and made nothing, and nothing changed since" in str(ticks.loop().skip_message)
    more_rows(folder, ROWS - 1)
    later = ticks.loop()
    assert later.run_key != first.run_key
    assert ticks.launch(later).success
    assert ticks.loop().skip_message == "nothing changed"


def test_what_services_were_asked_alone_starts_no_run(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """It changes all the time; the schedule looks at it. With a change beside it, the loop does."""
    home, folder = shop
    log = home.served / "churn" / "2024-06-03.sqlite"
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(log)) as connection:
        connection.execute("create table predictions (answer text)")
        connection.execute("insert into predictions values ('yes')")
        connection.commit()
    assert str(ticks.loop().skip_message).startswith("nothing changed but what services were asked")
    assert dg.AssetKey(["churn", "monitoring"]) in ticks.schedule().asset_selection
    more_rows(folder)
    assert isinstance(ticks.loop(), dg.RunRequest)


def test_before_anybody_serves_the_loop_trains_and_the_triggers_wait(shop: tuple[Home, Path]) -> None:
    """On an empty home: nothing is there that an alarm could be of."""
    _, folder = shop
    empty = Home(folder / "empty").prepare()
    with resources.instance(empty) as instance:
        ticks = Ticks(empty, folder, churn("new_data", "drift"), instance)
        assert str(ticks.sensor().skip_message).startswith("nobody serves churn yet")
        assert dg.AssetKey(["churn", "model"]) in ticks.loop().asset_selection


def test_a_dead_run_of_the_command_line_holds_nothing_up(ticks: Ticks) -> None:
    """Its lock is free, so its process is gone."""
    own = frozenset({dg.AssetKey(["churn", "model"])})
    dead = ticks.instance.create_run_for_job(
        ticks.definitions.resolve_job_def("churn"),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=own,
        tags={LAUNCHER: BY_HAND},
    )
    assert ticks.loop().skip_message == "nothing changed"
    assert ticks.instance.get_run_by_id(dead.run_id).status is dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]


def test_what_failed_is_asked_for_again_once_its_inputs_changed(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """And not before, however often the sensor ticks; its message is told."""
    _, folder = shop
    good = (folder / "customers.csv").read_text()
    (folder / "customers.csv").write_text(good.replace("visits", "visitors", 1))
    request = ticks.loop()
    assert not ticks.launch(request, fails=True).success
    for _ in range(2):
        told = str(ticks.loop().skip_message)
        assert told.startswith(
            "failed when last tried, and nothing changed since (`loopline run` tries again): landing/churn/data"
        )
        assert "lacks ['visits'] and has undeclared ['visitors']" in told
    more_rows(folder)
    mended = ticks.loop()
    assert mended.run_key != request.run_key
    assert ticks.launch(mended).success
    assert ticks.loop().skip_message == "nothing changed"


def test_a_file_that_comes_after_the_definitions_were_loaded_is_seen(shop: tuple[Home, Path]) -> None:
    """The daemon loads them once; the landing failed without the file, and is asked for again when it is there."""
    home, folder = shop
    text = (folder / "customers.csv").read_text()
    (folder / "customers.csv").unlink()
    with resources.instance(home) as instance:
        ticks = Ticks(home, folder, churn(), instance)
        assert not ticks.launch(ticks.loop(), fails=True).success
        assert "customers.csv is missing. Put it there" in str(ticks.loop().skip_message)
        (folder / "customers.csv").write_text(text.replace("C00000", "C99999", 1))
        assert dg.AssetKey(["landing", "churn", "data"]) in ticks.loop().asset_selection


def test_a_step_whose_inputs_turn_out_unchanged_keeps_what_it_made(shop: tuple[Home, Path]) -> None:
    """A bad row more is another landing and the same snapshot: the run goes to the end, and nothing is trained or judged."""
    home, folder = shop
    with resources.instance(home) as instance:
        ticks = Ticks(home, folder, churn(), instance)
        model = read_json(home.models / "churn" / "current.json")
        trained_at = (home.models / "churn" / "current.json").stat().st_mtime_ns
        with (folder / "customers.csv").open("a") as stream:
            stream.write("C99999,2024-05-01 00:00:00,1,500,free,1.0,yes,gold,1.0\n")
        request = ticks.loop()
        assert dg.AssetKey(["churn", "model"]) in request.asset_selection
        done = ticks.launch(request)
        kept = {
            key.path[-1]
            for key in request.asset_selection
            if (made := instance.get_latest_materialization_event(key))
            and made.asset_materialization
            and KEPT in made.asset_materialization.metadata
        }
        assert {"model", "evaluation", "verdict", "champion", "parity", "monitoring"} <= kept
        assert not {"data", "snapshot"} & kept
        assert {item.check_name for item in done.get_asset_check_evaluations()} >= set(rules_of(ticks.spec)), (
            "checks are repeated"
        )
        assert read_json(home.models / "churn" / "current.json") == model
        assert (home.models / "churn" / "current.json").stat().st_mtime_ns == trained_at
        assert ticks.loop().skip_message == "nothing changed"


def test_the_same_news_twice_starts_one_training_which_carries_its_reason(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """From the event through the run's tags to the registered version and the ledger; it goes through the gate."""
    home, folder = shop
    assert isinstance(ticks.sensor(), dg.SkipReason)
    more_rows(folder)
    ticks.watch()
    first, again = ticks.sensor(), ticks.sensor()
    assert isinstance(first, dg.RunRequest)
    assert first.run_key == again.run_key, "it was not launched yet, so it is asked for again, by the same key"
    assert ticks.launch(first).success
    last = ticks.sensor()
    assert isinstance(last, dg.SkipReason)
    assert [item.outcome for item in retraining_decisions.decisions(home, "churn")] == ["requested"]
    assert first.tags[REASON].startswith("new data: snapshot ")
    version = registered_versions.version(home, "churn", 2)
    assert version.trained_because == first.tags[REASON]
    entry = ledger.standing(home, "churn").entries[-1]
    assert (entry.version, entry.event in ("promotion", "refusal")) == (2, True)
    assert f"Trained because of {first.tags[REASON]}" in entry.reason


def test_what_happens_during_a_run_is_decided_after_it(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """The sensor waits for a run of the product, and loses nothing."""
    more_rows(shop[1])
    ticks.watch()
    going = ticks.instance.create_run_for_job(
        ticks.definitions.resolve_job_def("churn"), status=dg.DagsterRunStatus.STARTED, asset_selection=frozenset()
    )
    waiting = ticks.sensor()
    assert isinstance(waiting, dg.RunRequest), "that run changes nothing of the product"
    ticks.instance.delete_run(going.run_id)
    own = frozenset({dg.AssetKey(["churn", "model"])})
    going = ticks.instance.create_run_for_job(
        ticks.definitions.resolve_job_def("churn"), status=dg.DagsterRunStatus.STARTED, asset_selection=own
    )
    assert "a run is going on" in str(ticks.sensor().skip_message)
    ticks.instance.report_run_failed(going)
    assert isinstance(ticks.sensor(), dg.RunRequest)


def test_a_crash_between_decision_and_request_loses_nothing_and_doubles_nothing(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """The decision is recorded, nothing was started: the next tick asks for it, once."""
    home, folder = shop
    more_rows(folder)
    ticks.watch()
    now = datetime.now(UTC)
    (decision,) = retraining_decisions.decide(
        home, ticks.spec, retraining_triggers.events(home, ticks.spec, now), now, something_new=True
    )
    request = ticks.sensor()
    assert request.run_key == decision.event
    ticks.launch(request)
    assert isinstance(ticks.sensor(), dg.SkipReason)
    assert len(retraining_decisions.decisions(home, "churn")) == 1


def test_a_run_that_fails_opens_one_incident(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """Of the step that failed, once, also if its tick is repeated; that of `loopline run` is left to it."""
    home, folder = shop
    told, first = ticks.incidents(None)
    assert told == "nothing was raised"
    good = (folder / "customers.csv").read_text()
    (folder / "customers.csv").write_text(good.replace("visits", "visitors", 1))
    assert not ticks.launch(ticks.loop(), fails=True).success
    told, second = ticks.incidents(first)
    assert told.startswith("incident churn-1 (opened): landing__churn__data failed: ")
    assert "lacks ['visits'] and has undeclared ['visitors']" in told
    for cursor in (first, second):
        assert ticks.incidents(cursor)[0] == "nothing was raised"
    landing = {dg.AssetKey(["landing", "churn", "data"])}
    with pytest.raises(RunFailedError):
        run(ticks.definitions, ticks.instance, home, keys=landing)
    assert ticks.incidents(second)[0] == "nothing was raised"
    (opened,) = incident_log.incidents(home)
    assert (opened.name, len(opened.events), opened.events[0]["failed"]) == ("churn-1", 1, "landing__churn__data")


def test_a_run_that_ended_without_a_step_is_told_too(ticks: Ticks) -> None:
    """A process that was killed says nothing of its steps."""
    _, first = ticks.incidents(None)
    job = ticks.definitions.resolve_job_def("churn")
    dead = ticks.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    ticks.instance.report_run_failed(dead)
    told, _ = ticks.incidents(first)
    assert told == f"incident run-1 (opened): run failed: {dead.run_id} failed; see it in the UI (`make ui`)"


def test_alarms_of_a_scheduled_run_open_the_incident_that_the_command_line_opens(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """The same look is one event, whoever comes upon it first."""
    home, folder = shop
    frame = customers(ROWS)
    frame.loc[3000:, "visits"] = 30 - frame.loc[3000:, "visits"]
    frame.to_csv(folder / "customers.csv", index=False)
    ticks.watch()
    told, cursor = ticks.incidents(None)
    assert told.startswith("incident churn-1 (opened): ")
    assert incidents.watch(home, ["churn"]) == []
    assert ticks.incidents(cursor)[0] == "nothing was raised"
    (opened,) = incident_log.incidents(home)
    assert "visits" in {item["what"] for item in opened.events[0]["alarms"]}
    assert opened.events[0]["suspects"]


def test_a_request_that_nobody_started_for_a_week_is_given_up(shop: tuple[Home, Path]) -> None:
    """Its news are old by then."""
    home, _ = shop
    retraining_decisions.decide(home, churn("drift"), [Event("drift", "a", "drift")], NOW, something_new=True)
    assert retraining_decisions.open_requests(home, "churn", [], NOW + timedelta(days=6))
    assert not retraining_decisions.open_requests(home, "churn", ["a"], NOW + timedelta(days=6))
    assert not retraining_decisions.open_requests(home, "churn", [], NOW + timedelta(days=8))


def test_missed_days_of_a_schedule_are_one_training(shop: tuple[Home, Path]) -> None:
    """Nobody looked for three days; the last time it was due counts, in its own time zone."""
    home, _ = shop
    spec = product(
        "churn",
        retrain={"triggers": ["schedule"], "cooldown_days": 0},
        schedule={"cron": "0 6 * * *", "time_zone": "America/New_York"},
    )
    (due,) = retraining_triggers.events(home, spec, NOW)
    assert due.told == "schedule: due 2024-06-03 06:00 America/New_York"
    assert retraining_triggers.events(home, spec, NOW + timedelta(hours=2)) == [due]
    assert len(retraining_decisions.decide(home, spec, [due], NOW, something_new=True)) == 1
    later = NOW + timedelta(days=3)
    (last,) = retraining_triggers.events(home, spec, later)
    assert last != due
    assert len(retraining_decisions.decide(home, spec, [last], later, something_new=True)) == 1
    assert (
        retraining_decisions.decide(home, spec, retraining_triggers.events(home, spec, later), later, something_new=True) == []
    )


def test_cooldown_budget_dry_run_and_nothing_new_hold_back_and_say_so(shop: tuple[Home, Path]) -> None:
    """An event waits while it is held back, is told once a reason, and is decided when it may be."""
    home, _ = shop

    def decided(spec: ProductSpec, name: str, now: datetime, *, new: bool = True) -> list[tuple[str, str]]:
        made = retraining_decisions.decide(home, spec, [Event("drift", name, "drift")], now, something_new=new)
        return [(item.outcome, item.told) for item in made]

    spec = churn("drift", cooldown_days=7, budget_per_year=2)
    assert decided(spec, "a", NOW, new=False) == [("nothing new", "drift (a training would give the model that there is)")]
    assert decided(spec, "a", NOW, new=False) == []
    assert decided(spec, "a", NOW) == [("requested", "drift")]
    tomorrow = NOW + timedelta(days=1)
    ((outcome, told),) = decided(spec, "b", tomorrow)
    assert (outcome, "free from 2024-06-10 12:00" in told) == ("cooldown", True)
    assert decided(spec, "b", tomorrow) == []
    assert decided(spec, "b", NOW + timedelta(days=7)) == [("requested", "drift")]
    assert decided(spec, "c", NOW + timedelta(days=20))[0][0] == "budget"
    assert decided(spec, "c", NOW + timedelta(days=366)) == [("requested", "drift")]
    dry = churn("drift", dry_run=True)
    assert decided(dry, "d", NOW + timedelta(days=800))[0][0] == "dry run"
    assert not retraining_decisions.open_requests(home, "churn", ["a", "b", "c"], NOW + timedelta(days=800))
    person = retraining_triggers.manual("someone: it must", NOW + timedelta(days=801))
    assert (
        retraining_decisions.decide(home, dry, [person], NOW + timedelta(days=801), something_new=True)[0].outcome
        == "requested"
    )


def test_of_several_events_one_training_is_started(shop: tuple[Home, Path]) -> None:
    """Even without a cooldown: the others are decided when it has ended."""
    home, _ = shop
    news = [Event("drift", "a", "drift"), Event("quality", "b", "quality")]
    assert [item.event for item in retraining_decisions.decide(home, churn("drift"), news, NOW, something_new=True)] == ["a"]


def test_alarms_that_stand_are_events_and_a_refused_training_starts_no_loop(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """Drift and quality are apart; the same alarms of the same period are the same event, after a training too."""
    home, folder = shop
    frame = customers(ROWS)
    later = frame.index >= 2600
    strength = 1.5 * (frame["plan"] != "free") + 0.5 * frame["visits"].fillna(4) - 2.5
    turned = np.where(np.random.default_rng(1).random(ROWS) < 1 / (1 + np.exp(-strength)), "yes", "no")
    frame.loc[later, "churned"] = turned[later]
    pd.DataFrame(frame).to_csv(folder / "customers.csv", index=False)
    spec = churn("drift", "quality")
    instance = ticks.instance
    ticks = Ticks(home, folder, spec, instance)
    ticks.watch()
    found = {event.trigger: event for event in retraining_triggers.events(home, spec, datetime.now(UTC))}
    assert "plan: at like values" in found["drift"].told
    assert "roc_auc is" in found["quality"].told
    request = ticks.sensor()
    assert request.tags[TRIGGER] == found["drift"].name
    ticks.launch(request)
    after = ticks.sensor()
    assert isinstance(after, dg.SkipReason)
    assert [item.outcome for item in retraining_decisions.decisions(home, "churn")].count("requested") == 1


def test_labels_are_counted_against_the_snapshot_that_was_learnt_from(ticks: Ticks, shop: tuple[Home, Path]) -> None:
    """Few new ones are no event."""
    home, folder = shop
    more_rows(folder)
    ticks.watch()
    few, many = churn("labels", min_new_labels=5000), churn("labels", min_new_labels=1000)
    assert retraining_triggers.events(home, few, NOW) == []
    (event,) = retraining_triggers.events(home, many, NOW)
    assert event.told == "labels: 1,000 more are known than when the last model was trained"


def test_declared_but_unseen_things_are_no_events(home: Home) -> None:
    """Nothing was monitored; nothing was trained."""
    write_json(home.snapshots / "churn" / "current.json", {"digest": "d", "rows": 1})
    assert retraining_triggers.events(home, churn("drift", "quality"), NOW) == []

"""The oracle of a replay: no policy that is bound costs less, its course costs what it says, and budgets are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from assets.errors import SpecificationError
from assets.features.snapshots import Snapshot
from assets.replay import hindsight, replay_page, summary
from assets.replay.answers import Served, answered
from assets.replay.history import landed
from assets.replay.settings import Replay
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from orchestration.cli.display_replay import show_policies
from tests.models import snapshot_of
from tests.planted import serving
from tests.replays import MONTHS, copied, everyone, played, settled, spec_of

POLICIES = ["never", "monthly", "always"]


@pytest.fixture(scope="module")
def home(replayed: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the policy that trains each month was played."""
    return copied(replayed, tmp_path_factory.mktemp("hindsight") / "home")


@pytest.fixture(scope="module")
def snapshot(home: Home) -> Snapshot:
    """All that ever came; labels turn round in June."""
    return snapshot_of(home, spec_of(), everyone())


@pytest.fixture(scope="module")
def replay(home: Home, snapshot: Snapshot) -> Replay:
    """Three policies over three months."""
    return settled(home, snapshot, POLICIES)


@pytest.fixture(scope="module")
def journals(replay: Replay) -> dict[str, list[dict[str, Any]]]:
    """What was told of each, with all models' answers to all steps."""
    found = played(replay)
    models = hindsight.trained_models(replay, found)
    for step in replay.steps:
        hindsight.score_step(replay, step, [digest for taken, digest in models.items() if taken < step])
    return found


def record_of(replay: Replay, journals: dict[str, list[dict[str, Any]]], **budgets: float) -> dict[str, Any]:
    """The record of a replay with its hindsight."""
    told = {policy.name: policy.told for policy in replay.policies}
    record = summary.summarised(replay.spec, told, journals, months=list(MONTHS), step="month", what_if=None)
    return record | {"hindsight": hindsight.summarised_hindsight(replay, journals, **budgets)}


def test_no_policy_costs_less(replay: Replay, journals: dict[str, list[dict[str, Any]]]) -> None:
    """Each regret is the policy's cost less the oracle's; keeping the first model is the oracle without a training."""
    record = record_of(replay, journals)
    found = record["hindsight"]
    json.dumps(record, allow_nan=False)
    totals = {policy["name"]: policy["total"] for policy in record["policies"]}
    for name, item in found["policies"].items():
        assert item["regret"] == pytest.approx(totals[name] - found["total"])
        assert item["regret"] >= -1e-6
        assert -1e-6 <= item["low"] <= item["high"]
        assert item["is_bound"]
    assert found["fewer"][0] == pytest.approx(totals["never"])
    assert found["fewer"] == sorted(found["fewer"], reverse=True)
    assert found["course"], "labels turn round, so the first model is not the best"
    assert found["total"] < totals["never"] - 100


def test_its_course_costs_what_it_says(replay: Replay, journals: dict[str, list[dict[str, Any]]]) -> None:
    """Its models, served from their clocks on as a policy serves its own, cost as much to the last row."""
    found = record_of(replay, journals)["hindsight"]
    first = journals["never"][0]["trained"]["digest"]
    taken = [(datetime.min, first)] + [(replay.clock(item["step"]), item["digest"]) for item in found["course"]]
    spent = 0.0
    for step in replay.steps:
        snapshot = landed(replay, step)[0]
        served = list(_served(taken, snapshot, replay.bounds[step - 1], replay.bounds[step]))
        spent += sum(answered(replay, step, snapshot, served)["days"].values())
    assert spent + 100 * len(found["course"]) == pytest.approx(found["total"])


def _served(taken: list[tuple[datetime, str]], snapshot: Snapshot, start: datetime, end: datetime) -> Iterator[Served]:
    """Who answers between two moments."""
    for place, (since, digest) in enumerate(taken):
        until = taken[place + 1][0] if place + 1 < len(taken) else datetime.max
        if max(since, start) < min(until, end):
            champion = serving("churn", digest, snapshot).champion
            assert champion is not None
            yield Served(champion, max(since, start), min(until, end))


def test_budgets_are_kept(replay: Replay, journals: dict[str, list[dict[str, Any]]]) -> None:
    """A budget for trainings allows so many and no more; one for losses names the policy that trains least within it."""
    days = (replay.bounds[-1] - replay.bounds[0]).days
    one = 100 * 365 / days * 1.01
    found = record_of(replay, journals, training_budget=one, loss_budget=0.0)["hindsight"]
    assert found["training_budget"]["trainings"] == 1
    assert found["training_budget"]["within"] == ["never"]
    assert found["training_budget"]["take"] == "never"
    assert found["training_budget"]["total"] == found["fewer"][1]
    assert len(found["training_budget"]["course"]) == 1
    assert found["loss_budget"]["take"] is None
    assert found["loss_budget"]["fewest_trainings"] == len(found["fewer"]) - 1
    most = max(item["regret"] for item in found["policies"].values())
    wide = record_of(replay, journals, loss_budget=(most + 1) * 365 / days)["hindsight"]["loss_budget"]
    assert set(wide["within"]) == set(POLICIES)
    assert wide["take"] == "never"
    assert wide["fewest_trainings"] == 0


def test_a_year_has_its_days_though_rows_come_once_a_week(
    replay: Replay, journals: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """A budget of a year is for the days that were played, not for those that have a cost; and three trainings are three."""
    days = (replay.bounds[-1] - replay.bounds[0]).days
    weekly = {
        name: [
            step
            if "answers" not in step
            else {**step, "answers": {**step["answers"], "days": _mondays(step["answers"]["days"])}}
            for step in journal
        ]
        for name, journal in journals.items()
    }
    thinned = replace(replay, folder=tmp_path)
    for step in replay.steps:
        for digest in hindsight.trained_models(replay, journals).values():
            if (made := replay.hindsight_of(step, digest)).exists():
                write_json(thinned.hindsight_of(step, digest), [row for row in read_json(made) if _mondays({row[1]: 0})])
    assert len(summary.daily_costs(weekly)[0]) < days / 6
    budgets = {"training_budget": 1.01 * 100 * 365 / days, "loss_budget": 365 / days}
    found = hindsight.summarised_hindsight(thinned, weekly, **budgets)
    assert found["training_budget"]["trainings"] == 1
    assert found["loss_budget"]["allowed"] == pytest.approx(1)
    cheap = replace(replay, spec=spec_of(replay={"training_cost": 0.1}), bounds=(datetime(2023, 1, 1), datetime(2024, 1, 1)))
    assert hindsight._affordable(cheap, 0.3) == 3


def _mondays(days: dict[str, float]) -> dict[str, float]:
    return {day: cost for day, cost in days.items() if datetime.fromisoformat(day).weekday() == 0}


def test_what_only_people_read_plays_nothing_again(home: Home, snapshot: Snapshot, replay: Replay) -> None:
    """Nothing that is made depends on what is declared as governance, so neither does a replay."""
    assert settled(home, snapshot, POLICIES, spec=spec_of(governance={"provider": "Shop, Dublin"})).folder == replay.folder


def test_a_budget_for_trainings_that_cost_nothing_is_refused(
    home: Home, snapshot: Snapshot, journals: dict[str, list[dict[str, Any]]]
) -> None:
    """It would bound nothing."""
    free: ProductSpec = spec_of(replay={"training_cost": 0.0})
    cheap = settled(home, snapshot, POLICIES, spec=free)
    models = hindsight.trained_models(cheap, journals)
    for step in cheap.steps:
        for digest in models.values():
            cheap.hindsight_of(step, digest).parent.mkdir(parents=True, exist_ok=True)
            cheap.hindsight_of(step, digest).write_text("[]")
    with pytest.raises(SpecificationError, match="churn: a training costs nothing.*Declare 'replay.training_cost'"):
        hindsight.summarised_hindsight(cheap, journals, training_budget=5.0)


def test_what_is_scored_is_not_scored_again(replay: Replay, journals: dict[str, list[dict[str, Any]]]) -> None:
    """The second look at the same models reads what the first recorded."""
    digests = list(hindsight.trained_models(replay, journals).values())
    made = {path: path.stat().st_mtime_ns for path in (replay.folder / "hindsight").iterdir()}
    for step in replay.steps:
        hindsight.score_step(replay, step, digests[:step])
    assert {path: path.stat().st_mtime_ns for path in (replay.folder / "hindsight").iterdir()} == made
    assert len(made) == 6


def test_page_and_terminal_tell_it(
    replay: Replay, journals: dict[str, list[dict[str, Any]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both name the oracle's cost, each policy's regret, and what to take within the budgets."""
    record = record_of(replay, journals, training_budget=1000.0, loss_budget=1e6)
    found = record["hindsight"]
    show_policies(record)
    said = " ".join(capsys.readouterr().out.split())
    page = replay_page.write(tmp_path, record).read_text()
    for told in (said, " ".join(page.split())):
        assert f"{found['total']:,.0f} {record['unit']} [" in told
        assert "take never" in told
        for item in found["policies"].values():
            assert f"{item['regret']:,.0f}" in told
    assert (tmp_path / "hindsight.png").exists()

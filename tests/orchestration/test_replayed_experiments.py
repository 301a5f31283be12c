"""A replayed experiment is decided as a live one would be, by what was known each day, and hindsight says what it cost."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.features.snapshots import Snapshot
from assets.promotion import ledger
from assets.promotion.ledger_state import GATE, Decision
from assets.replay import (
    answers,
    experiment_arms,
    experiment_looks,
    experiment_plot,
    history,
    replay_page,
    settings,
    shared_results,
    summary,
)
from assets.replay.experiment_arms import CONTROL, TREATMENT, Trial, experiment_of
from assets.replay.policy_runner import journal, played_steps
from assets.replay.settings import Replay
from assets.storage.home import Home
from orchestration.cli.display_replay import show_policies
from orchestration.operations.verification.verify import verify
from tests.models import snapshot_of
from tests.replays import MONTHS, SPLIT, copied, everyone, played, settled, spec_of
from tests.shop import KINDS, customers, product

SHORT = {"name": "short", "arms": {"control": "champion", "treatment": "challenger"}, "max_weeks": 2}

MODEL = {"estimator": "sklearn.ensemble.HistGradientBoosting", "seed": 3, "parameters": {"max_iter": 20}}


@pytest.fixture(scope="module")
def home(replayed: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the policy that trains each month was played."""
    return copied(replayed, tmp_path_factory.mktemp("experiments") / "home")


@pytest.fixture(scope="module")
def snapshot(home: Home) -> Snapshot:
    """All that ever came; who would have left stays from June on, so that what is trained later is much better."""
    return snapshot_of(home, spec_of(), everyone())


@pytest.fixture(scope="module")
def replay(home: Home, snapshot: Snapshot) -> Replay:
    """Three months under the policy."""
    return settled(home, snapshot, ["experiment"])


@pytest.fixture(scope="module")
def told(replay: Replay) -> list[dict[str, Any]]:
    """What it did; interrupted while the experiment ran, with a step half done, and then gone on."""
    until = next(step for step in replay.steps if _begins(replay, step))
    folder = replay.played(replay.policies[0])
    assert played_steps(folder) == until
    (folder / f"{until + 1:03d}.part").mkdir()
    (folder / f"{until + 1:03d}.part" / "half").write_text("done")
    return played(replay)["experiment"]


def _begins(replay: Replay, step: int) -> bool:
    """Whether an experiment begins at a step, which is played."""
    found = played(replace(replay, bounds=replay.bounds[: step + 1]))["experiment"]
    return "experiment" in (found[step]["trained"] or {})


@pytest.fixture(scope="module")
def trial(replay: Replay, told: list[dict[str, Any]]) -> Trial:
    """The experiment."""
    (found,) = experiment_arms.trials(_home(replay), "churn")
    return found


def _home(replay: Replay) -> Home:
    folder = replay.played(replay.policies[0])
    return Home(folder / f"{played_steps(folder):03d}")


def test_a_much_better_challenger_is_promoted_by_its_experiment(home: Home, replay: Replay, told: list[dict[str, Any]]) -> None:
    """It passes the gate and is not promoted by it; on the day it is surely cheaper, it is, and answers from then on."""
    begun = next(step for step in told[1:] if "experiment" in (step["trained"] or {}))
    assert begun["trained"]["promoted"] is False
    after = told[begun["step"] + 1]
    assert after["experiment"]["outcome"] == TREATMENT
    *before, last = after["experiment"]["looks"]
    assert [look["outcome"] for look in before] == [None] * len(before)
    assert last["high"] < 0
    versions = [(item["version"], item.get("beside")) for item in after["served"]]
    assert versions == [(1, None), (1, begun["trained"]["version"]), (begun["trained"]["version"], None)]
    entries = ledger.entries(_home(replay), "churn")
    decided = [entry for entry in entries if entry.event == "experiment" or entry.actor == "experiment"]
    assert [entry.finding or entry.event for entry in decided] == [
        "replayed_v3:start",
        "replayed_v3:decide treatment",
        "promotion",
    ]
    assert decided[-1].recorded_at[:19] == last["at"][:19]
    assert "surely costs less" in decided[-1].reason
    assert ledger.verify(_home(replay)) == len(entries)
    assert verify(home, deep=True).problems == []


def test_looks_know_what_was_known_on_their_day(replay: Replay, told: list[dict[str, Any]], trial: Trial) -> None:
    """Rows of the days before, and of them the labels that were known when they had landed; each day once."""
    looks = next(step["experiment"]["looks"] for step in told if "experiment" in step)
    frame = everyone()
    frame = frame[frame["signed_up_at"] >= trial.start]
    days = [look["day"] for look in looks]
    assert days == [f"{day:%Y-%m-%d}" for day in pd.date_range(days[0], days[-1])]
    for look in looks:
        came = frame[frame["signed_up_at"] < pd.Timestamp(look["day"]) + timedelta(days=1)]
        assert look["rows"] == len(came) == sum(look["units"].values())
        at = datetime.fromisoformat(look["at"]).replace(tzinfo=None)
        assert look["labelled"] == (came["known"] <= at).sum() < look["rows"]


def test_the_same_replay_gives_the_same_again(snapshot: Snapshot, told: list[dict[str, Any]], tmp_path: Path) -> None:
    """In another home and in one go: the same units in the same arms, the same looks, and the same costs."""
    again = played(settled(Home(tmp_path).prepare(), snapshot, ["experiment"]))["experiment"]
    for now, then in zip(again, told, strict=True):
        assert {**now, "seconds": 0, "trained": 0} == {**then, "seconds": 0, "trained": 0}


def test_a_pair_that_is_the_same_model_is_not_decided(replay: Replay, trial: Trial, tmp_path: Path) -> None:
    """An A/A pair goes on until its weeks are over, and its units are dealt in their shares."""
    both = replace(trial, treatment=replace(trial.treatment, model_digest=trial.control.model_digest))
    landed, _ = history.landed(replay, 3)
    looks = experiment_looks.looks(replay, both, landed, trial.start, replay.bounds[3])
    assert len(looks) >= 28
    assert {look["outcome"] for look in looks} == {None}
    assert {look["differing"] for look in looks} == {0}
    assert looks[-1]["all_low"] < 0 < looks[-1]["all_high"]
    assert looks[-1]["mismatch"] > 0.1
    item = {"name": "alike", "version": 1, "against": 1, "outcome": None, "truth": 0.0, "looks": looks}
    assert "from all rows" in experiment_plot.intervals(item, "units", tmp_path)
    short = replace(both, stage=replace(trial.stage, declared={**trial.stage.declared, "max_weeks": 2}))
    *_, last = experiment_looks.looks(replay, short, landed, trial.start, replay.bounds[3])
    assert last["outcome"] == "undecided"
    within = everyone()["signed_up_at"].between(trial.start, trial.start + timedelta(weeks=2), inclusive="left")
    assert last["rows"] == within.sum()
    assert "is not surely cheaper or dearer in 2 weeks, so version 1 stays" in experiment_looks.told(last, short, "units")


def test_a_worse_challenger_is_dropped(replay: Replay, trial: Trial, tmp_path: Path) -> None:
    """The arms the other way round: surely dearer, so the champion stays and the ledger says why."""
    old, new = trial.control, trial.treatment
    home, spec = Home(tmp_path).prepare(), replay.spec
    for version, entry in ((1, new), (2, old)):
        decision = Decision(version, entry.model_digest, entry.snapshot_digest, GATE, "for a test", "v", at=_aware(trial.start))
        if version == 1:
            champion = ledger.promote(home, "churn", decision, instead_of=None)
        else:
            experiment_arms.begin(home, spec, experiment_of(spec), champion, decision)
    turned = experiment_arms.running(home, "churn")
    assert turned is not None
    landed, _ = history.landed(replay, 3)
    last = experiment_looks.looks(replay, turned, landed, trial.start, replay.bounds[3])[-1]
    assert (last["outcome"], last["low"] > 0) == (CONTROL, True)
    because = experiment_looks.told(last, turned, "units")
    experiment_arms.end(home, spec, turned, CONTROL, because=because, at=datetime.fromisoformat(last["at"]))
    standing = ledger.standing(home, "churn")
    assert standing.champion_digest == new.model_digest
    assert standing.running is None
    assert standing.entries[-1].stage == ("replayed_v2", "decide control")
    assert "version 2 surely costs more than version 1" in standing.entries[-1].reason
    assert experiment_arms.running(home, "churn") is None


def test_units_in_the_wrong_arms_stop_an_experiment(replay: Replay, trial: Trial, tmp_path: Path) -> None:
    """Half of the treatment's units are lost on their way: nothing may be read, and the champion stays."""
    home, spec = Home(tmp_path).prepare(), replay.spec
    decisions = [
        Decision(version, entry.model_digest, "s", GATE, "for a test", "v", at=_aware(trial.start))
        for version, entry in ((1, trial.control), (2, trial.treatment))
    ]
    champion = ledger.promote(home, "churn", decisions[0], instead_of=None)
    declared = experiment_of(spec).model_copy(update={"allocation": {CONTROL: 1 / 3, TREATMENT: 2 / 3}})
    experiment_arms.begin(home, spec, declared, champion, decisions[1])
    lost = experiment_arms.running(home, "churn")
    assert lost is not None
    dealt = tuple(replace(arm, share=0.5) for arm in lost.stage.arms)
    lost = replace(lost, stage=replace(lost.stage, arms=dealt))
    landed, _ = history.landed(replay, 3)
    both = replace(lost, treatment=replace(lost.treatment, model_digest=lost.control.model_digest))
    last = experiment_looks.looks(replay, both, landed, trial.start, replay.bounds[3])[-1]
    assert (last["outcome"], last["mismatch"] < 0.01) == ("mismatch", True)
    because = experiment_looks.told(last, lost, "units")
    assert re.match(r"units did not reach the arms in their shares \(p = 0\.00\d\d\), so nothing can be read after", because)
    experiment_arms.end(home, spec, lost, "mismatch", because=because, at=datetime.fromisoformat(last["at"]))
    standing = ledger.standing(home, "churn")
    assert (standing.champion, standing.running) == (champion, None)
    assert standing.entries[-1].stage == ("replayed_v2", "stop")


def _aware(moment: datetime) -> datetime:
    return pd.Timestamp(moment, tz="UTC").to_pydatetime()


def test_hindsight_tells_what_deciding_cost(home: Home, replay: Replay, told: list[dict[str, Any]], trial: Trial) -> None:
    """The rows of both arms are all rows; the worse arm is the champion; the page shows it, and its pictures are recorded."""
    names = {policy.name: policy.told for policy in replay.policies}
    about = {"months": list(MONTHS), "step": "month", "what_if": None}
    record = summary.summarised(replay.spec, names, {"experiment": told}, **about)
    json.dumps(record, allow_nan=False)
    (policy,), frame = record["policies"], everyone()
    assert (policy["promotions"], policy["refusals"]) == (1, policy["trainings"] - 1)
    (item,) = policy["experiments"]
    inside = frame[frame["signed_up_at"].between(trial.start, trial.end, inclusive="left")]
    assert sum(arm["rows"] for arm in item["arms"].values()) == len(inside)
    treated = trial.treats(inside["customer_id"])
    assert item["arms"][TREATMENT]["rows"] == treated.sum() > 0.3 * len(inside)
    assert item["truth"] < -0.2
    assert (item["worse"], item["worse_rows"]) == (CONTROL, (~treated).sum())
    assert item["worse_cost"] > 0
    paid = sum(step["cost"]["value"] for step in policy["steps"])
    assert policy["total"] == pytest.approx(paid + 100 * policy["trainings"])
    folder = replay.folder / "pages" / "experiment"
    page = replay_page.write(folder, record).read_text()
    assert "a forecast does not change a delay" in page
    assert f"were answered by the worse arm, the {CONTROL}" in page
    assert (folder / "replayed_v3.png").stat().st_size > 10_000
    assert verify(home, deep=True).problems == []


def test_the_terminal_tells_how_an_experiment_was_decided(
    replay: Replay, told: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """In a sentence, with what it cost; one that still runs has no end."""
    about = {"months": list(MONTHS), "step": "month", "what_if": None}
    show_policies(summary.summarised(replay.spec, {"experiment": ""}, {"experiment": told}, **about))
    said = " ".join(capsys.readouterr().out.split())
    assert "replayed_v3: 2024-08-" in said
    assert "rows were answered by the worse arm" in said
    started = [step for step in told if "experiment" not in step]
    show_policies(summary.summarised(replay.spec, {"experiment": ""}, {"experiment": started[:3]}, **about))
    assert "replayed_v3: version 3 against version 1 still runs." in " ".join(capsys.readouterr().out.split())


def test_a_policy_is_kept_by_what_it_is(home: Home, snapshot: Snapshot, replay: Replay) -> None:
    """Another experiment, or other triggers, play again in the folder that all share; the other policies stay as they are."""
    other = spec_of(experiments=[{**SHORT, "unit": "customer_id"}], retrain={"triggers": ["new_data"]})
    names = ["never", "monthly", "declared", "experiment"]
    before, after = settled(home, snapshot, names), settled(home, snapshot, names, spec=other)
    assert before.folder == after.folder == replay.folder
    changed = [old.folder != new.folder for old, new in zip(before.policies, after.policies, strict=True)]
    assert changed == [False, False, True, True]


def test_the_first_declared_test_of_cost_is_replayed() -> None:
    """With its shares and weeks; a unit that the snapshot does not hold is the entity; by default, halves of entities."""
    found = experiment_of(spec_of())
    assert (found.unit, found.shares, found.max_weeks) == ("customer_id", {CONTROL: 0.5, TREATMENT: 0.5}, 8)
    three = {"arms": {"old": "champion", "new": "challenger", "older": 1}, "allocation": {"old": 0.6, "new": 0.2, "older": 0.2}}
    guarded = {"guardrails": [{"metric": "error", "max_harm": 0.1}]}
    shadow = {**SHORT, "name": "first", "kind": "shadow", "unit": "age"}
    for unit, kept in (("age", "age"), ("household", "customer_id")):
        found = experiment_of(spec_of(experiments=[shadow, {**SHORT, **three, **guarded, "unit": unit}]))
        assert (found.name, found.unit, found.max_weeks, found.guardrails) == ("short", kept, 2, ())
        assert found.shares == pytest.approx({CONTROL: 0.75, TREATMENT: 0.25})


def test_rows_without_a_unit_are_answered_by_the_champion(trial: Trial) -> None:
    """And a unit is in the same arm each time, about half of them in each."""
    units = [None, "a", "a", *map(str, range(2000))]
    treats = trial.treats(units)
    assert treats[0] == np.False_
    assert treats[1] == treats[2]
    assert 0.45 < treats[3:].mean() < 0.55


@pytest.mark.parametrize("name", ["tier", "spend"])
def test_classes_and_values_are_looked_at_too(name: str, tmp_path: Path) -> None:
    """Labels that are known with their rows, of more than two classes or values: the arms' costs are those of their rows."""
    spec = product(name, split=SPLIT, model={**MODEL, "estimator": f"{MODEL['estimator']}{KINDS[name]['model']}"})
    home = Home(tmp_path).prepare()
    landed = snapshot_of(home, spec, customers(3000))
    replay = settings.settings(home, spec, landed, months=("2024-06", "2024-07"), step="month", policies=["experiment"])
    replay.shared.prepare()
    history.prepare(replay)
    digests = [shared_results.model_of(replay, step)[0] for step in (0, 1)]
    decisions = [
        Decision(number + 1, digest, "s", GATE, "for a test", "v", at=replay.aware_clock(1))
        for number, digest in enumerate(digests)
    ]
    champion = ledger.promote(home, name, decisions[0], instead_of=None)
    experiment_arms.begin(home, spec, experiment_of(spec), champion, decisions[1])
    trial = experiment_arms.running(home, name)
    assert trial is not None
    seen, _ = history.landed(replay, 2)
    looks = experiment_looks.looks(replay, trial, seen, trial.start, replay.bounds[2])
    found = answers.answered(replay, 2, seen, [answers.Served(champion, trial.start, replay.bounds[2], trial)])
    last, (arms,) = looks[-1], found["arms"].values()
    assert last["rows"] == last["labelled"] == found["labelled"] > 250
    assert 0 < last["differing"] <= last["labelled"]
    means = {arm: figures["cost"] / figures["labelled"] for arm, figures in arms.items()}
    assert last["control_cost"] == pytest.approx(means[CONTROL])
    assert sum(found["days"].values()) == pytest.approx(sum(figures["cost"] for figures in arms.values()))
    if name == "spend":  # two models plan no row alike, so all rows count
        assert last["difference"] == pytest.approx(means[TREATMENT] - means[CONTROL])
        assert (last["low"], last["high"]) == (last["all_low"], last["all_high"])


def test_journals_of_other_policies_hold_no_experiment(home: Home, snapshot: Snapshot) -> None:
    """What passes the gate is promoted at once under the others."""
    found = settled(home, snapshot, ["monthly"])
    played(found)
    steps = journal(found, found.policies[0])
    assert any(step["trained"] and step["trained"]["promoted"] for step in steps[1:])
    assert not any("experiment" in step or "experiment" in (step["trained"] or {}) for step in steps)

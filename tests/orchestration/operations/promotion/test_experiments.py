"""Experiments from their start to their decision: the ledger says what runs, services deal, looks find what was planted."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.errors import DigestError, ExperimentError, GateRefusedError, LedgerError
from assets.experiments import looks, stages, steering
from assets.experiments.experiment_report import report
from assets.monitoring import outcome_intake
from assets.promotion import experiment_records, ledger, ledger_database, registered_versions
from assets.promotion.experiment_records import Stage
from assets.promotion.ledger_state import Entry
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos.app import ModelApp
from bentos.arm_log import INSERT, TABLE
from bentos.assignment import Assignment
from bentos.prediction_log import PredictionLog
from bentos.runtime import Model
from bentos.served import Served
from orchestration import resources
from orchestration.automation import experiment_sensor
from orchestration.operations.promotion import decisions, doctor
from orchestration.operations.promotion.experiment_decisions import decide
from orchestration.operations.storage.retention import Retention
from orchestration.operations.verification.verify import verify
from orchestration.staleness.run_tags import REASON
from tests.bentos.serving import answering, until
from tests.models import promised
from tests.shop import customers, definitions, product
from tests.two_versions import WHO, churn

ROW = {"age": 30.0, "plan": "free", "visits": 2.0}
GUARDRAILS = [{"metric": "error", "max_harm": 1.0}, {"metric": "latency_ms", "max_harm": 0.5}]
COMMON = {"arms": {"control": "champion", "treatment": 1}, "unit": "customer"}
TRIAL = ExperimentSpec.model_validate({**COMMON, "name": "trial", "metric": "cost", "guardrails": GUARDRAILS, "max_weeks": 2})
CANARY = ExperimentSpec.model_validate(
    {**COMMON, "name": "bird", "kind": "canary", "steps": [0.1, 0.5, 1.0], "guardrails": GUARDRAILS}
)
SHADOW = ExperimentSpec.model_validate({**COMMON, "name": "dark", "kind": "shadow"})


@pytest.fixture
def home(twice_copy: Home) -> Home:
    """A home in which a weak model was promoted, then a better one, to be changed at will."""
    return twice_copy


def pointed(home: Home) -> dict[str, Any]:
    """What services are told."""
    found: dict[str, Any] = read_json(bento_package.pointer(home, "churn"))
    return found


def stage_of(home: Home) -> Stage | None:
    """What runs."""
    return experiment_records.running(home, ledger.standing(home, "churn"))


def ended(home: Home, stage: Stage, lines: list[tuple[str, str, int, float]]) -> None:
    """Log requests: by which unit, in which arm, with which status, after how many milliseconds."""
    folder = home.served / "churn" / "arms"
    folder.mkdir(parents=True, exist_ok=True)
    began = datetime.fromisoformat(stage.began_at)
    shares = {arm.name: arm for arm in stage.arms}
    with closing(sqlite3.connect(folder / f"{began.date()}.sqlite")) as connection, connection:
        connection.execute(TABLE)
        connection.executemany(
            INSERT,
            [
                (
                    f"{stage.began_at}-{number}", (began + timedelta(microseconds=number)).isoformat(timespec="milliseconds"), stage.experiment, arm,
                    shares[arm].share, unit, shares[arm].model_digest, status, milliseconds,
                )
                for number, (unit, arm, status, milliseconds) in enumerate(lines)
            ],
        )  # fmt: skip


def traffic(
    stage: Stage, units: int, *, errors: float = 0.02, harm: float = 1.0, seed: int = 1
) -> list[tuple[str, str, int, float]]:
    """Requests of units that are dealt by their shares; the treatment has errors so many times as often."""
    random = np.random.default_rng(seed)
    treated = random.random(units) < stage.treatments[0].share
    failed = random.random(units) < errors * np.where(treated, harm, 1.0)
    return [
        (
            f"C{seed}-{unit}",
            "treatment" if treated[unit] else "control",
            500 if failed[unit] else 200,
            float(random.gamma(4, 0.5)),
        )
        for unit in range(units)
    ]


def now_of(stage: Stage) -> datetime:
    """A moment after all that was logged."""
    return datetime.fromisoformat(stage.began_at) + timedelta(hours=1)


def test_a_test_runs_on_a_service_from_its_start_to_its_decision(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Customers stay in their arms, a look counts them and their outcomes, and the decision is one of the ledger."""
    monkeypatch.setattr(stages, "token_hex", lambda size: "5" * 2 * size)  # the same customers in each arm each time
    entry = stages.start(home, churn(), TRIAL, **WHO)
    assert (entry.event, entry.stage, entry.version, entry.by_hand) == ("experiment", ("trial", "start"), 1, 0)
    stage = stage_of(home)
    assert stage is not None
    assert [(arm.name, arm.version, arm.share) for arm in stage.arms] == [("treatment", 1, 0.5), ("control", 2, 0.5)]
    assert ledger.standing(home, "churn").champion_digest == stage.control.model_digest
    assert verify(home, deep=True).problems == []
    pointer = bento_package.pointer(home, "churn")
    served = Served.load(pointer.parent / pointed(home)["folder"])
    app = ModelApp(served, pointer=pointer, log_folder=home.served / "churn")
    with answering(app) as client:
        until(lambda: app.experiments.split is not None)
        answers = {
            number: client.post(
                "/predict", json={"row": ROW}, headers={"X-Entity-Key": f"C{number}", "X-Request-Id": f"r{number}"}
            )
            for number in range(300)
        }
        until(lambda: looks.take(home, churn(), stage, datetime.now(UTC) + timedelta(seconds=1)).waiting == 300)
        assert "None of 300 answered rows has an outcome" in looks.take(home, churn(), stage, datetime.now(UTC)).told
        told = [
            {"request_id": f"r{number}", "outcome": int(number % 3 > 0), "observed_at": datetime.now(UTC).isoformat()}
            for number in range(200)
        ]
        assert client.post("/outcomes", json={"outcomes": told}).status_code == 202
    dealt = Counter(answer.headers["X-Model-Digest"] for answer in answers.values())
    found = steering.look(home, churn(), datetime.now(UTC) + timedelta(seconds=1))
    units = {arm["name"]: arm["units"][-1] for arm in found.look.arms}
    assert units == {arm.name: dealt[arm.model_digest] for arm in stage.arms}
    assert (found.look.waiting, found.entry) == (100, None)
    assert found.look.mismatch > 0.1
    assert found.look.verdict == "undecided"
    (cost,) = found.look.metric
    said = {"treatment": 0.0, "control": 0.0}
    counted = dict.fromkeys(said, 0)
    for number in range(200):
        arm = next(arm.name for arm in stage.arms if arm.model_digest == answers[number].headers["X-Model-Digest"])
        is_positive = answers[number].json()["prediction"]["is_positive"]
        said[arm] += 2.0 * (not is_positive) if number % 3 else 1.0 * is_positive
        counted[arm] += 1
    assert cost.control[-1] == pytest.approx(said["control"] / counted["control"])
    assert cost.value[-1] == pytest.approx(said["treatment"] / counted["treatment"] - said["control"] / counted["control"])
    assert "trial" in found.page.read_text(encoding="utf-8")
    late = looks.take(home, churn(), stage, datetime.now(UTC) + timedelta(weeks=3))
    assert late.told.endswith("Its 2 weeks are over: decide it, or stop it.")
    (last,) = decide(home, churn(), "control", **WHO)
    assert last.stage == ("trial", "decide control")
    assert stage_of(home) is None
    assert "split" not in pointed(home)
    assert verify(home, deep=True).problems == []


def test_a_canary_grows_while_it_is_surely_not_worse(home: Home) -> None:
    """Step by step; each stage names the look that it follows from, and units that are in the canary stay in it."""
    stages.start(home, churn(), CANARY, **WHO)
    shares = []
    for seed in range(3):
        stage = stage_of(home)
        assert stage is not None
        shares.append(pointed(home)["split"]["arms"][0]["share"])
        if stage.control.share > 0:
            assert steering.look(home, churn(), now_of(stage)).entry is None  # nobody came yet
            ended(home, stage, traffic(stage, 40_000, seed=seed))
            found = steering.look(home, churn(), now_of(stage))
            assert found.entry is not None, found.look.told
            entry = found.entry
            assert entry.actor == "experiment"
            assert experiment_records.read(home, entry).evidence["verdict"] == "not worse"
    assert shares == [0.1, 0.5, 1.0]
    assert [arm["name"] for arm in pointed(home)["split"]["arms"]] == ["treatment"]
    said = [entry.stage[1] for entry in ledger.entries(home, "churn") if entry.event == "experiment"]
    assert said == ["start", "step 0.5", "step 1"]


def test_a_canary_that_is_surely_worse_is_taken_back_by_one_look(home: Home) -> None:
    """By itself, with the evidence in the ledger; the champion answers all again."""
    stages.start(home, churn(), CANARY, **WHO)
    stage = stage_of(home)
    assert stage is not None
    ended(home, stage, traffic(stage, 20_000, errors=0.03, harm=3.0))
    assert steering.look(home, churn(), now_of(stage), is_dry=True).entry is None
    found = steering.look(home, churn(), now_of(stage))
    assert found.entry is not None
    assert found.entry.stage == ("bird", "back")
    evidence = experiment_records.read(home, found.entry).evidence
    assert evidence["verdict"] == "harmful"
    assert evidence["guardrails"][0]["verdict"] == "worse"
    assert "split" not in pointed(home)
    assert stage_of(home) is None
    with pytest.raises(ExperimentError, match="no experiment runs"):
        steering.look(home, churn(), now_of(stage))


def test_days_that_are_over_are_read_the_same_as_parquet(home: Home) -> None:
    """What became of requests is archived with the log; the report of an experiment that has ended reads it."""
    stages.start(home, churn(), CANARY, **WHO)
    stage = stage_of(home)
    assert stage is not None
    ended(home, stage, traffic(stage, 2000))
    before = looks.take(home, churn(), stage, now_of(stage))
    stages.stop(home, churn(), **WHO)
    record, page = report(home, churn(), datetime.now(UTC) + timedelta(days=3))
    (file,) = (home.served / "churn" / "arms").iterdir()
    assert file.suffix == ".parquet"
    again = looks.take(home, churn(), stage, now_of(stage))
    assert (again.arms, again.mismatch, again.verdict) == (before.arms, before.mismatch, before.verdict)
    for one, other in zip(again.guardrails, before.guardrails, strict=True):
        np.testing.assert_allclose(np.array(one.value, float), np.array(other.value, float), rtol=1e-9)
    assert (record["kind"], record["arms"][0]["units"][-1]) == ("canary", before.arms[0]["units"][-1])
    assert page.exists()


def test_a_declaration_that_changes_midway_is_named_and_changes_nothing(home: Home) -> None:
    """Units stay in their arms; without a change nothing is said."""
    stages.start(home, churn(), TRIAL, **WHO)
    stage = stage_of(home)
    assert stage is not None
    told = "Its declaration was changed since it began ('allocation'); it goes on as it began."
    changed = TRIAL.model_copy(update={"allocation": {"control": 0.9, "treatment": 0.1}})
    for declared, is_told in ((TRIAL, False), (changed, True)):
        found = looks.take(home, churn().model_copy(update={"experiments": [declared]}), stage, now_of(stage))
        assert (told in found.told) is is_told
        assert [arm["share"] for arm in found.arms] == [0.5, 0.5]


def test_lost_units_halt_the_verdict(home: Home) -> None:
    """A tenth of one arm's units never comes: no metric is read, and only the control can be decided for."""
    stages.start(home, churn(), TRIAL, **WHO)
    stage = stage_of(home)
    assert stage is not None
    lines = [line for number, line in enumerate(traffic(stage, 20_000)) if line[1] == "control" or number % 10]
    ended(home, stage, lines)
    found = looks.take(home, churn(), stage, now_of(stage))
    assert (found.verdict, found.mismatch < 0.01) == ("mismatch", True)
    with pytest.raises(ExperimentError, match="declared shares"):
        decide(home, churn(), "treatment", **WHO)


def test_equal_arms_are_seldom_told_apart_and_a_planted_difference_is(home: Home) -> None:
    """In latency, looked at once each; the sign is right."""
    stages.start(home, churn(), TRIAL, **WHO)
    stage = stage_of(home)
    assert stage is not None
    ended(
        home,
        stage,
        [(unit, arm, status, 3 * ms if arm == "treatment" else ms) for unit, arm, status, ms in traffic(stage, 3000)],
    )
    found = looks.take(home, churn(), stage, now_of(stage))
    latency = next(item for item in found.guardrails if item.metric == "latency_ms")
    assert latency.value[-1] == pytest.approx(4.0, abs=0.5)
    assert latency.verdict == "worse"
    errors = next(item for item in found.guardrails if item.metric == "error")
    assert errors.verdict != "worse"
    assert found.verdict == "harmful"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"unit": "household"}, "declares 'customer'"),
        ({"arms": {"control": "champion", "treatment": 2}}, "same model"),
        ({"arms": {"control": 1, "treatment": "champion"}}, "Let the first arm be the champion"),
    ],
)
def test_what_cannot_be_an_experiment_does_not_start(home: Home, change: dict[str, Any], problem: str) -> None:
    """One clear error, and nothing is changed."""
    before = pointed(home), ledger.entries(home)
    with pytest.raises(ExperimentError, match=problem):
        stages.start(home, churn(), TRIAL.model_copy(update=change), **WHO)
    assert (pointed(home), ledger.entries(home)) == before


def test_what_is_not_there_is_named(home: Home) -> None:
    """A version that nobody registered, a second experiment, an arm that is none, an entity that services do not know yet."""
    with pytest.raises(LedgerError, match="no version 9"):
        stages.start(home, churn(), TRIAL.model_copy(update={"arms": {"control": "champion", "treatment": 9}}), **WHO)
    later = product("churn", serving={"entity": {"name": "customer", "keep": "hash"}})
    with pytest.raises(ExperimentError, match="do not know the declared entity"):
        stages.start(home, later, TRIAL, **WHO)
    without = product("churn")
    with pytest.raises(ExperimentError, match="X-Entity-Key"):
        stages.start(home, without, TRIAL, **WHO)
    stages.start(home, churn(), TRIAL, **WHO)
    with pytest.raises(ExperimentError, match="experiment 'trial' runs since"):
        stages.start(home, churn(), CANARY, **WHO)
    with pytest.raises(ExperimentError, match="has no arm 'other'"):
        decide(home, churn(), "other", **WHO)


def test_services_stop_dealing_as_soon_as_another_champion_is_decided(home: Home) -> None:
    """Without waiting for a run; they follow the champion of before until its successor is packaged."""
    stages.start(home, churn(), TRIAL, **WHO)
    assert "split" in pointed(home)
    decisions.rollback(home, churn(), None, **WHO)
    assert "split" not in pointed(home)


def test_an_invalid_version_ends_its_experiment_at_once(home: Home) -> None:
    """With an entry of its own before the invalidation; services stop dealing without a run."""
    stages.start(home, churn(), TRIAL, **WHO)
    assert "split" in pointed(home)
    made = decisions.invalidate(home, churn(), 1, **WHO)
    assert [entry.event for entry in made] == ["experiment", "invalidation"]
    assert made[0].stage == ("trial", "stop")
    assert "version 1 is invalid" in made[0].reason
    assert "split" not in pointed(home)
    assert stage_of(home) is None


def test_another_champion_ends_the_experiment(home: Home) -> None:
    """After a rollback nobody is in an arm of it."""
    stages.start(home, churn(), TRIAL, **WHO)
    decisions.rollback(home, churn(), None, **WHO)
    assert stage_of(home) is None
    champion = ledger.standing(home, "churn").champion
    assert champion is not None
    assert "split" not in bento_package.pointed(home, "churn", champion)


def test_deciding_for_the_treatment_asks_the_gate(home: Home) -> None:
    """The weak model is not promoted by an experiment either, unless that is said; the experiment has ended."""
    stages.start(home, churn(), TRIAL, **WHO)
    with pytest.raises(GateRefusedError, match="although the experiment was decided for it"):
        decide(home, churn(), "treatment", **WHO)
    assert [entry.event for entry in ledger.entries(home, "churn")][-2:] == ["experiment", "refusal"]
    assert stage_of(home) is None
    stages.start(home, churn(), TRIAL, **WHO)
    entries = decide(home, churn(), "treatment", override=True, **WHO)
    assert [entry.event for entry in entries] == ["experiment", "promotion"]
    champion = ledger.standing(home, "churn").champion
    assert champion is not None
    assert (champion.version, champion.overridden) == (1, 1)
    assert "experiment trial" in champion.reason


def test_a_kill_between_the_end_and_the_promotion_leaves_the_experiment_running(home: Home) -> None:
    """Both are in the ledger or none: a process that is killed after it wrote the first has decided nothing."""
    entry = stages.start(home, churn(), TRIAL, **WHO)
    before, stage = ledger.entries(home, "churn"), stage_of(home)
    assert stage is not None
    verdict, judged = decisions.judged(home, churn(), 1, **WHO, override=True)
    against = verdict.champion_digest
    child = os.fork()
    if child == 0:
        append, written = ledger_database.append, []

        def killed(connection: sqlite3.Connection, entry: Entry) -> None:
            if written:
                os.kill(os.getpid(), signal.SIGKILL)
            append(connection, entry)
            written.append(entry)

        ledger_database.append = killed
        try:
            stages.decide(home, churn(), entry, stage.treatments[0], judged, evidence={}, instead_of=against, is_promoted=True)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert ledger.entries(home, "churn") == before
    assert stage_of(home) is not None
    assert [entry.event for entry in decide(home, churn(), "treatment", override=True, **WHO)] == ["experiment", "promotion"]


def test_a_kill_after_a_decision_is_mended_by_the_next_command(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger holds the end and the promotion; services and MLflow follow it then."""
    stages.start(home, churn(), TRIAL, **WHO)
    settle = stages.settle

    def killed_after_the_entries(home: Home, spec: ProductSpec) -> None:
        if ledger.standing(home, spec.name).running is None:
            raise KeyboardInterrupt
        settle(home, spec)

    with monkeypatch.context() as broken:
        broken.setattr(stages, "settle", killed_after_the_entries)
        with pytest.raises(KeyboardInterrupt):
            decide(home, churn(), "treatment", override=True, **WHO)
    assert [entry.event for entry in ledger.entries(home, "churn")][-2:] == ["experiment", "promotion"]
    assert "split" in pointed(home)
    with suppress(ExperimentError):
        stages.running(home, churn())
    assert "split" not in pointed(home)
    doctor.examine(home, ["churn"])
    alias = registered_versions.holder(home, "churn", registered_versions.CHAMPION)
    assert alias is not None
    assert alias.version == 1


def test_a_kill_between_ledger_and_services_leaves_the_champion_and_the_next_command_ends_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger says that it runs; the next look makes services follow."""
    with monkeypatch.context() as broken:
        broken.setattr(stages, "settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            stages.start(home, churn(), TRIAL, **WHO)
    assert "split" not in pointed(home)
    assert stage_of(home) is not None
    stages.settle(home, churn())
    assert [arm["name"] for arm in pointed(home)["split"]["arms"]] == ["treatment", "control"]


def test_a_kill_after_an_end_is_mended_by_the_next_look_or_doctor(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a harmful arm would go on answering although the ledger says that nothing runs."""
    for mend in (lambda: stages.running(home, churn()), lambda: doctor.examine(home, ["churn"])):
        stages.start(home, churn(), TRIAL, **WHO)
        with monkeypatch.context() as broken:
            broken.setattr(stages, "settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                stages.stop(home, churn(), **WHO)
        assert stage_of(home) is None
        assert "split" in pointed(home)
        with suppress(ExperimentError):
            mend()
        assert "split" not in pointed(home)
    assert doctor.examine(home, ["churn"]) == []


def test_killed_at_any_moment_services_deal_as_the_ledger_says_after_the_next_command(home: Home) -> None:
    """Kills while experiments start, grow and are stopped, each at a random moment: no lock and no draft stays."""
    _change(home)  # the arms are packaged once
    started = time.perf_counter()
    _change(home)
    longest = max(0.4, 6 * (time.perf_counter() - started))
    chance = random.Random(17)  # noqa: S311 - when to kill
    before, states = len(ledger.entries(home)), set()
    for _ in range(10):
        child = os.fork()
        if child == 0:
            while True:  # it is going to be killed
                _change(home)
        time.sleep(chance.uniform(0.0, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        home.prepare()
        found = stages.current(home, churn())
        states.add(found[0].stage if found else None)
        dealt = [(arm["name"], arm["share"]) for arm in pointed(home).get("split", {}).get("arms", [])]
        assert dealt == ([(arm.name, arm.share) for arm in found[1].arms if arm.share] if found else [])
        assert verify(home).problems == []
        assert doctor.examine(home, ["churn"]) == []
        assert not any(home.temporary.iterdir())
    assert len(ledger.entries(home)) > before + 3, "the kills came in the middle of work"
    assert len(states) > 1, "and met it in different stages"


def _change(home: Home) -> None:
    """Start a canary, let it grow, and stop it; whichever comes next."""
    found = stages.current(home, churn())
    if found is None:
        stages.start(home, churn(), CANARY, **WHO)
    elif found[0].stage[1] == "start":
        stages.step(home, churn(), found[0], 0.5, {}, **WHO)
    else:
        stages.stop(home, churn(), **WHO)


def test_what_was_looked_at_is_what_is_ended(home: Home) -> None:
    """A look that took its time ends no other experiment that was started meanwhile."""
    bird = stages.start(home, churn(), CANARY, **WHO)
    stages.stop(home, churn(), **WHO)
    stages.start(home, churn(), TRIAL, **WHO)
    for act in (
        lambda: stages.end(home, churn(), bird, "back", **WHO),
        lambda: stages.step(home, churn(), bird, 0.5, {}, **WHO),
    ):
        with pytest.raises(ExperimentError, match="another stage runs by now than the one that this rests on, bird:start"):
            act()
    assert [entry.stage for entry in ledger.entries(home, "churn")][-1] == ("trial", "start")


def test_an_experiment_whose_record_is_gone_can_be_stopped_and_its_model_barred(home: Home) -> None:
    """What cannot be read must not keep a person from ending it."""
    for act in (lambda: stages.stop(home, churn(), **WHO), lambda: decisions.invalidate(home, churn(), 1, **WHO)):
        stages.start(home, churn(), TRIAL, **WHO)
        for path in (home.experiments / "churn").glob("trial-*.json"):
            path.unlink()
        act()
        assert stage_of(home) is None
        assert "split" not in pointed(home)


def test_what_was_dealt_by_the_shares_before_a_step_is_not_of_it(home: Home) -> None:
    """Services change a moment after the ledger: that is no mismatch."""
    bird = stages.start(home, churn(), CANARY, **WHO)
    before = stage_of(home)
    assert before is not None
    stages.step(home, churn(), bird, 0.5, {}, **WHO)
    stage = stage_of(home)
    assert stage is not None
    ended(home, replace(before, began_at=stage.began_at), traffic(before, 2000))
    found = looks.take(home, churn(), stage, now_of(stage))
    assert found.mismatch > 0.99
    assert [arm["units"][-1] for arm in found.arms] == [0, 0]


def test_harm_that_is_allowed_ends_nothing(home: Home) -> None:
    """Surely worse, but not surely by more than was declared; a canary of which units are lost is taken back."""
    stages.start(home, churn(), CANARY, **WHO)
    stage = stage_of(home)
    assert stage is not None
    lines = [(unit, arm, status, ms * (1.3 if arm == "treatment" else 1)) for unit, arm, status, ms in traffic(stage, 40_000)]
    ended(home, stage, lines)
    found = steering.look(home, churn(), now_of(stage), is_dry=True).look
    latency = next(item for item in found.guardrails if item.metric == "latency_ms")
    assert latency.low[-1] is not None
    assert latency.low[-1] > 0
    assert latency.verdict == "not worse"
    assert found.verdict != "harmful"


def test_a_changed_record_is_not_followed(home: Home) -> None:
    """Who deals is in the ledger's entry by its digest."""
    entry = stages.start(home, churn(), TRIAL, **WHO)
    (path,) = (home.experiments / "churn").glob("trial-*.json")
    path.write_text(path.read_text().replace('"share": 0.5', '"share": 0.6', 1))
    with pytest.raises(DigestError):
        experiment_records.read(home, entry)
    assert any("trial-" in str(problem) for problem in verify(home, deep=True).problems)


def test_prune_keeps_the_models_of_arms(home: Home) -> None:
    """However few champions are kept."""
    stages.start(home, churn(), TRIAL, **WHO)
    stage = stage_of(home)
    assert stage is not None
    spec = product("churn", retention={"keep_champions": 1, "refused_days": 0})
    kept = Retention(home, spec, [], datetime.now(UTC) + timedelta(days=400)).models
    assert {arm.model_digest for arm in stage.arms} <= kept


def test_a_shadow_is_pointed_to_and_has_no_arms(home: Home) -> None:
    """Its package is there; asked for a look, it says where its report is."""
    stages.start(home, churn(), SHADOW, **WHO)
    told = pointed(home)
    assert "split" not in told
    shadow = Served.load(bento_package.pointer(home, "churn").parent / told["shadow"]["folder"])
    assert shadow.promise["model_version"] == 1
    with pytest.raises(ExperimentError, match="experiment report"):
        steering.look(home, churn(), datetime.now(UTC))


def test_a_ledger_of_an_earlier_version_takes_experiments(home: Home) -> None:
    """Its table knew fewer events."""
    file = ledger_database.database(home)
    before = ledger.entries(home)
    with closing(sqlite3.connect(file)) as connection:
        ((written,),) = connection.execute("select sql from sqlite_master where name = 'entries'").fetchall()
        earlier = written.replace(", 'experiment'", "")
        assert earlier != written
        connection.executescript(
            "drop trigger entries_are_kept; drop trigger entries_stay_as_they_are; alter table entries rename to later; "
            f"{earlier}; insert into entries select * from later; drop table later; "
            "create trigger entries_are_kept before delete on entries begin select raise(abort, 'x'); end; "
            "create trigger entries_stay_as_they_are before update on entries begin select raise(abort, 'x'); end;"
        )
    stages.start(home, churn(), TRIAL, **WHO)
    assert ledger.entries(home)[:-1] == before


def test_the_asset_looks_and_its_sensor_asks_only_while_something_runs(home: Home, tmp_path: Path) -> None:
    """A tick without an experiment says so; with one it asks for a look, which takes the harmful canary back."""
    customers(6000).to_csv(tmp_path / "customers.csv", index=False)
    spec = churn().model_copy(update={"experiments": (CANARY,)})
    defined = definitions(home, tmp_path, spec)
    sensor = experiment_sensor(spec)
    with resources.instance(home) as instance:

        def tick() -> Any:
            given = {"home": home, "graph": defined.resources["graph"]}
            with dg.build_sensor_context(instance=instance, resources=given) as context:
                return sensor.evaluate_tick(context)

        assert tick().skip_message == "no experiment of churn runs"
        stages.start(home, spec, CANARY, **WHO)
        assert tick().run_requests[0].tags[REASON] == "a look at bird"
        stage = stage_of(home)
        assert stage is not None
        ended(home, stage, traffic(stage, 20_000, errors=0.03, harm=3.0))
        asset = next(item for item in defined.assets or () if item.key == dg.AssetKey(["churn", "experiment"]))
        done = dg.materialize([asset], instance=instance, resources=defined.resources, selection=[asset.key])
        (made,) = done.asset_materializations_for_node("churn__experiment")
        assert made.metadata["stage"].value == "back"
        (check,) = done.get_asset_check_evaluations()
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert tick().skip_message == "no experiment of churn runs"
        # as a kill after the ledger's entry leaves it
        write_json(bento_package.pointer(home, "churn"), {**pointed(home), "split": {"experiment": "bird", "arms": []}})
        assert tick().run_requests[0].tags[REASON] == "services still deal to arms"
        dg.materialize([asset], instance=instance, resources=defined.resources, selection=[asset.key])
        assert "split" not in pointed(home)


def test_the_asset_off_policy_tells_what_the_newest_version_would_have_cost(home: Home, tmp_path: Path) -> None:
    """On demand; its check fails while the log says too little of the version, and nothing is written then."""
    spec = churn().model_copy(update={"experiments": (TRIAL,)})
    customers(60).to_csv(tmp_path / "customers.csv", index=False)
    stages.start(home, spec, TRIAL, **WHO)
    stage = stage_of(home)
    assert stage is not None
    log = PredictionLog(home.served / "churn", 1.0)
    for arm in stage.arms:
        model = Model.load(home.models / "churn" / arm.model_digest, arm.model_digest)
        served = promised(home, model, tmp_path / arm.name, entity={"name": "customer", "keep": "plain"})
        for number in range(150):
            item = served.bodies.row({**ROW, "visits": float(number % 9)})
            told = served.predict([item])[1]
            log.add(
                f"{arm.name}-{number}", served, [item], told, entity=f"{arm.name}{number}", assignment=assign(stage, arm.name)
            )
    log.close()
    key, page = dg.AssetKey(["churn", "off_policy"]), home.experiments / "churn" / "off_policy" / "version-2.html"
    results = []
    with resources.instance(home.prepare()) as instance:
        job = definitions(home, tmp_path, spec).resolve_implicit_global_asset_job_def()
        for known in (20, 150):
            lines = [
                f"{arm.name}-{number},{number % 2},{datetime.now(UTC).isoformat()}"
                for arm in stage.arms
                for number in range(known)
            ]
            labels = tmp_path / f"{known}.csv"
            labels.write_text("\n".join(["request_id,outcome,observed_at", *lines]) + "\n", encoding="utf-8")
            outcome_intake.take(home, spec, labels, "person:tester", datetime.now(UTC))
            done = job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False)
            (check,) = done.get_asset_check_evaluations()
            results.append((done.success, check.check_name, check.passed, page.exists()))
    assert results == [(False, "overlap", False, False), (True, "overlap", True, True)]
    (made,) = done.get_asset_materialization_events()
    metadata = made.materialization.metadata
    assert metadata["version"].value == 2
    assert metadata["told"].value.startswith("Version 2 would have cost ")
    assert metadata["logged_cost"].value > 0
    assert verify(home).problems == []
    assert not definitions(home, tmp_path, churn()).resolve_asset_graph().has(key)


def assign(stage: Stage, name: str) -> Assignment:
    """Into which arm, and how probable that was."""
    (arm,) = (arm for arm in stage.arms if arm.name == name)
    return Assignment(stage.experiment, name, arm.share)

"""A replay sees nothing of the future, decides as production does, and goes on where it was interrupted."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError, GateRefusedError, SpecificationError
from assets.features import publish, snapshots
from assets.features.snapshots import Snapshot, read
from assets.ingestion import landed_tables
from assets.promotion import ledger
from assets.replay import history, replay_page, settings, summary
from assets.replay.policy_runner import journal, played_steps
from assets.replay.what_if import injected
from assets.spec import ProductSpec, read_declaration
from assets.spec.replay import WhatIfSpec
from assets.storage.home import Home
from assets.training import current_model
from assets.warehouse import dbt_build
from orchestration.cli import console
from orchestration.cli.display_replay import show_policies
from orchestration.declarations import products
from orchestration.operations.verification.verify import verify
from tests.forks import Forked
from tests.models import snapshot_of
from tests.replays import MONTHS, copied, everyone, played, settled, spec_of
from tests.shop import run_products
from tests.world import REPOSITORY, World


@pytest.fixture(scope="module")
def home(replayed: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the policy that trains each month was played."""
    return copied(replayed, tmp_path_factory.mktemp("replay") / "home")


@pytest.fixture(scope="module")
def snapshot(home: Home) -> Snapshot:
    """All that ever came."""
    return snapshot_of(home, spec_of(), everyone())


def decided(told: list[dict[str, Any]], steps: int) -> list[dict[str, Any]]:
    """What was known and decided in the first steps: no time that it took, and nothing of hindsight."""
    kept = [{name: value for name, value in step.items() if name not in ("seconds", "answers")} for step in told[: steps + 1]]
    for step in kept:
        if step.get("trained"):
            step["trained"] = {name: value for name, value in step["trained"].items() if name != "seconds"}
    return kept


@pytest.fixture(scope="module")
def journals(home: Home, snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Four policies over three months."""
    return played(settled(home, snapshot, ["never", "monthly", "on_performance", "always"]))


def test_policies_do_what_they_say(home: Home, journals: dict[str, list[dict[str, Any]]]) -> None:
    """One never trains, one whenever there is anything new, one when an alarm of quality stands; the gate hears all."""
    assert [step["trained"] for step in journals["never"][1:]] == [None] * 3
    always = [step["trained"] for step in journals["always"][1:]]
    assert all(always)
    assert any(item["promoted"] for item in always), always
    for step in journals["on_performance"][1:]:
        alarmed = any(alarm["kind"] in ("quality", "expected_quality") for alarm in step["alarms"])
        settled_so = [item["outcome"] for item in step["decisions"]]
        assert (step["trained"] is not None) == ("requested" in settled_so)
        assert alarmed or not settled_so
    assert any(step["trained"] for step in journals["on_performance"][1:])
    costs = {name: sum(sum(step["answers"]["days"].values()) for step in told[1:]) for name, told in journals.items()}
    assert costs["always"] < 0.9 * costs["never"]
    assert len({step["trained"]["digest"] for step in journals["always"]}) == 4
    assert verify(home, deep=True).problems == []


def test_a_champion_answers_only_what_comes_after_its_promotion(journals: dict[str, list[dict[str, Any]]]) -> None:
    """The step in which it is promoted was answered by the one before; the next, by it from the clock of that step on."""
    told = journals["always"]
    promoted = next(step for step in told[1:] if step["trained"]["promoted"])
    place = promoted["step"]
    assert promoted["trained"]["version"] not in [item["version"] for item in promoted["served"]]
    after = [item["version"] for item in told[place + 1]["served"]]
    assert after == [promoted["served"][-1]["version"], promoted["trained"]["version"]]


def test_nothing_of_the_future_is_seen(home: Home, snapshot: Snapshot, journals: dict[str, list[dict[str, Any]]]) -> None:
    """Rows to come, and labels not yet known, are altered: what was decided before stays as it was."""
    first = settled(home, snapshot, ["on_performance", "always"])
    frame, moment = everyone(), pd.Timestamp(first.bounds[2])
    clock = pd.Timestamp(first.clock(2))
    unknown = frame["known"] > clock
    frame.loc[unknown, "churned"] = np.where(frame.loc[unknown, "churned"] == "yes", "no", "yes")
    later = frame["signed_up_at"] >= moment
    frame.loc[later, "visits"] = 49.0
    frame.loc[later, "plan"] = "pro"
    other = settled(home, snapshot_of(home, spec_of(), frame), ["on_performance", "always"])
    assert other.folder != first.folder
    found = played(other)
    for name in ("on_performance", "always"):
        assert decided(found[name], 2) == decided(journals[name], 2)
    assert decided(found["always"], 3) != decided(journals["always"], 3)
    landed, _ = history.landed(first, 2)
    kept = read(landed)
    assert kept["signed_up_at"].max() < moment
    assert kept.loc[kept["known"].isna(), "churned"].isna().all()
    assert kept["known"].max() <= clock


def test_the_last_champion_is_the_one_of_production(
    home: Home, snapshot: Snapshot, journals: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """The file as it was at each clock, run by Dagster: the same models and the same champion, digest for digest."""
    replay = settled(home, snapshot, ["always"])
    live, folder = Home(tmp_path / "live"), tmp_path
    for step in range(3):
        frame = everyone()
        frame = frame[frame["signed_up_at"] < replay.bounds[step]]
        open_still = frame["known"] > replay.clock(step)
        frame.loc[open_still, ["churned", "known"]] = None
        frame.to_csv(folder / "customers.csv", index=False)
        run_products(live, folder, replay.spec, until="champion", agrees=False)
        assert current_model.current(live, "churn")[0] == journals["always"][step]["trained"]["digest"]
        champion = ledger.standing(live, "churn").champion
        promoted = [told["trained"]["digest"] for told in journals["always"][: step + 1] if told["trained"]["promoted"]]
        assert champion is not None
        assert champion.model_digest == promoted[-1]


def test_what_was_killed_goes_on_where_it_was(
    home: Home, snapshot: Snapshot, journals: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Killed in the middle: what was played is not played again, and the end is that of one that was not killed."""
    replay = settled(home, snapshot, ["monthly", "always"])
    shutil.rmtree(replay.folder)
    with (tmp_path / "told").open("w+") as told:

        def begin() -> Forked:
            module = ("tests.orchestration.replay_in_processes", str(home.root), snapshot.digest)
            return Forked(*module, cwd=REPOSITORY, environment=os.environ, stdout=told.fileno(), stderr=told.fileno())

        process, folder = begin(), replay.played(replay.policies[1])
        deadline = time.monotonic() + 120
        while played_steps(folder) < 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reached = played_steps(folder)
        trained = {path: path.stat().st_mtime_ns for path in (replay.folder / "steps").glob("*-model.json")}
        assert 1 <= reached < 3, (tmp_path / "told").read_text()
        assert trained
        before = journal(replay, replay.policies[1])
        assert begin().wait() == 0, (tmp_path / "told").read_text()
    after = journal(replay, replay.policies[1])
    assert after[: reached + 1] == before
    assert all(path.stat().st_mtime_ns == then for path, then in trained.items())
    for policy in replay.policies:
        assert decided(journals[policy.name], 3) == decided(journal(replay, policy), 3)
    # both trained at each step, and each model was trained once
    assert len(list((replay.folder / "steps").glob("*-model.json"))) == len(replay.bounds)


INJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "sensor": ({"kind": "sensor_fails", "columns": ["visits"]}, "count(*) filter (where visits is not null) = 0"),
    "category": (
        {"kind": "category_disappears", "columns": ["plan"], "value": "free"},
        "count(*) filter (where plan = 'free') = 0",
    ),
    "labels": (
        {"kind": "labels_late", "days": 30},
        "min(known - signed_up_at) = interval 32 day and max(known - signed_up_at) = interval 32 day",
    ),
    "unit": ({"kind": "unit_changes", "columns": ["age"], "factor": 10.0}, "min(age) >= 180"),
    "shock": ({"kind": "target_shock", "share": 1.0, "value": "true"}, "bool_and(churned)"),
}


@pytest.mark.parametrize("name", INJECTED)
def test_what_is_injected_happens_then_and_there_only(home: Home, snapshot: Snapshot, name: str) -> None:
    """Between its days all rows are so; before and after, all is as it was."""
    given, holds = INJECTED[name]
    injection = {**given, "start": datetime(2024, 7, 1).date(), "end": datetime(2024, 7, 15).date()}
    what_if = WhatIfSpec.model_validate({"name": name, "description": name, "injections": [injection]})
    replay = settled(home, snapshot, ["never"], what_if=what_if)
    replay.shared.prepare()
    history.prepare(replay)
    inside = "signed_up_at >= '2024-07-01' and signed_up_at < '2024-07-15'"
    found = duckdb.execute(f"select {holds}, count(*) from '{replay.history}' where {inside}").fetchone()
    assert found is not None
    assert found[0] is True
    assert found[1] > 100
    columns = "customer_id, signed_up_at, age, plan, visits, churned, known"
    outside = f"select {columns} from '{{}}' where not ({inside})"
    apart = duckdb.execute(f"{outside.format(replay.history)} except {outside.format(snapshot.path)}").fetchall()
    assert apart == []


def test_a_broken_contract_stops_learning_and_not_serving(home: Home, snapshot: Snapshot) -> None:
    """A unit changes for good: nothing is published or taught from then on, and the champion goes on answering."""
    injection = {"kind": "unit_changes", "columns": ["age"], "factor": 10.0, "start": datetime(2024, 7, 5).date()}
    what_if = WhatIfSpec.model_validate({"name": "unit", "description": "ages in tenths", "injections": [injection]})
    told = played(settled(home, snapshot, ["always"], what_if=what_if))["always"]
    assert [bool(step["contract"]) for step in told[1:]] == [False, True, True]
    assert "age: must be at most 120" in told[2]["contract"][0]
    assert [step["trained"] is None for step in told[1:]] == [False, True, True]
    assert all(step["answers"]["labelled"] > 100 for step in told[1:])


def test_record_and_page_tell_all_policies(
    home: Home, snapshot: Snapshot, journals: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """The policy that cost least is to be taken; every figure has its interval; the page is one file, with pictures."""
    replay = settled(home, snapshot, list(journals))
    told = {policy.name: policy.told for policy in replay.policies}
    record = summary.summarised(replay.spec, told, journals, months=list(MONTHS), step="month", what_if=None)
    json.dumps(record, allow_nan=False)
    totals = {policy["name"]: policy["total"] for policy in record["policies"]}
    trainings = {policy["name"]: policy["trainings"] for policy in record["policies"]}
    for name, steps in journals.items():
        spent = sum(sum(step["answers"]["days"].values()) for step in steps[1:])
        assert totals[name] == pytest.approx(spent + 100 * trainings[name])
    best = record["recommendation"]["policy"]
    assert totals[best] == min(totals.values())
    for policy in record["policies"]:
        assert policy["low"] < policy["total"] < policy["high"]
        assert policy["regret"] == pytest.approx(policy["total"] - totals[best])
        for step in policy["steps"]:
            assert step["metric"]["low"] <= step["metric"]["value"] <= step["metric"]["high"]
    heard = next(policy for policy in record["policies"] if policy["name"] == "on_performance")
    assert sum(heard["alarms"].values()) > 0
    page = replay_page.write(tmp_path, record).read_text()
    assert f"Take <b>{best}</b>" in page
    assert not re.findall(r'(?:src|href)="http', page)
    assert {file.name for file in tmp_path.glob("*.png")} == {"money.png", "metric.png", "events.png"}


def test_without_any_label_there_is_nothing_to_compare(journals: dict[str, list[dict[str, Any]]]) -> None:
    """A cost of nothing would recommend anything."""
    steps = journals["never"]
    unlabelled = [steps[0], *({**step, "answers": {**step["answers"], "days": {}}} for step in steps[1:])]
    with pytest.raises(DataError, match="churn: no row that was played has a label"):
        summary.summarised(spec_of(), {"never": ""}, {"never": unlabelled})


def test_the_terminal_names_what_was_swept_and_who_did_as_well(
    journals: dict[str, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In brackets, which are no markup there, folded at 80 columns; policies that did the same are told in a breath."""
    monkeypatch.setattr(console, "PIPED_WIDTH", 80)
    monkeypatch.setenv("COLUMNS", "80")
    names = ["never", "on_drift[drift.floor=0.1]", "on_drift[drift.floor=0.3]"]
    same = dict.fromkeys(names, journals["never"])
    about = {"months": list(MONTHS), "step": "month", "what_if": None}
    show_policies(summary.summarised(spec_of(), dict.fromkeys(names, ""), same, **about))
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    together = re.sub(r"\s+", " ", said)
    assert "with 0 trainings, and as much did on_drift[drift.floor=0.1], on_drift[drift.floor=0.3]. In 100%" in together
    assert "surely dearer" not in said


def test_settings_can_be_swept(home: Home, snapshot: Snapshot) -> None:
    """Policies that listen are played with each value; the others once."""
    replay = settled(home, snapshot, ["never", "on_drift"], sweeps=["drift.threshold=0.1,0.3", "cooldown_days=0,7"])
    names = [policy.name for policy in replay.policies]
    assert names[0] == "never"
    assert names[1:] == [f"on_drift[drift.floor={floor},cooldown_days={days}]" for floor in ("0.1", "0.3") for days in (0, 7)]
    assert [policy.spec.monitoring.drift.floor for policy in replay.policies] == [0.1, 0.1, 0.1, 0.3, 0.3]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"policies": ["sometimes"]}, "sometimes is no policy. Policies: never, monthly"),
        ({"sweeps": ["drift.flor=0.1"]}, r"'drift.flor' is no number that may be swept. Such are: .*drift.floor"),
        ({"sweeps": ["drift.floor=low"]}, "'low' are no numbers"),
        ({"sweeps": ["drift.floor=7"]}, "drift.floor=7: Input should be less than 1"),
        ({"months": ("2024-08", "2024-06")}, "--from 2024-08 is after --to 2024-06"),
        ({"months": ("2024-06", "2034-01")}, r"its history is of 2024-.* to .*, so 2024-06 to 2034-01 cannot"),
        ({"months": ("2014-06", "2024-06")}, "the first model learns from what came before --from"),
    ],
)
def test_what_cannot_be_played_is_told(home: Home, snapshot: Snapshot, asked: dict[str, Any], message: str) -> None:
    """What is wrong, and what is allowed."""
    given = {"months": MONTHS, "step": "month", "policies": ["on_drift"], **asked}
    with pytest.raises(SpecificationError, match=message):
        settings.settings(home, spec_of(), snapshot, **given)


@pytest.mark.parametrize(
    ("injection", "message"),
    [
        (
            {"kind": "sensor_fails", "columns": ["visit"]},
            r"injections.0 \(sensor_fails\) names \['visit'\], which are not features",
        ),
        ({"kind": "unit_changes", "columns": ["plan"], "factor": 2.0}, "needs features of type number; plan is none"),
        ({"kind": "target_shock", "factor": 2.0}, "churn is binary and needs share and value"),
    ],
)
def test_what_cannot_be_injected_is_told(home: Home, snapshot: Snapshot, injection: dict[str, Any], message: str) -> None:
    """Before anything is played."""
    given = {"name": "wrong", "description": "", "injections": [{**injection, "start": datetime(2024, 7, 1).date()}]}
    replay = settled(home, snapshot, ["never"], what_if=WhatIfSpec.model_validate(given))
    with pytest.raises(SpecificationError, match=message):
        history.prepare(replay)


def test_without_a_first_champion_nothing_is_played(home: Home, snapshot: Snapshot) -> None:
    """The gate asks for more than the first model gives, so nobody would answer."""
    strict = spec_of(gates={"metrics": {"roc_auc": {"min": 0.99}}})
    with pytest.raises(GateRefusedError, match="the first model, of what was known on 2024-06-02, was refused"):
        played(settled(home, snapshot, ["never"], spec=strict))


def test_a_product_that_is_learnt_from_another_cannot_be_replayed(home: Home, snapshot: Snapshot) -> None:
    """The champion of today learnt what a step does not know yet."""
    learning = {"transfer": {"from": "elsewhere", "how": "refit"}}
    child = spec_of(model={"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "learning": learning})
    with pytest.raises(
        SpecificationError, match="learnt from the champion of elsewhere, and a replay does not know who served"
    ):
        settled(home, snapshot, ["never"], spec=child)


def test_products_without_an_order_of_time_cannot_be_replayed(home: Home, snapshot: Snapshot) -> None:
    """There are no steps, or a random split would show a step its future."""
    at_random = spec_of(split={"by": "random", "train": 0.6, "validation": 0.2, "test": 0.2})
    with pytest.raises(SpecificationError, match="a step would know its future"):
        settled(home, snapshot, ["never"], spec=at_random)
    timeless = replace_features(at_random)
    with pytest.raises(SpecificationError, match="no event_time"):
        settled(home, snapshot, ["never"], spec=timeless)


def replace_features(spec: ProductSpec) -> ProductSpec:
    """The same without a moment."""
    return spec.model_copy(update={"features": spec.features.model_copy(update={"event_time": None})})


def test_a_cut_of_the_flights_is_what_the_warehouse_gives_of_what_had_landed(world: World, ran: Home, tmp_path: Path) -> None:
    """Features are known at their moment: cut from all months, or made of four, the rows of these four are the same bytes."""
    tables = world.source.tables
    landed = {
        ("flights", name): [
            ran.root / item.file
            for item in landed_tables.records(ran, "flights", name)
            if item.partition not in ("2013-05", "2013-06")
        ]
        for name in tables
    }
    live = Home(tmp_path / "live").prepare()
    built = dbt_build.build(
        live, REPOSITORY / "dbt_project", world.warehouse.parameters, landed, ["+flight_delay"], tests=False
    )
    assert built.failed == []
    with publish.candidate(live, world.product) as connection:
        made = publish.write(live, world.product, connection)
    known = snapshots.current(ran, "flight_delay")
    replay = settings.settings(
        Home(tmp_path), world.product, known, months=("2013-05", "2013-06"), step="month", policies=["never"]
    )
    replay.shared.prepare()
    history.prepare(replay)
    cut, breaks = history.landed(replay, 0)
    assert breaks == []
    assert cut.rows == made.rows < known.rows
    assert cut.digest == made.digest


@pytest.mark.parametrize("file", sorted((REPOSITORY / "docs" / "what_if").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_examples_can_be_injected(file: Path, ran: Home) -> None:
    """Each is read as it stands, and fits the product that it is for."""
    what_if = read_declaration(file, WhatIfSpec, whole=True)
    product_of = "arrival_delay" if "arrival_delay" in what_if.description else "flight_delay"
    spec = products(product_of)[0][0]
    assert file.stem == what_if.name
    rows = snapshots.current(ran, "flight_delay").path
    query = injected(spec, what_if, f"(select *, 1.0 as arrival_delay_minutes from '{rows}')")
    assert duckdb.execute(f"select count(*) from ({query})").fetchall()[0][0] > 1000

"""The policy `online`: it learns labels as they arrive, sees nothing of the future, and is compared with the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import SpecificationError
from assets.features.snapshots import Snapshot
from assets.replay import history, replay_page, summary
from assets.replay.online_runner import player
from assets.replay.policy_runner import journal
from assets.replay.settings import Replay, settings
from assets.spec import ProductSpec
from assets.spec.replay import WhatIfSpec
from assets.storage.home import Home
from tests.models import snapshot_of
from tests.replays import MONTHS, TURNS, copied, everyone, spec_of
from tests.shop import KINDS


@pytest.fixture(scope="module")
def home(replayed: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the policy that trains each month was played."""
    return copied(replayed, tmp_path_factory.mktemp("online") / "home")


@pytest.fixture(scope="module")
def snapshot(home: Home) -> Snapshot:
    """All that ever came; labels turn round in June."""
    return snapshot_of(home, spec_of(), everyone())


def settled(home: Home, snapshot: Snapshot, *policies: str, spec: ProductSpec | None = None, **more: Any) -> Replay:
    """What is played."""
    return settings(home, spec or spec_of(), snapshot, months=MONTHS, step="month", policies=policies or ["online"], **more)


def played(replay: Replay) -> dict[str, list[dict[str, Any]]]:
    """All policies, played in this process."""
    replay.shared.prepare()
    history.prepare(replay)
    for policy in replay.policies:
        player(replay, policy).play()
    return {policy.name: journal(replay, policy) for policy in replay.policies}


@pytest.fixture(scope="module")
def journals(home: Home, snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Online learning beside a model that is never trained again."""
    return played(settled(home, snapshot, "never", "online"))


def test_it_follows_what_changed_without_a_training(journals: dict[str, list[dict[str, Any]]]) -> None:
    """From June on labels are turned round: what learns them row by row costs less than what never learns."""
    told = journals["online"]
    assert [step["trained"] for step in told[1:]] == [None] * 3
    learned = [step["learned"]["rows"] for step in told[1:]]
    assert learned == sorted(set(learned))
    costs = {name: sum(sum(step["answers"]["days"].values()) for step in found[2:]) for name, found in journals.items()}
    assert costs["online"] < 0.9 * costs["never"]
    rows = {name: [step["answers"]["rows"] for step in found[1:]] for name, found in journals.items()}
    assert rows["online"] == rows["never"]


def test_it_pays_for_what_it_does_not_decide(home: Home, snapshot: Snapshot, journals: dict[str, list[dict[str, Any]]]) -> None:
    """As the other policies do: where someone else decides for nearly nothing, only what is sure costs anything."""
    spec = spec_of(uncertainty={"coverage": 0.95}, abstain={"cost": 1e-6})
    told = {"decided": journals["online"], "abstaining": played(settled(home, snapshot, spec=spec))["online"]}
    costs = {name: sum(sum(step["answers"]["days"].values()) for step in found[1:]) for name, found in told.items()}
    assert 0 < costs["abstaining"] < 0.7 * costs["decided"]


def test_it_is_a_row_of_the_table_and_of_the_page(journals: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    """Money with its interval beside the others', no training, no promotion."""
    told = {name: name for name in journals}
    record = summary.summarised(spec_of(), told, journals, months=list(MONTHS), step="month", what_if=None)
    found = {item["name"]: item for item in record["policies"]}
    assert ">online<" in replay_page.write(tmp_path, record).read_text(encoding="utf-8")
    assert found["online"]["trainings"] == 0
    assert found["online"]["low"] < found["online"]["total"] < found["online"]["high"]
    assert found["online"]["regret"] == 0


def test_nothing_of_the_future_is_seen(home: Home, snapshot: Snapshot, journals: dict[str, list[dict[str, Any]]]) -> None:
    """Labels that had not arrived and rows that had not come are altered: earlier answers and states stay."""
    replay, frame = settled(home, snapshot), everyone()
    clock, moment = pd.Timestamp(replay.clock(2)), pd.Timestamp(replay.bounds[2])
    unknown = frame["known"] > clock
    frame.loc[unknown, "churned"] = np.where(frame.loc[unknown, "churned"] == "yes", "no", "yes")
    frame.loc[frame["signed_up_at"] >= moment, "plan"] = "pro"
    other = played(settled(home, snapshot_of(home, spec_of(), frame)))["online"]
    for step in (1, 2):
        assert other[step]["served"] == journals["online"][step]["served"]
    assert other[1]["answers"] == journals["online"][1]["answers"]
    assert other[3]["served"] != journals["online"][3]["served"]


def test_rows_that_break_their_contract_are_answered_and_not_learned(home: Home, snapshot: Snapshot) -> None:
    """What was learned before goes on answering; what landed with such rows is not learned."""
    wrong = {"kind": "unit_changes", "start": "2024-07-02", "columns": ["visits"], "factor": 1000.0}
    what_if = WhatIfSpec.model_validate(
        {"name": "wrong_unit", "description": "Visits in thousandths.", "injections": [wrong]}, strict=False
    )
    told = played(settled(home, snapshot, what_if=what_if))["online"]
    assert [bool(step["contract"]) for step in told[1:]] == [False, True, True]
    assert told[2]["learned"] == told[1]["learned"] == told[3]["learned"]
    assert told[2]["answers"]["rows"] > 0
    assert pd.Timestamp("2024-07-02") > TURNS


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({"target": KINDS["churn"]["target"]}, "'target.known_at' is missing, but a row is learned when its label arrives"),
        (
            {name: KINDS["tier"][name] for name in ("target", "cost")} | {"gates": {}},
            "a multiclass target has no online model",
        ),
    ],
)
def test_a_product_that_cannot_be_learned_online_is_told(
    home: Home, snapshot: Snapshot, parts: dict[str, Any], wanted: str
) -> None:
    """Before anything is played."""
    with pytest.raises(SpecificationError, match=wanted):
        settled(home, snapshot, spec=spec_of(**parts))

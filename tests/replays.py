"""Replays of a shop's customers whose labels turn round in June, and a home in which they were played once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assets.features.snapshots import Snapshot
from assets.replay import history, settings
from assets.replay.policy_runner import Player, journal
from assets.replay.settings import Replay
from assets.spec import ProductSpec
from assets.storage.home import Home
from tests.models import snapshot_of
from tests.shop import COLUMNS, KINDS, customers, product

MONTHS = ("2024-06", "2024-08")
SPLIT = {"by": "days", "train": 30, "validation": 12, "test": 12}
TURNS = pd.Timestamp("2024-06-05")


def spec_of(**parts: Any) -> ProductSpec:
    """Customers whose churn is known two days later; a training costs as much as fifty who leave unseen."""
    columns = {**COLUMNS, "churned": {**COLUMNS["churned"], "nullable": True}, "known": {"type": "timestamp", "nullable": True}}
    declared = {
        "source": {"file": "customers.csv", "key": ["customer_id"], "columns": columns},
        "target": {**KINDS["churn"]["target"], "known_at": "known"},
        "split": SPLIT,
        "baseline": {"by": {"age": 10}},
        "monitoring": {"period": "month", "min_rows": 50, "quality": {"min_labelled": 50}},
        "promotion": {"min_saving": -10_000.0},
        "replay": {"training_cost": 100.0},
        "gates": {"metrics": {"roc_auc": {"min": 0.51}}, "slices": {"level": "warning"}},
    }
    return product("churn", **{**declared, **parts})


def everyone(rows: int = 9000) -> pd.DataFrame:
    """All customers that ever came. From `TURNS` on, those who would have left stay, and the others leave."""
    frame = customers(rows).assign(known=lambda given: given["signed_up_at"] + pd.Timedelta(days=2))
    turned = frame["signed_up_at"] >= TURNS
    frame["churned"] = np.where(turned, np.where(frame["churned"] == "yes", "no", "yes"), frame["churned"])
    return frame


def settled(home: Home, snapshot: Snapshot, policies: list[str], *, spec: ProductSpec | None = None, **more: Any) -> Replay:
    """What is played."""
    return settings.settings(home, spec or spec_of(), snapshot, months=MONTHS, step="month", policies=policies, **more)


def played(replay: Replay) -> dict[str, list[dict[str, Any]]]:
    """All policies, played in this process."""
    replay.shared.prepare()
    history.prepare(replay)
    for policy in replay.policies:
        Player(replay, policy).play()
    return {policy.name: journal(replay, policy) for policy in replay.policies}


def play_monthly(home: Home) -> None:
    """Train on each step in an empty home, and play the policy that does so."""
    played(settled(home, snapshot_of(home.prepare(), spec_of(), everyone()), ["monthly"]))


def copied(replayed: Home, folder: Path) -> Home:
    """A copy of a home with replays; links between parts of them lead to the home that was copied."""
    shutil.copytree(replayed.root, folder, symlinks=True)
    return Home(folder)

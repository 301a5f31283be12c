"""Dagster's history: whole after a kill, and no other database is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import sqlalchemy

from assets.storage.home import Home
from orchestration import resources
from orchestration.event_history import held_open

KILLED = """
import os, signal, sys
from pathlib import Path
import dagster as dg
from assets.storage.home import Home
from orchestration import resources
with resources.instance(Home(Path(sys.argv[1])).prepare()) as instance:
    for number in range(3):
        instance.report_runless_asset_event(dg.AssetMaterialization(f"asset_{number}"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_recorded_before_a_kill_is_there(tmp_path: Path) -> None:
    """Every event is committed, though none waits for the disk."""
    home = Home(tmp_path / "home")
    done = subprocess.run([sys.executable, "-c", KILLED, str(home.root)], check=False)
    assert done.returncode == -9
    with resources.instance(home) as instance:
        assert sorted(key.to_user_string() for key in instance.all_asset_keys()) == ["asset_0", "asset_1", "asset_2"]


def test_only_databases_under_the_folder_are_synced_less(tmp_path: Path) -> None:
    """MLflow's and the ledger's keep their own setting, and afterwards Dagster's have theirs."""
    (tmp_path / "dagster").mkdir()
    places = {name: f"sqlite:///{tmp_path / name}" for name in ("dagster/history.db", "other.db")}
    with held_open(tmp_path / "dagster"):
        assert _synchronous(places["dagster/history.db"]) == 1
        assert _synchronous(places["other.db"]) == 2
    assert _synchronous(places["dagster/history.db"]) == 2


def _synchronous(url: str) -> int:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        found: int = connection.execute(sqlalchemy.text("pragma synchronous")).scalar_one()
    engine.dispose()
    return found

"""The daemon, left alone: a month arrives in the source folder, and it is landed, built, watched, decided and trained on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.ingestion import landed_tables
from assets.monitoring import retraining_decisions
from assets.promotion import ledger, registered_versions
from assets.storage.home import REPOSITORY, Home
from orchestration import resources
from orchestration.staleness import waves
from orchestration.staleness.plan import plan
from orchestration.staleness.run_tags import RANGE_END, RANGE_START, REASON, TRIGGER
from orchestration.staleness.unfinished_runs import UNFINISHED
from tests.orchestration.daemon_world import FILES, daemon_world, next_month

SECONDS = 420
"""How long the daemon may take for all of it."""


@contextmanager
def daemon(home: Home, files: Path, log: Path) -> Iterator[None]:
    """The real daemon with all sensors started; it and what it started end with this block, whatever happens."""
    environment = resources.dagster_environment(home) | {FILES: str(files), "PYTHONPATH": str(REPOSITORY)}
    world, programs = ["-m", "tests.orchestration.daemon_world"], Path(sys.executable).parent
    start = [str(programs / "dagster"), "sensor", "start", "--start-all", *world]
    subprocess.run(start, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    with log.open("wb") as stream:
        command = [str(programs / "dagster-daemon"), "run", *world]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            finally:
                with contextlib.suppress(ProcessLookupError):  # its code server and runs are of its session
                    os.killpg(process.pid, signal.SIGKILL)


def until(is_so: Any, log: Path, deadline: float) -> None:
    """Wait until something is so; fail with the daemon's last words if it does not become so."""
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"the daemon took more than {SECONDS} s:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(1)


def test_a_month_that_arrives_is_landed_watched_and_trained_on(ran_copy: Home, small_files: Path, tmp_path: Path) -> None:
    """July comes; `loopline_loop` lands and rebuilds, the trigger starts the training, and the ledger says what the gate did."""
    files, log = tmp_path / "files", tmp_path / "daemon.log"
    shutil.copytree(small_files, files)
    world = daemon_world(files)
    world.run(ran_copy)
    before = len(ledger.standing(ran_copy, "flight_delay").entries)
    deadline = time.monotonic() + SECONDS
    with daemon(ran_copy, files, log):
        until(lambda: "Sensor loopline_loop skipped: nothing changed" in log.read_text(errors="replace"), log, deadline)
        next_month(files, 7)
        until(lambda: len(ledger.standing(ran_copy, "flight_delay").entries) > before, log, deadline)
        with resources.instance(ran_copy) as instance:
            until(lambda: not instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED)), log, deadline)
    july = next(record for record in landed_tables.records(ran_copy, "flights", "flights") if record.partition == "2013-07")
    assert july.rows_good > 5000
    assert july.rows_quarantined == 0
    with resources.instance(ran_copy) as instance:
        graph: Any = world.definitions(ran_copy).resolve_asset_graph()
        assert plan(graph, instance, ran_copy, waves.wanted_keys(graph)).is_empty, "`loopline run` finds nothing left to do"
        runs = instance.get_runs()
    (training,) = [run for run in runs if TRIGGER in run.tags]
    assert training.status is dg.DagsterRunStatus.SUCCESS
    landing = next(run for run in runs if run.tags.get("dagster/sensor_name") == "loopline_loop")
    assert (landing.tags[RANGE_START], landing.tags[RANGE_END]) == ("2013-01-01", "2013-07-01")
    assert not {dg.AssetKey(["flight_delay", name]) for name in waves.trained()} & set(landing.asset_selection or ())
    assert [item.outcome for item in retraining_decisions.decisions(ran_copy, "flight_delay")] == ["requested"]
    entry = ledger.standing(ran_copy, "flight_delay").entries[-1]
    assert entry.event in ("promotion", "refusal")
    assert f"Trained because of {training.tags[REASON]}" in entry.reason
    assert registered_versions.version(ran_copy, "flight_delay", entry.version).trained_because == training.tags[REASON]

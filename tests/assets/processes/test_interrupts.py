"""Ctrl-C is an interruption whatever a library makes of it, and no process that is only starting prints a traceback of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from assets.errors import WarehouseError
from assets.processes import interrupts
from assets.warehouse.dbt_invocation import run_dbt

LONG = "select sum(hash(i)) as x from range(1000000000000) as rows(i)"
STARTING = """
import os, signal, time
from assets.processes.companion import Companion
signal.signal(signal.SIGINT, lambda *_: None)
companion = Companion()
time.sleep({seconds})
os.killpg(0, signal.SIGINT)
print(companion.call(abs, -7))
"""
SERVER = """
import os, signal, time
from multiprocessing import forkserver
from assets.replay.parallel_runner import PRELOADED
signal.signal(signal.SIGINT, lambda *_: None)
forkserver.set_forkserver_preload(list(PRELOADED))
forkserver.ensure_running()
time.sleep(0.5)
os.killpg(0, signal.SIGINT)
os.waitpid(forkserver._forkserver._forkserver_pid, 0)
print("ended", flush=True)
os._exit(0)
"""


def test_what_duckdb_raises_is_an_interruption_also_under_another_error() -> None:
    """As a query that goes wrong by itself is none."""
    before = signal.signal(signal.SIGINT, _stop)
    try:
        with duckdb.connect() as connection, pytest.raises(RuntimeError) as raised:
            try:
                interrupted_query(connection, _StoppedError)
            except RuntimeError as error:
                raise RuntimeError("the rows cannot be read") from error
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupts.is_interrupt(raised.value)
    with duckdb.connect() as connection, pytest.raises(duckdb.Error) as wrong:
        connection.execute("select nothing")
    assert not interrupts.is_interrupt(wrong.value)


def test_an_interruption_that_a_handler_forgets_is_heard() -> None:
    """And no other signal is taken for one."""
    before = signal.signal(signal.SIGINT, lambda *_: None), signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        with interrupts.heard() as is_interrupted:
            os.kill(os.getpid(), signal.SIGALRM)
            assert not is_interrupted()
            os.kill(os.getpid(), signal.SIGINT)
            assert is_interrupted()
            assert is_interrupted()
        with interrupts.heard() as is_interrupted:
            assert not is_interrupted()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGALRM, before[1])


def test_dbt_is_interrupted_as_any_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Under a handler that raises what dbt does not know, as Dagster's; it is not told as a fault of the project."""
    before = signal.signal(signal.SIGINT, _stop)
    try:
        threading.Thread(target=_interrupt_when, args=[tmp_path / "warehouse.duckdb"]).start()
        with pytest.raises(KeyboardInterrupt):
            run_dbt(["build"], _project(tmp_path, LONG), tmp_path / "target", {})
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().out == ""


def test_what_dbt_says_of_a_broken_project_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Beside our own error."""
    with pytest.raises(WarehouseError, match="could not run in project"):
        run_dbt(["build"], _project(tmp_path, "select * from {{ ref('nobody') }}"), tmp_path / "target", {})
    assert "Encountered an error" in capfd.readouterr().out


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.06])
def test_a_companion_that_starts_prints_no_traceback(seconds: float) -> None:
    """A terminal's Ctrl-C reaches it, too; it goes on until its owner ends it."""
    program = [sys.executable, "-c", STARTING.format(seconds=seconds)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, process_group=0, timeout=60)
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_a_server_that_imports_what_a_replay_needs_ends_without_a_traceback() -> None:
    """From it the processes of a replay are forked; a terminal's Ctrl-C reaches it while it imports."""
    program = [sys.executable, "-c", SERVER]
    done = subprocess.run(program, capture_output=True, text=True, check=False, process_group=0, timeout=60)
    assert (done.stdout, done.stderr) == ("ended\n", "")


def interrupted_query(connection: duckdb.DuckDBPyConnection, heard_first: type[BaseException]) -> None:
    """Interrupt queries until it is DuckDB that hears of it, and not Python after a query; one takes half a second."""
    while True:
        timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])
        try:
            timer.start()
            connection.execute("select sum(hash(i)) from range(500000000) as rows(i)")
            timer.join()
        except heard_first:
            continue


class _StoppedError(BaseException):
    """As Dagster's."""


def _stop(*_: object) -> None:
    raise _StoppedError


def _interrupt_when(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            break
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGINT)


def _project(folder: Path, query: str) -> Path:
    """A dbt project of one table."""
    project = folder / "project"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: slow\nversion: '1.0'\nprofile: slow\nmodel-paths: [models]\n")
    output = f"{{type: duckdb, path: '{folder}/warehouse.duckdb', threads: 2}}"
    (project / "profiles.yml").write_text(f"slow: {{target: local, outputs: {{local: {output}}}}}\n")
    (project / "models" / "slow.sql").write_text(f"{{{{ config(materialized='table') }}}} {query}")
    return project

"""Ctrl-C in a run: it ends there, whoever hears it first, and nothing of it is told as a failure; on small assets of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from assets.storage.asset_result import AssetResult
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.scratch_database import scratch_database
from orchestration import resources
from orchestration.assembly import assemble
from orchestration.components.step import stage_asset
from orchestration.dagster_resources import HomeResource
from orchestration.staleness import waves
from orchestration.staleness.run_loop import run
from tests.assets.processes.test_interrupts import interrupted_query

FIRST, SECOND = dg.AssetKey("first"), dg.AssetKey("second")
OWNER = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from assets.storage.home import Home
from orchestration.staleness.parallel_products import make_side_by_side
make_side_by_side(Home(Path(sys.argv[1])), ["diamond_cut"], 1, on_wait=lambda _: print("waits", flush=True))
"""


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """SIGINT as a terminal's program has it; what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The home's instance."""
    with resources.instance(home) as opened:
        yield opened


def test_in_a_query_it_ends_the_run_and_is_no_attempt_that_failed(
    home: Home, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """DuckDB makes an error as any other of it."""
    made: list[str] = []

    def first(_: Home) -> AssetResult:
        made.append("first")
        with scratch_database(tmp_path) as connection:
            interrupted_query(connection, dg.DagsterExecutionInterruptedError)
        return AssetResult("1")

    def second(_: Home) -> AssetResult:
        made.append("second")
        return AssetResult("2")

    specs = [dg.AssetSpec(key, code_version="1") for key in (FIRST, SECOND)]
    declared = [stage_asset(body, spec=spec) for body, spec in zip((first, second), specs, strict=True)]
    definitions = assemble(dg.Definitions(assets=declared), HomeResource(folder=str(home.root)))
    with pytest.raises(KeyboardInterrupt):
        run(definitions, instance, home)
    assert made == ["first"]
    graph = definitions.resolve_asset_graph()
    assert waves.untried(graph, instance, home, waves.wanted_keys(graph))[1] == {}


def test_after_the_last_step_of_a_wave_it_ends_the_run(home: Home, instance: dg.DagsterInstance) -> None:
    """Dagster puts it off until the next step begins, and there is none."""

    @dg.resource
    def closed_late(_: dg.InitResourceContext) -> Iterator[None]:
        yield
        os.kill(os.getpid(), signal.SIGINT)

    @dg.asset(key=FIRST, code_version="1", required_resource_keys={"closed_late"})
    def first() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(data_version=dg.DataVersion("1"))

    declared = dg.Definitions(assets=[first], resources={"closed_late": closed_late})
    with pytest.raises(KeyboardInterrupt):
        run(assemble(declared, HomeResource(folder=str(home.root))), instance, home)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_worker_ends_with_who_started_it(home: Home, number: int) -> None:
    """Also while it makes a product, or waits for the home, and in a group of its own, which a terminal's end does not reach."""
    with exclusive(home.run_lock):
        program = [sys.executable, "-c", OWNER, str(home.root)]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as owner:
            try:
                assert owner.stdout is not None
                assert owner.stdout.readline() == "waits\n"
                (worker,) = psutil.Process(owner.pid).children()
                owner.send_signal(number)
                assert owner.wait(timeout=20) == -number
                worker.wait(timeout=20)
            finally:
                owner.kill()


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_a_step_that_is_interrupted_says_so(home: Home, options: tuple[str, ...]) -> None:
    """By an exit code of its own, as it did not fail."""
    with exclusive(home.run_lock):
        done = subprocess.Popen(
            [sys.executable, "-m", "orchestration", "step", "diamond_cut", "model", *options],
            env={**os.environ, "LOOPLINE_HOME": str(home.root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.stdout is not None
        assert "waiting" in done.stdout.readline()
        done.send_signal(signal.SIGINT)
        _, told = done.communicate(timeout=20)
    assert (done.returncode, told.strip()) == (130, "interrupted")

"""Exported DAGs under the real Airflow: the digests are those of `loopline run`, also after a kill and by a backfill."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from assets.storage.home import REPOSITORY, Home
from tests.clones import copied, loopline
from tests.shop import customers, product

AIRFLOW = REPOSITORY / ".venv-airflow" / "bin" / "airflow"
pytestmark = pytest.mark.skipif(not AIRFLOW.exists(), reason="Airflow is not set up: make airflow-test")
SAME = ("landing", "snapshot", "model", "evaluation", "leakage", "robustness", "predictions", "sql")
"""Assets whose content holds no time."""
SECONDS = 600


class AirflowWorld:
    """A clone that declares a small product and a source of two tables, and an Airflow with its DAGs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clone, self.home = folder, copied(folder / "clone"), Home(folder / "home")
        defs = self.clone / "orchestration" / "defs"
        for name in ("arrival_delay", "flight_delay", "diamond_cut", "warehouse"):
            shutil.rmtree(defs / name)
        source = defs / "sources" / "flights" / "defs.yaml"
        declared = yaml.safe_load(source.read_text(encoding="utf-8"))
        tables = declared["attributes"]["tables"]
        declared["attributes"]["tables"] = {name: tables[name] for name in ("airlines", "weather")}
        source.write_text(yaml.safe_dump(declared), encoding="utf-8")
        customers().to_csv(folder / "customers.csv", index=False)
        self.declare()
        self.dags = folder / "airflow" / "dags"
        done = loopline("export", "airflow", "--out", str(self.dags), home=self.home.root, cwd=self.clone)
        assert done.returncode == 0, done.stderr
        step = self.dags / "loopline_step.py"
        text = step.read_text(encoding="utf-8")
        assert "timedelta(seconds=60)" in text
        step.write_text(text.replace("timedelta(seconds=60)", "timedelta(seconds=1)"), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        address = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{AIRFLOW.parent}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(self.dags.parent),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.airflow("db", "migrate")
        self.airflow("pools", "import", str(self.dags / "pools.json"))

    def declare(self, **parts: object) -> None:
        """Declare the product, some of its parts replaced."""
        spec = product("churn", **parts).model_dump(mode="json", exclude_defaults=True)
        spec["source"]["file"] = str(self.folder / "customers.csv")
        place = self.clone / "orchestration" / "defs" / "churn"
        place.mkdir(exist_ok=True)
        text = yaml.safe_dump({"type": "orchestration.components.ModelProduct", "attributes": spec})
        (place / "defs.yaml").write_text(text, encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """An Airflow process of its own group."""
        with (self.folder / "airflow.log").open("wb") as log:
            return subprocess.Popen(
                [AIRFLOW, *arguments], env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def airflow(self, *arguments: str) -> str:
        """What an Airflow command prints."""
        done = subprocess.run([AIRFLOW, *arguments], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """The table that an Airflow command prints, which warnings may precede."""
        lines = self.airflow(*arguments, "--output", "json").splitlines()
        found: list[dict[str, Any]] = json.loads(next((line for line in reversed(lines) if line.startswith("[{")), "[]"))
        return found

    def log(self) -> str:
        """What the process that was started last printed."""
        return (self.folder / "airflow.log").read_text(encoding="utf-8", errors="replace")

    def states(self, dag: str) -> dict[str, str]:
        """The states of the tasks of a DAG's latest run by hand."""
        latest = max(run["run_id"] for run in self.rows("dags", "list-runs", dag))
        return {task["task_id"]: task["state"] for task in self.rows("tasks", "states-for-dag-run", dag, latest)}

    def step(self, home: Home, *arguments: str) -> dict[str, Any]:
        """The result of a step without Airflow."""
        done = loopline("step", *arguments, "--json", home=home.root, cwd=self.clone)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def digests(self, home: Home, *targets: str) -> dict[str, str]:
        """The data versions that a home records of assets whose content holds no time; nothing is made."""
        found = {}
        for target in targets:
            result = self.step(home, target)
            assert result["status"] == "kept", result
            for made in result["assets"]:
                if any(part in SAME for part in made["asset"].split("/")):
                    found[f"{made['asset']} {made['partition']}"] = made["data_version"]
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> AirflowWorld:
    """One Airflow for all tests."""
    return AirflowWorld(tmp_path_factory.mktemp("airflow_world"))


@pytest.fixture(scope="module")
def dagster(world: AirflowWorld) -> Home:
    """A home that `loopline run` made."""
    home = Home(world.folder / "dagster")
    ran = loopline("run", "churn", home=home.root, cwd=world.clone)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return home


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process and all that it started."""
    try:
        yield process
    finally:
        started = (
            [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            if process.poll() is None
            else []
        )
        for item in started:
            item.terminate()
        for item in psutil.wait_procs(started, timeout=20)[1]:
            item.kill()
        process.wait()


def test_an_error_fails_the_task_with_its_message(world: AirflowWorld) -> None:
    """Such as a stage whose input was never made."""
    with ended(world.start("tasks", "test", "loopline_product_churn", "training.model")) as process:
        process.wait(SECONDS)
    assert "churn/model: failed. not started, because its input churn/snapshot was never made" in world.log()
    assert "new_state=up_for_retry" in world.log()


def test_a_product_with_a_killed_step_has_the_digests_of_run(world: AirflowWorld, dagster: Home) -> None:
    """The step that trains is killed while it runs; Airflow tries again, and what comes out is the same."""
    killed = None
    with ended(world.start("dags", "test", "loopline_product_churn")) as process:
        deadline = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if killed is None:
                steps = [
                    item for item in psutil.Process(process.pid).children(recursive=True) if "churn/model" in _command(item)
                ]
                if steps:
                    killed = steps[0].pid
                    steps[0].kill()
            time.sleep(0.05)
        assert process.poll() == 0, world.log()[-3000:]
    assert killed is not None
    assert "churn/model: the step ended by -9 without a result" in world.log()
    found = world.digests(world.home, "churn")
    assert found.keys() >= {f"churn/{name} None" for name in SAME[1:]}
    assert found == world.digests(dagster, "churn")


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def test_a_refusal_by_the_gate_skips(world: AirflowWorld) -> None:
    """What follows the champion is skipped as well, and the run is no failure."""
    world.declare(gates={"metrics": {"roc_auc": {"min": 0.99}}})
    strict = Home(world.folder / "strict")
    refused = loopline("run", "churn", home=strict.root, cwd=world.clone)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    step = world.dags / "loopline_step.py"
    before = step.read_text(encoding="utf-8")
    step.write_text(before.replace(str(world.home.root), str(strict.root)), encoding="utf-8")
    made = r"(ingestion|features|training|evaluation)\..*"
    with ended(world.start("dags", "test", "loopline_product_churn", "--mark-success-pattern", made)) as process:
        assert process.wait(SECONDS) == 0, world.log()[-3000:]
    step.write_text(before, encoding="utf-8")
    states = world.states("loopline_product_churn")
    assert states["promotion.verdict"] == "success"
    assert {name for name, state in states.items() if state == "skipped"} == {
        "promotion.champion",
        *(f"serving.{name}" for name in ("bento", "predictions", "sql", "wheel", "parity")),
        "monitoring.monitoring",
    }
    assert "churn/champion: refused." in world.log()
    assert "0.99" in world.log()


def test_a_backfill_lands_its_two_months(world: AirflowWorld, tmp_path: Path) -> None:
    """By the scheduler of a real standalone Airflow; the months that were not asked for are not landed."""
    with ended(world.start("standalone")) as process:
        deadline = time.monotonic() + SECONDS
        while "loopline_source_flights" not in [row["dag_id"] for row in world.rows("dags", "list")]:
            assert process.poll() is None, world.log()[-3000:]
            assert time.monotonic() < deadline, world.log()[-3000:]
            time.sleep(2)
        world.airflow("dags", "unpause", "loopline_source_flights", "--yes")
        dates = ("--from-date", "2013-02-01", "--to-date", "2013-03-01")
        world.airflow("backfill", "create", "--dag-id", "loopline_source_flights", *dates)
        while True:
            runs = world.rows("dags", "list-runs", "loopline_source_flights")
            filled = [run["state"] for run in runs if run["run_id"].startswith("backfill")]
            assert "failed" not in filled, world.log()[-3000:]
            if filled == ["success", "success"]:
                break
            assert time.monotonic() < deadline, world.log()[-3000:]
            time.sleep(2)
    assert sorted(path.stem for path in (world.home.landing / "flights" / "weather").glob("*.json")) == [
        "2013-02",
        "2013-03",
    ]
    other = Home(tmp_path / "other")
    for home, status in ((other, "made"), (world.home, "kept")):
        for month in ("2013-02", "2013-03"):
            assert world.step(home, "landing/flights/weather", "--partition", month)["status"] == status
        assert world.step(home, "landing/flights/airlines")["status"] == status
    months = [world.step(home, "landing/flights/weather", "--partition", "2013-03")["assets"] for home in (other, world.home)]
    assert months[0] == months[1]

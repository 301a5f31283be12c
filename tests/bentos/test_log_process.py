"""The prediction log in a process of its own: nothing handed over is lost, whoever ends first, and what cannot be written is told."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from assets.storage.home import Home
from bentos.app import ModelApp
from bentos.companion import Companion
from bentos.log_blocks import complete
from bentos.log_process import LogProcess
from bentos.served import Served
from bentos.shadow import Shadow
from tests.bentos.serving import answering, until
from tests.models import promised, trained

ROW = {"age": 30.0, "plan": "free", "visits": 2.0}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a service for entities, which hides one of its columns."""
    path = tmp_path_factory.mktemp("logged")
    home = Home(path / "home").prepare()
    served = promised(home, trained(home, "churn"), path / "package", entity={"name": "plane", "keep": "plain"})
    promise = {**served.promise, "privacy": {"plan": "drop"}}
    (path / "package" / "promoted.json").write_text(json.dumps(promise))
    return path / "package"


def logged(folder: Path) -> list[tuple[Any, ...]]:
    """What the log holds, without moments."""
    found: list[tuple[Any, ...]] = []
    columns = "request_id, row_number, model_digest, features, prediction, caller, hidden, entity, output, decision"
    for file in folder.glob("*.sqlite"):
        complete(file)
        with closing(sqlite3.connect(file)) as connection:
            if connection.execute("select 1 from sqlite_master where name = 'predictions'").fetchone():
                found += connection.execute(f"select {columns} from predictions order by request_id, row_number").fetchall()
    return found


@pytest.fixture
def apps(package: Path, tmp_path: Path) -> list[ModelApp]:
    """The same service with both ways of writing its log."""
    served = Served.load(package)
    return [
        ModelApp(served, log_folder=tmp_path / "thread"),
        ModelApp(served, log_folder=tmp_path / "process", log_type=LogProcess),
    ]


def test_a_process_writes_what_a_thread_writes(apps: list[ModelApp], tmp_path: Path) -> None:
    """Also large batches, entities, and columns that are hidden."""
    rows = [{**ROW, "age": 18.0 + number % 60, "plan": "x" * 150} for number in range(1000)]
    for app in apps:
        with answering(app) as client:
            for number in range(50):
                headers = {"X-Request-ID": f"r{number}", "X-Entity-Key": f"N{number % 3}"}
                assert client.post("/predict", json={"row": ROW}, headers=headers).status_code == 200
            found = client.post("/predict_batch", json={"rows": rows}, headers={"X-Request-ID": "batch"})
            assert found.status_code == 200, found.text
    by_thread, by_process = logged(tmp_path / "thread"), logged(tmp_path / "process")
    assert len(by_thread) == 1050
    assert by_process == by_thread
    assert not any("plan" in json.loads(line[3]) for line in by_process)


def test_what_cannot_be_written_is_counted_and_said_and_a_killed_process_is_replaced(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Answers go on meanwhile."""
    monkeypatch.setattr("bentos.companion.AGAIN", 0.1)
    (tmp_path / "blocked").write_text("no folder")
    app = ModelApp(Served.load(package), log_folder=tmp_path / "blocked" / "log", log_type=LogProcess)

    def ask(client: httpx.Client) -> None:
        assert client.post("/predict", json={"row": ROW}).status_code == 200

    with answering(app) as client:
        ask(client)
        until(lambda: "\nloopline_prediction_log_dropped_rows_total 1.0\n" in client.get("/metrics").text, 60)
        assert isinstance(app.log, LogProcess)
        process = app.log.companion.process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: app.log.companion.process not in {None, process})  # type: ignore[union-attr]
        (tmp_path / "blocked").unlink()
        for _ in range(20):
            ask(client)
    told = capfd.readouterr().err
    assert "blocked/log cannot be written (" in told
    assert "ended with code -9" in told
    assert len(logged(tmp_path / "blocked" / "log")) == 20


def test_what_was_handed_over_is_written_when_the_service_is_killed(package: Path, tmp_path: Path) -> None:
    """The process ends by itself, with what it had."""
    program = (
        "import sys, time; from pathlib import Path; from bentos.log_process import LogProcess; from bentos.served import Served\n"
        f"served = Served.load(Path({str(package)!r})); log = LogProcess(Path({str(tmp_path / 'log')!r}), 1.0)\n"
        "rows = [(30.0, 'free', 2.0)]; answers = served.predict(rows)[1]\n"
        "for number in range(1000): log.add(f'r{number}', served, rows, answers)\n"
        "log.look(); print(log.companion.process.pid, len(log.companion.waiting), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        _, waiting = service.stdout.readline().split()
        service.kill()
    until(lambda: len(logged(tmp_path / "log")) == 1000 - int(waiting), 60)
    assert int(waiting) < 1000


@pytest.fixture
def asked(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Hands so many requests of one row over; a process that ended is started again soon."""
    monkeypatch.setattr("bentos.companion.AGAIN", 0.05)
    served = Served.load(package)
    answers = served.predict([(30.0, "free", 2.0)])[1]
    numbers = itertools.count()

    def ask(log: LogProcess, many: int, plan: str = "free") -> None:
        for _ in range(many):
            log.add(f"r{next(numbers):06}", served, [(30.0, plan, 2.0)], answers)

    return ask


def test_what_comes_while_no_process_is_there_is_written_by_the_next(asked: Callable[..., None], tmp_path: Path) -> None:
    """Which has not heard yet who answered; what the killed one had is counted as dropped, or written."""
    dropped, told = [0], list[str]()
    log = LogProcess(tmp_path / "log", 1.0, dropped.append, problem=told.append)
    for _ in range(3):
        asked(log, 100)
        log.look()
        process = log.companion.process
        assert process is not None
        process.kill()
        process.wait()
        asked(log, 100)
        log.look()
        assert log.companion.process is None
        asked(log, 100)
        until(lambda: (log.look(), log.companion.process is not None)[1])
        until(lambda: (log.look(), log.companion.handed == 0)[1])
    log.close()
    written = len(logged(tmp_path / "log"))
    assert written >= 600, told
    assert 900 <= written + sum(dropped) <= 1200
    assert sum("ended with code -9" in line for line in told) == len(told) // 2, told


def test_a_process_that_stands_still_costs_little_and_what_it_cannot_take_is_counted(
    asked: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again now and then, not more often the longer it stands; the service's memory is bounded."""
    tries, dropped = [0], [0]
    packet = Companion._packet

    def counted(self: Companion) -> tuple[bytes, int]:
        tries[0] += 1
        return packet(self)

    monkeypatch.setattr(Companion, "_packet", counted)
    log = LogProcess(tmp_path / "log", 1.0, dropped.append)
    process = log.companion.process
    assert process is not None
    log.companion.most_waiting = 100_000

    async def stand() -> None:
        os.kill(process.pid, signal.SIGSTOP)
        for _ in range(40):
            asked(log, 250, 1000 * "x")
            log.look()
            await asyncio.sleep(0.025)
        assert log.companion.waiting_bytes <= 100_000
        os.kill(process.pid, signal.SIGCONT)

    asyncio.run(stand())
    # in one second: 40 calls, and at most one try each 5 ms, beside those that succeeded
    assert tries[0] < 40 + 200 + 30
    log.close()
    assert sum(dropped) > 1000
    assert len(logged(tmp_path / "log")) + sum(dropped) == 10_000


def test_rows_that_a_process_never_wrote_are_counted_when_the_service_ends(
    asked: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still for longer than the service waits for it."""
    dropped, told = [0], list[str]()
    monkeypatch.setattr("bentos.log_process.LAST", 0.3)
    log = LogProcess(tmp_path / "log", 1.0, dropped.append, problem=told.append)
    process = log.companion.process
    assert process is not None
    asked(log, 500)
    log.look()
    until(lambda: (log.look(), log.companion.handed == 0)[1])
    os.kill(process.pid, signal.SIGSTOP)
    asked(log, 3000)
    log.close()
    assert process.poll() == -signal.SIGKILL
    assert sum(dropped) == 3000
    assert told == ["3,000 rows were handed over, and are not known to be written"]
    assert len(logged(tmp_path / "log")) == 500


def test_a_signal_to_all_ends_no_companion_that_still_starts(apps: list[ModelApp], tmp_path: Path) -> None:
    """A supervisor ends a service right after its first answer, with all of its children: the row is written."""
    _, app = apps
    with answering(app) as client:
        assert client.post("/predict", json={"row": ROW}).status_code == 200
        assert isinstance(app.log, LogProcess)
        process = app.log.companion.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert len(logged(tmp_path / "process")) == 1


def test_companions_give_way_to_the_service(package: Path, tmp_path: Path) -> None:
    """The log is nice; all threads of a shadow compute only while nobody else does, as they do from its first import on."""
    log = LogProcess(tmp_path / "log", 1.0)
    shadow = Shadow(package, "trial", tmp_path / "log")
    shadow.look()
    writer, answering_too = log.companion.process, shadow.process
    assert writer is not None
    assert answering_too is not None
    until(lambda: os.getpriority(os.PRIO_PROCESS, writer.pid) == 10)
    until(lambda: os.sched_getscheduler(answering_too.pid) == os.SCHED_IDLE)
    until(lambda: len(list(Path(f"/proc/{answering_too.pid}/task").iterdir())) > 1, 60)
    tasks = [int(task.name) for task in Path(f"/proc/{answering_too.pid}/task").iterdir()]
    assert {os.sched_getscheduler(task) for task in tasks} == {os.SCHED_IDLE}
    shadow.close(30.0)
    log.close()

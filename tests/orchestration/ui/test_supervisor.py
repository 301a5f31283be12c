"""`loopline ui` as a user starts it: the links in metadata open, and nothing is left behind when it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import dagster as dg
import psutil
import pytest

from assets.promotion import registered_versions
from assets.storage.home import REPOSITORY, Home
from orchestration import resources
from tests.clones import loopline
from tests.ports import free_port

SECONDS = 120
"""How long anything here may take."""


@contextmanager
def ui(home: Home, log: Path, pages: int, port: int) -> Iterator[psutil.Process]:
    """Start it as a shell starts something in its background: SIGINT is ignored."""
    environment = {**os.environ, "LOOPLINE_HOME": str(home.root), "LOOPLINE_PAGES_PORT": str(pages)}
    signals = ["env", "--ignore-signal=INT", "--default-signal=HUP,TERM"]
    command = [*signals, sys.executable, "-m", "orchestration", "ui", "--port", str(port)]
    with log.open("wb") as stream:
        process = psutil.Popen(command, cwd=REPOSITORY, env=environment, stdout=stream, stderr=stream, start_new_session=True)
    try:
        yield process
    finally:
        sys.stderr.write(log.read_text(errors="replace")[-5000:])
        for left in of_home(home):
            with contextlib.suppress(psutil.Error):
                left.kill()
        process.wait()


def of_home(home: Home) -> list[psutil.Process]:
    """All processes that were given this home, whoever started them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("LOOPLINE_HOME") == str(home.root):
                found.append(process)
    return found


def commands(home: Home) -> list[str]:
    """What they run."""
    found = []
    for process in of_home(home):
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return found


def opened(address: str) -> tuple[str, str]:
    """Where a link leads in the end, and the page there."""
    with urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 - of the server that is tested
        return answer.url, answer.read().decode()


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"after {SECONDS} s: {what}")
        time.sleep(0.1)


def listens(port: int) -> bool:
    """Whether anybody listens on a port."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def links(home: Home) -> dict[str, str]:
    """The addresses in the metadata of what was made last, by asset and name."""
    found = {}
    with resources.instance(home) as instance:
        for key in instance.get_asset_keys():
            event = instance.get_latest_materialization_event(key)
            assert event is not None
            assert event.asset_materialization is not None
            for name, value in event.asset_materialization.metadata.items():
                if isinstance(value, dg.UrlMetadataValue):
                    found[f"{key.to_user_string()}.{name}"] = str(value.url)
    return found


def test_links_in_metadata_open_and_nothing_is_left_after_the_end(ran_copy: Home, tmp_path: Path) -> None:
    """Pages, and runs in MLflow, which is started for the first; then a SIGTERM ends Dagster, MLflow and all they started."""
    recorded, port = links(ran_copy), free_port()
    pages = {urlsplit(address).port for address in recorded.values()}.pop()
    assert pages is not None
    runs = {name: address for name, address in recorded.items() if name.endswith(".mlflow_run")}
    assert set(runs) == {"flight_delay/challenger.mlflow_run", "flight_delay/champion.mlflow_run"}
    assert {name for name in recorded if name not in runs} == {
        "flight_delay/monitoring.page", "flight_delay/report.report", "flight_delay/verdict.page", "quality/flights.page",
    }  # fmt: skip
    with ui(ran_copy, tmp_path / "ui.log", pages, port) as process:
        until(lambda: listens(pages), "the page server does not answer")
        for name in recorded.keys() - runs.keys():
            assert "<html" in opened(recorded[name])[1], name
        (card,) = ran_copy.reports.glob("flight_delay/*/report.html")
        assert opened(recorded["flight_delay/report.report"])[1] == card.read_text(encoding="utf-8")
        assert not any("mlflow" in line for line in commands(ran_copy)), "it is not started before it is asked for"
        for address in runs.values():
            place, text = opened(address)
            assert "<title>MLflow</title>" in text
            page = urlsplit(place)
            registered = registered_versions.version(ran_copy, "flight_delay", 1)
            assert page.fragment.rpartition("/runs/")[2] == registered.run_id == address.rpartition("/")[2]
            run = json.loads(opened(f"http://{page.netloc}/api/2.0/mlflow/runs/get?run_id={registered.run_id}")[1])["run"]
            assert {"key": "model_digest", "value": registered.model_digest} in run["data"]["tags"]
            assert page.fragment.startswith(f"/experiments/{run['info']['experiment_id']}/")
        unknown = runs["flight_delay/champion.mlflow_run"][:-4] + "0000"
        with pytest.raises(HTTPError, match="404") as refused:
            opened(unknown)
        assert f"has no run '{unknown.rpartition('/')[2]}'" in refused.value.read().decode()
        until(lambda: listens(port), "the Dagster UI does not answer")
        started = commands(ran_copy)
        for program in ("dagster_webserver", "dagster._daemon", "mlflow server", "uvicorn"):
            assert any(program in line for line in started), (program, started)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) == 0
        assert of_home(ran_copy) == []
        assert not any(listens(taken) for taken in (port, pages, int(page.port or 0)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_dagster_starts_leaves_nothing_behind(ran_copy: Home, tmp_path: Path, number: signal.Signals) -> None:
    """Also SIGINT, which a shell lets it ignore in the background."""
    pages, port = free_port(), free_port()
    with ui(ran_copy, tmp_path / "ui.log", pages, port) as process:
        until(lambda: any("code-server" in line for line in commands(ran_copy)), "Dagster starts no code server")
        process.send_signal(number)
        assert process.wait(timeout=SECONDS) in (0, 1, 128 + signal.SIGINT, 128 + signal.SIGTERM)
        assert of_home(ran_copy) == []
        assert not listens(pages)


def test_dagsters_exit_code_is_ours(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong argument has click's."""
    monkeypatch.setenv("LOOPLINE_PAGES_PORT", str(free_port()))
    told = loopline("ui", "--port", str(free_port()), "--no-such-option", home=home.root)
    assert told.returncode == 2
    assert "No such option" in told.stderr
    assert of_home(home) == []


def test_a_taken_port_of_the_pages_is_one_clear_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that uses the next free one; nothing is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("LOOPLINE_PAGES_PORT", str(port))
        told = loopline("ui", "--port", str(free_port()), home=home.root)
    assert told.returncode == 1
    assert told.stderr.startswith(f"error port {port} of 127.0.0.1 cannot be listened on")
    assert "or use `LOOPLINE_PAGES_PORT=" in told.stderr
    assert "Traceback" not in told.stderr

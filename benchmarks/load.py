"""Requests under load: the champion's service, `mlflow models serve`, a hand-written FastAPI, the bare server.

Each runs alone with one worker, asked by wrk over loopback connections that are always busy; rounds alternate.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from assets.processes.settings import SETTINGS
from assets.promotion import ledger
from assets.serving import bento_package
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import REPOSITORY, Home
from assets.training.estimators import trusted_types
from bentos.runtime import Model
from orchestration.resources import home_from_environment

PRODUCT, PORT = "flight_delay", 4123
CONNECTIONS, SECONDS, ROUNDS = 4, 6, 3
LOG_SECONDS = 3.0


@dataclass(frozen=True)
class Contender:
    """A server: how it is started, where it is asked what, when it is ready, and how long it is left alone then.

    It is asked over so many connections at once. Each waits a while after an answer, by a uniform law of the mean that is
    given; without one it is always busy.
    """

    name: str
    command: list[str]
    path: str
    body: bytes
    variables: dict[str, str]
    ready: str = "/readyz"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    certificate: Path | None = None
    settle_seconds: float = 0.0
    connections: int = CONNECTIONS
    pause_ms: int = 0

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http{'' if self.certificate is None else 's'}://127.0.0.1:{PORT}"

    def script(self, scratch: Path) -> Path:
        """What wrk sends."""
        body, script = scratch / "body", scratch / "post.lua"
        body.write_bytes(self.body)
        lines = [f"wrk.headers['{name}'] = '{value}'" for name, value in self.headers]
        if self.pause_ms:
            lines.append(f"function delay() return math.random(0, {2 * self.pause_ms}) end")
        script.write_text("\n".join(["wrk.method = 'POST'", f"wrk.body = io.open('{body}', 'rb'):read('*a')", *lines, ""]))
        return script


@dataclass(frozen=True)
class Loaded:
    """What wrk measured, and the processor time of all of the server's processes for a request."""

    per_second: float
    p99_ms: float
    microseconds: float


@dataclass(frozen=True)
class Medians:
    """Of each server's rounds, by their names: requests a second, the 99th percentile, and processor time for a request.

    The last holds on a busy machine too, where the first two say how much of it was left.
    """

    speed: dict[str, float]
    tail: dict[str, float]
    cost: dict[str, float]

    def rows(self) -> list[tuple[str, str, str]]:
        """A row for each server."""
        return [
            (
                f"{name}: requests a second, p99, processor time for one",
                f"{self.speed[name]:,.0f}/s, {self.tail[name]:.1f} ms, {self.cost[name]:,.0f} us",
                "",
            )
            for name in self.speed
        ]


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to, for one row in a request."""
    found = in_turn(contenders)
    speed, tail, cost = found.speed, found.tail, found.cost
    ours, *others = speed
    rivals = ("mlflow models serve", "FastAPI, by hand")
    goals = {"mlflow models serve": "at least 5", "FastAPI, by hand": "at least 3", "the bare server": "at least 0.35"}
    return [
        *found.rows(),
        *((f"ours / {name}, requests a second", f"{speed[ours] / speed[name]:.2f}", goals.get(name, "")) for name in others),
        *((f"ours / {name}, p99", f"{tail[ours] / tail[name]:.2f}", "at most 1" * (name in rivals)) for name in others),
        *((f"{name} / ours, processor time for a request", f"{cost[name] / cost[ours]:.2f}", "") for name in others),
    ]


def in_turn(contenders: Callable[[Home, Path], Sequence[Contender]]) -> Medians:
    """What servers do that are asked in alternating rounds."""
    if shutil.which("wrk") is None:
        raise SystemExit("The load is made by wrk. On Debian 12: apt-get install wrk")
    with tempfile.TemporaryDirectory() as scratch:
        all_of_them = contenders(home_from_environment(), Path(scratch))
        measured: dict[str, list[Loaded]] = {item.name: [] for item in all_of_them}
        for _ in range(ROUNDS):
            for contender in all_of_them:
                with running(contender) as process:
                    time.sleep(contender.settle_seconds)
                    measured[contender.name].append(_load(contender, Path(scratch), process))
    return Medians(
        *(
            {name: median(getattr(item, what) for item in found) for name, found in measured.items()}
            for what in ("per_second", "p99_ms", "microseconds")
        )
    )


def contenders(home: Home, scratch: Path) -> list[Contender]:
    """The servers, on the champion's model and one real row."""
    folder, bento = champion_folders(home)
    row = Model.load(folder, folder.name).signature["background"][0]
    given = {name: value for name, value in row.items() if value is not None}
    one, serve, port = json.dumps({"row": given}).encode(), [sys.executable, "-m"], ["--port", str(PORT)]
    log = {"LOOPLINE_PREDICTION_LOG": str(scratch / "log")}
    return [
        Contender("ours", [*serve, "bentoml", "serve", str(bento), *port], "/predict", one, {}),
        # the log's process starts a moment after the service is ready
        Contender(
            "ours, each answer logged",
            [*serve, "bentoml", "serve", str(bento), *port],
            "/predict",
            one,
            log,
            settle_seconds=LOG_SECONDS,
        ),
        Contender(
            "mlflow models serve",
            [*serve, "mlflow", "models", "serve", "-m", str(_logged(folder, scratch)), "--env-manager", "local", *port],
            "/invocations",
            json.dumps({"dataframe_records": [row]}).encode(),
            {"MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db"},
            "/ping",
        ),
        Contender(
            "FastAPI, by hand",
            [*serve, "uvicorn", "benchmarks.rival_fastapi:app", "--no-access-log", *port],
            "/predict",
            json.dumps(given).encode(),
            {"LOOPLINE_RIVAL": str(folder)},
            "/docs",
        ),
        Contender(
            "the bare server", [*serve, "uvicorn", "benchmarks.rival_bare:app", "--no-access-log", *port], "/", one, {}, "/"
        ),
    ]


def champion_folders(home: Home) -> tuple[Path, Path]:
    """Where the champion's model lies, and its bento."""
    champion = ledger.standing(home, PRODUCT).champion
    if champion is None:
        raise SystemExit(f"no champion of {PRODUCT}: run `loopline run {PRODUCT}`")
    return home.models / PRODUCT / champion.model_digest, bento_package.bento_folder(home, bento_package.tag_of(champion))


def _logged(folder: Path, scratch: Path) -> Path:
    """The same fitted pipeline, as MLflow serves scikit-learn models."""
    import mlflow.sklearn
    import skops.io

    spec = read_declaration(REPOSITORY / "orchestration" / "defs" / PRODUCT / "defs.yaml", ProductSpec)
    pipeline = skops.io.load(folder / "model.skops", trusted=list(trusted_types(spec)))
    target = scratch / "mlflow"
    mlflow.sklearn.save_model(
        pipeline, target, serialization_format="cloudpickle", pip_requirements=[], pyfunc_predict_fn="predict_proba"
    )
    return target


@contextmanager
def running(contender: Contender) -> Iterator[int]:
    """Start a server and wait until it is ready; its process id."""
    # MLflow starts its server by a name that it expects on the path
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, **SETTINGS, **contender.variables, "PYTHONPATH": str(REPOSITORY), "PATH": path}
    with subprocess.Popen(contender.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 120
            while not _answers(contender):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(f"{contender.name} does not start")
                time.sleep(0.1)
            yield process.pid
        finally:
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            process.wait(30)
            _, alive = psutil.wait_procs(family, timeout=10)
            for member in alive:
                member.kill()


def _load(contender: Contender, scratch: Path, process: int) -> Loaded:
    script = str(contender.script(scratch))
    command = ["wrk", "-t1", f"-c{contender.connections}", "--latency", "-s", script, f"{contender.url}{contender.path}"]
    subprocess.run([*command, "-d1"], check=True, capture_output=True)
    before = _processor_seconds(process)
    told = subprocess.run([*command, f"-d{SECONDS}"], check=True, capture_output=True, text=True).stdout
    spent = _processor_seconds(process) - before
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"{contender.name} answered with errors:\n{told}")
    speed, slowest = re.search(r"Requests/sec:\s+([\d.]+)", told), re.search(r"99%\s+([\d.]+)(us|ms|s)", told)
    requests = re.search(r"(\d+) requests in", told)
    if speed is None or slowest is None or requests is None:
        raise RuntimeError(f"wrk says nothing that is understood:\n{told}")
    tail = float(slowest[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[slowest[2]]
    return Loaded(float(speed[1]), tail, 1e6 * spent / int(requests[1]))


def _processor_seconds(process: int) -> float:
    """What a process and all below it have computed, for themselves and in the kernel."""
    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    return float(sum(times.user + times.system for times in (member.cpu_times() for member in family)))


def _answers(contender: Contender) -> bool:
    certificate = contender.certificate
    trusted = None if certificate is None else ssl.create_default_context(cafile=certificate)
    url = f"{contender.url}{contender.ready}"
    try:
        with urllib.request.urlopen(url, timeout=1, context=trusted) as answer:  # noqa: S310 - the loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    for line in rows():
        print(*line, sep=" | ")

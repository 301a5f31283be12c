"""Federated processes: each client is a process of its own, which Flower reaches over TLS; the model is that of the grid.

Here all processes run on this machine, with one file of rows for each client. On machines of their own, clients start the same
app (`deploy/federated`) by the same plan.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import DataError, EngineError
from assets.methods.federated.boosting import Boosted
from assets.methods.federated.client import Client
from assets.methods.federated.plan import Plan
from assets.methods.federated.result import read_result
from assets.methods.federated.rounds import Federated
from assets.storage.drafts import draft_folder
from assets.storage.home import REPOSITORY, Home
from assets.training.federated.local_authority import Certified, certified

ENVIRONMENT = REPOSITORY / ".venv-flower"
APP = REPOSITORY / "deploy" / "federated"
STARTED, ENDED = 60.0, 10.0
"""The seconds in which a server must listen, and in which a process that is asked to end must have ended."""


@dataclass
class Processes:
    """The processes of one run.

    Parameters
    ----------
    folder : Path
        An empty folder for all that they write.
    environment : Path
        Flower's environment.
    """

    folder: Path
    environment: Path = ENVIRONMENT
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of Flower's programs; what it prints goes into its log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [self.environment / "bin" / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.variables(),
                start_new_session=True,
            )
        return self.running[name]

    def variables(self) -> dict[str, str]:
        """All that a program is told by its environment: nothing of ours, no telemetry, and one thread."""
        return {
            "PATH": f"{self.environment / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.folder),
            "FLWR_HOME": str(self.folder / "flwr"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def stop(self) -> None:
        """End all of them, with the processes that they started."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for process in self.running.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, sent)
            until = time.monotonic() + ENDED
            for process in self.running.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(until - time.monotonic(), 0.1))

    def said(self, name: str) -> str:
        """The last lines that a program printed, without the boxes that it draws."""
        printed = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        lines = [told for line in printed if (told := line.strip(" ╭╮╰╯│─"))]
        return " ".join(lines[-3:]) or "it printed nothing"


def by_processes(
    home: Home, plan: Plan, members: Mapping[str, Client], *, seconds: float = 120.0, absent: tuple[str, ...] = ()
) -> tuple[Federated | Boosted, float]:
    """Train as `federate` does, with a process for each client.

    Parameters
    ----------
    home : Home
        Where to put files that are removed afterwards.
    plan, members
        What all take part by, and the clients by name.
    seconds : float
        The time that a client has for an answer.
    absent : tuple of str
        Clients that are expected and not started.

    Returns
    -------
    tuple of Federated or Boosted, and float
        What was found, and the seconds of all rounds.

    Raises
    ------
    EngineError
        If Flower is not set up, or does not start.
    DataError
        If too few clients answer.
    """
    require_flower()
    with draft_folder(home) as folder:
        processes = Processes(folder)
        try:
            _start(processes, plan, members, absent)
            return _result(processes, members, seconds)
        finally:
            processes.stop()


def require_flower(environment: Path = ENVIRONMENT) -> None:
    """Refuse where Flower is not set up."""
    if not (environment / "bin" / "flower-superlink").exists():
        raise EngineError("Flower is not set up: make flower")


def _start(processes: Processes, plan: Plan, members: Mapping[str, Client], absent: tuple[str, ...]) -> None:
    """Write what each process reads, and start the coordinator's server and the clients."""
    folder = processes.folder
    files = certified(folder, datetime.now(UTC))
    ports = _free_ports(len(members) + 1)
    (folder / "plan.json").write_text(json.dumps(plan.as_json(), sort_keys=True), encoding="utf-8")
    connection = {"address": f"127.0.0.1:{ports[0]}", "root-certificates": str(files.authority)}
    (folder / "flwr").mkdir()
    _write_toml(folder / "flwr" / "config.toml", {"superlink": {"default": "here"}, "superlink.here": connection})
    _start_server(processes, files, ports[0])
    for place, (name, client) in enumerate(sorted(members.items())):
        if name not in absent:
            _start_client(processes, files, client, place, ports)


def _start_server(processes: Processes, files: Certified, port: int) -> None:
    tls = ["--ssl-ca-certfile", files.authority, "--ssl-certfile", files.certificate, "--ssl-keyfile", files.key]
    server = processes.start(
        "server",
        "flower-superlink",
        *map(str, tls),
        *("--host", "127.0.0.1", "--port", str(port)),
        "--disable-runtime-dependency-installation",
    )
    until = time.monotonic() + STARTED
    while time.monotonic() < until and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise EngineError(f"Flower's server does not listen on port {port}: {processes.said('server')}")


def _start_client(processes: Processes, files: Certified, client: Client, place: int, ports: list[int]) -> None:
    """A client's process, told the files of its own rows, key and plan."""
    own = processes.folder / f"client_{place}"
    own.mkdir()
    rows: dict[str, Any] = {"numbers": client.rows.numbers, "categories": client.rows.categories, "labels": client.rows.labels}
    np.savez(own / "rows.npz", **rows)
    (own / "noise.key").touch(mode=0o600)
    (own / "noise.key").write_bytes(client.noise_key)
    told = {
        "client": client.name,
        "plan": str(processes.folder / "plan.json"),
        "rows": str(own / "rows.npz"),
        "noise-key": str(own / "noise.key"),
    }
    processes.start(
        f"client_{place}",
        "flower-supernode",
        *("--superlink", f"127.0.0.1:{ports[0]}", "--root-certificates", str(files.authority)),
        *("--host", "127.0.0.1", "--port", str(ports[place + 1])),
        *("--node-config", " ".join(f"{name}={json.dumps(value)}" for name, value in told.items())),
    )


def _result(processes: Processes, members: Mapping[str, Client], seconds: float) -> tuple[Federated | Boosted, float]:
    """Start the run, and wait for what it writes."""
    folder = processes.folder
    result = folder / "result.npz"
    said = {
        "plan": str(folder / "plan.json"),
        "clients": json.dumps(sorted(members)),
        "answer-seconds": seconds,
        "result": str(result),
    }
    _write_toml(folder / "run.toml", {"": said})
    run = processes.start("run", "flwr", "run", str(APP), "here", "--run-config", str(folder / "run.toml"))
    if run.wait(STARTED):
        raise EngineError(f"Flower did not start the run: {processes.said('run')}")
    error = result.with_suffix(".error")
    while not result.exists():
        if error.exists() and (told := error.read_text(encoding="utf-8")):
            raise DataError(told)
        if processes.running["server"].poll() is not None:
            raise EngineError(f"Flower's server ended: {processes.said('server')}")
        time.sleep(0.1)
    return read_result(result)


def _write_toml(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Tables of texts and numbers; a text of JSON is one of TOML."""
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]"] * bool(name) + [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()

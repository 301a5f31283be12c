"""MLflow's UI on the registry of a home: started when it is first asked for, as it takes seconds to import."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from assets.errors import HomeError
from assets.promotion import mlflow_client
from assets.storage import metadata
from assets.storage.home import Home
from orchestration import resources
from orchestration.ui.page_addresses import HOST
from orchestration.ui.process_group import ProcessGroup

START_SECONDS = 120
"""How long MLflow may take until it answers; two busy cores take 16 s."""
PAUSE = 0.2
"""Seconds between two looks at whether it answers."""


class MlflowServer:
    """MLflow's server, at most one; several threads may ask for it.

    Parameters
    ----------
    home : Home
        Whose registry it shows.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._process: ProcessGroup | None = None
        self._address = ""

    def run_page(self, run_id: str) -> str | None:
        """The address of a run's page in MLflow's UI; None where the registry has no such run.

        Raises
        ------
        HomeError
            If MLflow does not start.
        """
        if not metadata.exists(self._home, metadata.Part.REGISTRY):
            return None
        address = self._started()
        try:
            with urlopen(f"{address}/api/2.0/mlflow/runs/get?run_id={run_id}", timeout=30) as answer:  # noqa: S310 - ours
                experiment = json.load(answer)["run"]["info"]["experiment_id"]
        except HTTPError as error:
            if error.code == 404:
                return None
            raise
        return f"{address}/#/experiments/{experiment}/runs/{run_id}"

    def end(self) -> None:
        """End it, also while it starts; it is not started again."""
        self._ending.set()
        with self._lock:
            if self._process is not None:
                self._process.end()

    def _started(self) -> str:
        with self._lock:
            if self._process is None or not self._process.is_running:
                self._start()
            return self._address

    def _start(self) -> None:
        if self._ending.is_set():
            raise HomeError("MLflow is not started, as `loopline ui` ends.")
        if self._process is not None:
            self._process.end()  # its worker may be there still
        port = _free_port()
        registry = self._home.registry
        command = [
            str(Path(sys.executable).with_name("mlflow")), "server", "--host", HOST, "--port", str(port), "--workers", "1",
            "--no-serve-artifacts",
            "--default-artifact-root", (registry / "artifacts").as_uri(), "--uvicorn-opts", "--log-level warning",
        ]  # fmt: skip
        environment = resources.mlflow_environment(mlflow_client.address(self._home))  # no password on a command line
        self._process = ProcessGroup(command, environment=environment, folder=registry)
        self._address = f"http://{HOST}:{port}"
        until = time.monotonic() + START_SECONDS
        while not _answers(self._address):
            if self._ending.wait(PAUSE) or not self._process.is_running or time.monotonic() > until:
                self._process.end()
                raise HomeError(
                    f"MLflow did not start on port {port} of {HOST}. What it said stands in the output of `loopline ui`; "
                    "open the link again to try once more."
                )


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/health", timeout=5):  # noqa: S310 - ours
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
    return port

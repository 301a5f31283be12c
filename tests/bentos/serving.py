"""Services for tests, over real HTTP: a bento in a process of its own, or an application in a thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from assets.storage.home import Home
from bentos.app import ModelApp
from bentos.direct_protocol import DirectProtocol
from tests.ports import free_port


@contextmanager
def answering(app: ModelApp | ASGIApp, protocol: type[HttpToolsProtocol] = DirectProtocol) -> Iterator[httpx.Client]:
    """A client of an application, behind its gate or without one, that answers in a thread of this process, as in a bento."""
    port, asgi = free_port(), app.asgi() if isinstance(app, ModelApp) else app
    server = uvicorn.Server(uvicorn.Config(asgi, host="127.0.0.1", port=port, log_config=None, lifespan="on", http=protocol))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving(home: Home, tag: str, log: Path, **variables: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve a bento on a free port of the loopback."""
    port = free_port()
    environment = {**os.environ, **variables, "BENTOML_HOME": str(home.bentos), "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [sys.executable, "-m", "bentoml", "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(arguments, env=environment, stdout=stream, stderr=stream, cwd=log.parent)
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()
            process.wait(30)


def until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the service says that it is ready, at most a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
    pytest.fail(f"not ready: {log.read_text()[-2000:]}")


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until it is true, at most so many seconds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""How long the champion's service takes to be ready, and its memory then, in a home that was run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from statistics import median

import psutil

from orchestration.resources import home_from_environment


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    home = home_from_environment()
    store = home.bentos / "bentos"
    tag = next(f"{version.parent.name}:{version.name}" for version in sorted(store.glob("*/v*-*")) if version.is_dir())
    started = [_start(tag) for _ in range(3)]
    return [
        ("service ready after", f"{median(seconds for seconds, _ in started):.1f} s", "at most 5 s"),
        ("service's resident memory, all its processes", f"{median(memory for _, memory in started):,.0f} MB", ""),
    ]


def _start(tag: str) -> tuple[float, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "BENTOML_HOME": str(home_from_environment().bentos), "BENTOML_DO_NOT_TRACK": "True"}
    arguments = [sys.executable, "-m", "bentoml", "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    began = time.perf_counter()
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while time.perf_counter() - began < 60 and not _ready(port):
                time.sleep(0.02)
            seconds = time.perf_counter() - began
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            memory = sum(member.memory_info().rss for member in family) / 2**20
        finally:
            process.terminate()
    return seconds, memory


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    for row in rows():
        print(*row, sep=" | ")

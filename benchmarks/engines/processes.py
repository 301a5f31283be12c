"""Run a command to its end, and say what it and its children took: wall and processor seconds, and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from assets.processes.settings import SETTINGS

PAUSE = 0.5
"""Seconds between two looks at the memory of a command's processes."""


@dataclass(frozen=True)
class Ended:
    """A command that ended.

    Parameters
    ----------
    code : int
        Its exit code.
    seconds, processor : float
        Wall seconds, and processor seconds of it and of all its children; of those that it did not wait for
        (the Java of Spark), what was sampled.
    peak_mb : float
        The most that its processes held together in main memory that is their own, sampled.
    largest_mb : float
        The most that one of its processes held in main memory.
    out : str
        What it printed.
    """

    code: int
    seconds: float
    processor: float
    peak_mb: float
    largest_mb: float
    out: str


def environment(home: Path, repository: Path) -> dict[str, str]:
    """The environment of commands in a clone, on a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOPLINE_", "AWS_", "AIRFLOW"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, **SETTINGS, "LOOPLINE_HOME": str(home), "PYTHONPATH": str(repository), "COLUMNS": "80"}


def loopline(repository: Path, home: Path, *arguments: str, may_fail: bool = False) -> Ended:
    """A command of Loopline's own, in a clone."""
    command = [sys.executable, "-m", "orchestration", *arguments]
    return ended(command, repository, environment(home, repository), may_fail=may_fail)


def ended(command: Sequence[str], folder: Path, variables: Mapping[str, str], *, may_fail: bool = False) -> Ended:
    """Run a command to its end; unless it `may_fail`, another exit code than 0 is an error."""
    before, began = os.times(), time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, env=dict(variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        together, largest, is_done = [0.0], [0.0], threading.Event()
        sampled: dict[int, float] = {}
        looking = threading.Thread(target=_look, args=(process.pid, together, largest, sampled, is_done))
        looking.start()
        out = process.communicate()[0]
        is_done.set()
        looking.join()
    seconds, after = time.monotonic() - began, os.times()
    waited = after.children_user + after.children_system - before.children_user - before.children_system
    processor = max(waited, sum(sampled.values()))
    if process.returncode != 0 and not may_fail:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{out[-3000:]}")
    return Ended(process.returncode, seconds, processor, max(together), max(largest), out)


def sample(pid: int, seen: dict[int, float]) -> list[psutil.Process]:
    """Note the processor seconds of a process and of all below it so far, by their numbers; those that are there now."""
    family = [root := psutil.Process(pid), *root.children(recursive=True)]
    for process in family:
        times = process.cpu_times()
        seen[process.pid] = times.user + times.system
    return family


def _look(pid: int, together: list[float], largest: list[float], sampled: dict[int, float], is_done: threading.Event) -> None:
    while not is_done.wait(PAUSE):
        own, resident = [], []
        try:
            for process in sample(pid, sampled):
                memory = process.memory_full_info()
                own.append(memory.uss)
                resident.append(memory.rss)
        except psutil.Error:
            continue
        together.append(sum(own) / 1e6)
        largest.append(max(resident) / 1e6)

"""Measure a command: wall time and peak memory of it and all its children."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from assets.processes.settings import SETTINGS
from assets.storage.home import REPOSITORY


@dataclass(frozen=True)
class Measured:
    """Wall seconds, peak resident memory (MB) of the largest process, CPU seconds of all, and what it printed."""

    seconds: float
    peak_mb: float
    cpu_seconds: float = 0.0
    printed: str = ""


def measure(arguments: Sequence[str], home: Path, cwd: Path = REPOSITORY) -> Measured:
    """Run a Python module or command in a home and measure it; it must succeed."""
    environment = {**os.environ, **SETTINGS, "LOOPLINE_HOME": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as in a user's shell: some machines that build set it
    started = time.perf_counter()
    before = _children_seconds()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=cwd, env=environment, stdout=printed, stderr=subprocess.PIPE
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        printed.seek(0)
        told_out = printed.read()
    if status != 0:
        told = process.stderr.read().decode() if process.stderr else ""
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{told[-3000:]}")
    if process.stderr:
        process.stderr.close()
    return Measured(seconds, usage.ru_maxrss / 1024, _children_seconds() - before, told_out)


def _children_seconds() -> float:
    """User and system time of all children that ended, and of theirs that they waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def middle(measured: Sequence[Measured]) -> float:
    """The median of the wall seconds."""
    return median(item.seconds for item in measured)


def spread(measured: Sequence[Measured]) -> str:
    """The range of the wall seconds."""
    seconds = [item.seconds for item in measured]
    return f"{min(seconds):.1f} to {max(seconds):.1f} s"


def table(header: tuple[str, str, str], rows: Iterable[tuple[str, str, str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(header)} |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def machine() -> str:
    """What this was measured on."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, Python {platform.python_version()}"

"""What reviews of flights take, in a clone of the commit that is measured, on a copy of a home that it made.

`loopline review main HEAD --product flight_delay --from 2013-11 --to 2013-12`; each change is one commit. Memory is the
largest sum over all processes at one moment, looked at twice a second: pages that processes share count for each of them.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from assets.processes.settings import SETTINGS
from assets.storage.home import REPOSITORY
from assets.storage.home_copy import copied
from benchmarks.measuring import measure
from orchestration.resources import home_from_environment

PRODUCT = "flight_delay"
MONTHS = ("--from", "2013-11", "--to", "2013-12")
DECLARATION = Path("orchestration") / "defs" / PRODUCT / "defs.yaml"
LAST = Path("build") / "bench-review.md"
"""Where the comment of the parameter change is left, for docs/review.md."""


@dataclass(frozen=True)
class Reviewed:
    """Wall seconds, processor seconds, the peak of memory (MB), and the comment."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    comment: str


def rows() -> list[tuple[str, str, str]]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="bench-review-") as scratch:
        clone, home = Path(scratch) / "clone", copied(home_from_environment(), Path(scratch) / "home")
        _git(REPOSITORY, "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(clone))
        _git(clone, "checkout", "--quiet", "-B", "main")
        commit = _git(clone, "rev-parse", "--short", "HEAD").strip()
        measure(["-m", "orchestration", "run", PRODUCT], home.root, clone)
        nothing = _reviewed(clone, home.root)
        _commit(clone, Path("docs") / "notes.md", "words\n")
        documents = _reviewed(clone, home.root)
        module = Path("assets") / "training" / "training.py"
        _commit(clone, module, (clone / module).read_text(encoding="utf-8") + "\n# words\n")
        words = _reviewed(clone, home.root)
        declared = (clone / DECLARATION).read_text(encoding="utf-8")
        _commit(clone, DECLARATION, re.sub(r"learning_rate: 0\.1\b", "learning_rate: 0.06", declared))
        parameter = _reviewed(clone, home.root)
    (REPOSITORY / LAST).parent.mkdir(exist_ok=True)
    (REPOSITORY / LAST).write_text(parameter.comment, encoding="utf-8")
    told = [
        (f"nothing (commit {commit})", nothing, 30),
        ("a file of docs", documents, 30),
        ("a comment in the code", words, 30),
    ]
    told.append(("learning_rate 0.1 → 0.06", parameter, 300))
    return [
        *(
            (f"{name}: wall / processor", f"{item.seconds:.0f} s / {item.cpu_seconds:.0f} s", f"{most} s")
            for name, item, most in told
        ),
        ("memory of the last, all processes together", f"{parameter.peak_mb:,.0f} MB", "2,000 MB"),
    ]


def _reviewed(clone: Path, home: Path) -> Reviewed:
    command = [sys.executable, "-m", "orchestration", "review", "main", "HEAD", "--product", PRODUCT, *MONTHS]
    environment = {**os.environ, **SETTINGS, "LOOPLINE_HOME": str(home), "PYTHONPATH": str(clone)}
    began, peak, before = time.perf_counter(), [0.0], resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, cwd=clone, env=environment, stdout=subprocess.PIPE, text=True)
    watch = threading.Thread(target=_watch, args=(process.pid, peak))
    watch.start()
    said, _ = process.communicate()
    seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    watch.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {said}")
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return Reviewed(seconds, cpu, peak[0], said)


def _watch(pid: int, peak: list[float]) -> None:
    """Keep the largest sum of resident memory of a process and its children."""
    while psutil.pid_exists(pid):
        try:
            processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            peak[0] = max(peak[0], sum(item.memory_info().rss for item in processes) / 2**20)
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.5)


def _commit(clone: Path, file: Path, text: str) -> None:
    """A commit with one file changed, on a branch that leaves main."""
    _git(clone, "checkout", "--quiet", "-B", "change", "main")
    (clone / file).write_text(text, encoding="utf-8")
    _git(clone, "add", "--all")
    _git(
        clone, "-c", "user.name=bench", "-c", "user.email=bench@here", "commit", "--quiet", "--message", f"{file.name} changed"
    )


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout

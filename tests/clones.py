"""Copies of the repository to be changed, and the command line in one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from assets.storage.home import REPOSITORY
from benchmarks.tables.checkout import Checkout, Ended
from tests.forks import Forked


def copied(copy: Path) -> Path:
    """Copy what a user's clone needs to run, with what Python compiled, which holds as long as a file is not changed."""
    for name in ("assets", "bentos", "dbt_project", "deploy", "loopline", "orchestration", "requirements"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("logs"), copy_function=_copied_if_there)
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    return copy


def _copied_if_there(source: str, target: str) -> None:
    """Copy a file, with its time, unless it was another process's draft."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)


class ForkedCheckout(Checkout):
    """A copy for the runner of tables, whose commands hold the slow libraries from the start."""

    def loopline(self, *arguments: str, longest: float = 0) -> Ended:
        """Run a command, however long it takes."""
        began = time.perf_counter()
        done = loopline(*arguments, home=self.home, cwd=self.tree, columns=200)
        return Ended(done.returncode, done.stdout + done.stderr, time.perf_counter() - began)


def loopline(*arguments: str, home: Path, cwd: Path = REPOSITORY, columns: int = 80) -> subprocess.CompletedProcess[str]:
    """Run a command of its own, in a home."""
    return python("orchestration", *arguments, home=home, cwd=cwd, columns=columns)


def python(*module: str, home: Path, cwd: Path = REPOSITORY, columns: int = 80) -> subprocess.CompletedProcess[str]:
    """Run a module with arguments in a repository, and in a home."""
    environment = {**os.environ, "LOOPLINE_HOME": str(home), "COLUMNS": str(columns)}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        code = Forked(*module, cwd=cwd, environment=environment, stdout=out.fileno(), stderr=err.fileno()).wait()
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(["python", "-m", *module], code, out.read(), err.read())

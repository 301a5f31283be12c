"""Copies of the repository to be changed, and the command line in one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from assets.storage.home import REPOSITORY


def copied(copy: Path) -> Path:
    """Copy what a user's clone needs to run."""
    for name in ("assets", "bentos", "dbt_project", "deploy", "orchestration", "requirements"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "logs"))
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    return copy


def loopline(*arguments: str, home: Path, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run a command of its own, in a home."""
    return python("-m", "orchestration", *arguments, home=home, cwd=cwd)


def python(*arguments: str, home: Path, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run Python in a repository, and in a home."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "LOOPLINE_HOME": str(home), "COLUMNS": "80"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )

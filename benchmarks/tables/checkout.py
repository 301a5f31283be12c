"""Checkout: a copy of the tree for the product to run in, so that `loopline new` writes into no one's clone."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from assets.storage.home import REPOSITORY

COPIED = (
    "assets",
    "bentos",
    "dbt_project",
    "deploy",
    "docs/schema",
    "orchestration",
    "requirements",
    "pyproject.toml",
    "workspace.yaml",
)
LONGEST_SECONDS = 600


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it printed, and its wall seconds."""

    code: int
    told: str
    seconds: float


class Checkout:
    """A copy of the tree, and a home that is emptied between tables."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.home = folder / "home"
        for name in COPIED:
            source, target = REPOSITORY / name, self.tree / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)

    def loopline(self, *arguments: str, longest: float = LONGEST_SECONDS) -> Ended:
        """Run a command of the product as a person would; one that takes too long is ended, with code 124."""
        environment = {
            **os.environ, "LOOPLINE_HOME": str(self.home), "PYTHONPATH": str(self.tree), "COLUMNS": "200", "NO_COLOR": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "orchestration", *arguments]
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=self.tree, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            told, _ = process.communicate(timeout=longest)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            told, code = process.communicate()[0], 124
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Ended(code, told, time.perf_counter() - started)

    def remove_examples(self) -> None:
        """Remove what the repository declares, as a team does that declares its own."""
        for folder in (self.tree / "orchestration" / "defs").iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)

    def clear(self, product: str) -> None:
        """Remove the product and the home."""
        shutil.rmtree(self.tree / "orchestration" / "defs" / product, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


def code_digest() -> str:
    """The digest of the code that is measured: a result of other code is measured anew."""
    digest = hashlib.sha256()
    for name in ("assets", "bentos", "orchestration", "requirements/core.txt"):
        place = REPOSITORY / name
        paths = [place] if place.is_file() else sorted(place.rglob("*"))
        for path in paths:
            if path.is_file() and path.suffix in {".py", ".j2", ".yaml", ".txt"}:
                digest.update(path.relative_to(REPOSITORY).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]

"""A newcomer's path, timed: from a clean clone to the first own change that is promoted: ``python -m benchmarks.newcomer``.

``make bench-newcomer`` clones the repository's last commit, sets it up, runs the loop on the flights, declares a product over
a CSV of its own, runs it, changes one parameter, runs again, and sees that the gate promoted the change. Reading and thinking
are not timed. ``--installed`` takes this Python's packages instead of setting the clone up.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from assets.storage.home import REPOSITORY
from benchmarks.measuring import machine, table

PAGE = REPOSITORY / "docs" / "measured" / "newcomer.md"
ASKED_SECONDS = 600
PRODUCT, FILE, TARGET, TIME = "inspection", "readings.csv", "failed", "measured_at"
CHANGE = ("max_iter: 100", "max_iter: 400")
"""The parameter of the drafted model that is changed; the readings need more trees than a draft has."""
OF_THIS_PROCESS = ("LOOPLINE_HOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "VIRTUAL_ENV")
"""What of this process's environment is not a newcomer's."""
TOP = """# A newcomer's path

From a clean clone to the first own change that is promoted, by `make bench-newcomer`. The CSV is made up: 12,000 parts with 12
readings each, and whether a part failed its inspection. One parameter of the drafted declaration is changed (`{before}` to
`{after}`), and the gate promotes version 2 by itself.

"""


@dataclass(frozen=True)
class Step:
    """A command, what it is for, and how long it took."""

    told: str
    command: str
    seconds: float
    is_setup: bool = False


def readings(rows: int = 12_000, columns: int = 12, seed: int = 7) -> pd.DataFrame:
    """Parts with readings, each of which matters in waves, and whether the part failed.

    Parameters
    ----------
    rows, columns, seed : int
        How many parts, how many readings of each, and by which draw.
    """
    random = np.random.default_rng(seed)
    values = random.uniform(0, 1, (rows, columns))
    strength = 1.5 * np.sin(2 * np.pi * 3 * values).sum(axis=1)
    failed = random.random(rows) < 1 / (1 + np.exp(-strength))
    moments = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(rows) * 30, unit="min")
    named = {f"reading_{number}": values[:, number].round(4) for number in range(columns)}
    return pd.DataFrame(
        {"part_id": [f"P{row:05}" for row in range(rows)], TIME: moments, **named, TARGET: np.where(failed, "yes", "no")}
    )


def changed(declaration: str) -> str:
    """A declaration with the one parameter changed.

    Raises
    ------
    ValueError
        If it does not hold the parameter as it is drafted.
    """
    before, after = CHANGE
    if not re.search(rf"\b{before}\b", declaration):
        raise ValueError(f"the draft has no '{before}' any more. Change CHANGE in benchmarks/newcomer.py.")
    return re.sub(rf"\b{before}\b", after, declaration, count=1)


class Newcomer:
    """Somebody with a clone."""

    def __init__(self, folder: Path, *, is_installed: bool) -> None:
        self.clone, self.is_installed = folder / "loopline", is_installed
        self.steps: list[Step] = []

    def loopline(self, told: str, *words: str) -> str:
        """Type a command of `loopline`."""
        program = [sys.executable, "-m", "orchestration"] if self.is_installed else [".venv/bin/loopline"]
        return self.type_in(told, f"loopline {' '.join(words)}", [*program, *words])

    def type_in(self, told: str, shown: str, command: Sequence[str], *, is_setup: bool = False, cwd: Path | None = None) -> str:
        """Type a command, which must succeed, and time it."""
        environment = {name: value for name, value in os.environ.items() if name not in OF_THIS_PROCESS}
        environment |= {"PYTHONPATH": str(self.clone)} if self.is_installed else {}
        started = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=cwd or self.clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.steps.append(Step(told, shown, time.perf_counter() - started, is_setup))
        print(f"{self.steps[-1].seconds:6.1f} s  {shown}", flush=True)
        if done.returncode:
            sys.exit(f"{shown} failed with code {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    def walk(self) -> None:
        """The whole path; it ends with an error where the change is not promoted by the gate."""
        self.type_in("Clone", "git clone", ["git", "clone", "-q", str(REPOSITORY), str(self.clone)], cwd=self.clone.parent)
        if self.is_installed:
            self.loopline("Run the loop on the flights", "run")
        else:
            self.type_in("Set up", "make .venv/core.stamp", ["make", ".venv/core.stamp"], is_setup=True)
            self.type_in("Run the loop on the flights", "make run", ["make", "run"])
        readings().to_csv(self.clone / FILE, index=False)
        self.loopline("Declare a product", "new", PRODUCT, "--data", FILE, "--target", TARGET, "--time", TIME)
        self.loopline("Check the declaration", "check", PRODUCT)
        self.loopline("Run it", "run", PRODUCT)
        path = self.clone / "orchestration" / "defs" / PRODUCT / "defs.yaml"
        path.write_text(changed(path.read_text(encoding="utf-8")), encoding="utf-8")
        self.loopline("See what the change makes stale", "plan", PRODUCT)
        self.loopline("Run the change", "run", PRODUCT)
        entries = json.loads(self.loopline("See who serves, and why", "history", PRODUCT, "--json"))
        served = [(entry["event"], entry["version"], entry["actor"]) for entry in entries]
        if served[-1] != ("promotion", 2, "gate"):
            sys.exit(f"the gate did not promote the change: {served}. See `loopline report {PRODUCT}`.")


def page(steps: Sequence[Step], told_machine: str, commit: str) -> str:
    """The page: each command, and the sums."""
    rows = [(step.told, f"`{step.command}`", f"{step.seconds:.1f}") for step in steps]
    setup = sum(step.seconds for step in steps if step.is_setup)
    commands = sum(step.seconds for step in steps) - setup
    before, after = CHANGE
    asked = f"asked: at most {ASKED_SECONDS} s"
    sums = f"**{commands:.0f} s of commands** ({asked})" + (
        f", and {setup:.0f} s of set-up before" if setup else "; packages were installed"
    )
    told = f"{sums}. Commit {commit}, on a machine with {told_machine}, {datetime.now(UTC).date()}."
    return f"{TOP.format(before=before, after=after)}{table(('step', 'command', 's'), rows)}\n\n{told}\n"


def main() -> None:
    """Walk the path and write the page; exit code 1 where it takes longer than is asked."""
    parser = argparse.ArgumentParser(description="Time a newcomer's path.")
    parser.add_argument("--installed", action="store_true", help="take this Python's packages; the page is not written")
    given = parser.parse_args()
    commit = subprocess.run(
        ["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        newcomer = Newcomer(Path(folder), is_installed=given.installed)
        newcomer.walk()
    text = page(newcomer.steps, machine(), commit)
    print(text)
    if not given.installed:
        PAGE.write_text(text, encoding="utf-8")
    seconds = sum(step.seconds for step in newcomer.steps if not step.is_setup)
    sys.exit(int(seconds > ASKED_SECONDS))


if __name__ == "__main__":
    main()

"""What it costs to look at a home: ``python -m benchmarks.looking [HOME]``, by default a home that is run for it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import Measured, measure, middle, spread

COMMANDS = {
    "`loopline lineage flight_delay`": ["lineage", "flight_delay"],
    "`loopline verify`": ["verify"],
    "`loopline history flight_delay`": ["history", "flight_delay"],
    "`loopline doctor`": ["doctor"],
}
ROUNDS = 7
LARGE = 2_000_000_000
"""How many bytes the files have by which the speed of a deep look is measured."""
DEEP = ["-m", "orchestration", "verify", "--deep"]


def rows(given: Path | None = None) -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        if given is None:
            measure(["-m", "orchestration", "run"], home)
        else:
            shutil.copytree(given, home)
            measure(["-m", "orchestration", "verify", "--accept"], home)
        taken: dict[str, list[Measured]] = {name: [] for name in COMMANDS}
        for _ in range(ROUNDS):  # in turn, so that a slow minute of the machine hits all
            for name, command in COMMANDS.items():
                taken[name].append(measure(["-m", "orchestration", *command], home))
        speed = _speed(home)
    return [
        *((name, f"{middle(found):.2f} s ({spread(found)})", "at most 0.8 s") for name, found in taken.items()),
        ("`loopline verify --deep`, of files that are in memory", f"{speed:.1f} GB/s", "at least 1 GB/s"),
    ]


def _speed(home: Path) -> float:
    """Gigabytes in a second: what large files cost more than the home without them."""
    before = middle([measure(DEEP, home) for _ in range(3)])
    for number in range(4):
        with (home / "predictions" / f"large-{number}").open("wb") as file:
            file.truncate(LARGE // 4)
    measure(["-m", "orchestration", "verify", "--accept"], home)
    after = middle([measure(DEEP, home) for _ in range(3)])
    return LARGE / 1e9 / (after - before)


if __name__ == "__main__":
    for row in rows(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        print(*row, sep=" | ")

"""What Dagster costs: the loop against a bare script, a second run, short commands, memory: ``python -m benchmarks.loop``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import Measured, measure, middle, spread

ROUNDS = 2


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    bare: list[Measured] = []
    loop: list[Measured] = []
    again: list[Measured] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(ROUNDS):
            # in turn, so that a slow minute of the machine hits both
            bare.append(measure(["-m", "benchmarks.bare_loop"], Path(scratch) / f"bare{number}"))
            loop.append(measure(["-m", "orchestration", "run"], Path(scratch) / f"loop{number}"))
            again += [measure(["-m", "orchestration", "run"], Path(scratch) / f"loop{number}") for _ in range(2)]
        told = {
            name: [measure(["-m", "orchestration", *command], Path(scratch) / "loop0") for _ in range(5)]
            for name, command in (("`loopline --help`", ["--help"]), ("`loopline status`", ["status"]))
        }
        loading = [measure(["-c", "import orchestration.definitions"], Path(scratch)) for _ in range(5)]
    return [
        ("whole loop, bare script", f"{middle(bare):.1f} s ({spread(bare)})", ""),
        ("whole loop, `loopline run`", f"{middle(loop):.1f} s ({spread(loop)})", ""),
        ("`loopline run` / bare script", f"{middle(loop) / middle(bare):.2f}", "at most 1.10"),
        ("second run, nothing changed", f"{middle(again):.1f} s ({spread(again)})", "at most 3 s"),
        ("second run / first run", f"{100 * middle(again) / middle(loop):.1f} %", "at most 10 %"),
        ("`import orchestration.definitions`", f"{middle(loading):.2f} s ({spread(loading)})", "at most 2.5 s"),
        *(
            (name, f"{middle(taken):.2f} s ({spread(taken)})", f"at most {goal} s")
            for (name, taken), goal in zip(told.items(), (0.3, 0.7), strict=True)
        ),
        ("peak memory of the loop", f"{max(item.peak_mb for item in loop):,.0f} MB", "at most 1,500 MB"),
    ]


if __name__ == "__main__":
    for row in rows():
        print(*row, sep=" | ")

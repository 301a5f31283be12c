"""`loopline run --jobs 2` with three products beside `--jobs 1`.

Three products over files of 60,000 made-up rows each, from empty homes, in turn; the shortest of each is taken. What a machine
gains by a second process depends on its cores.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.engines.processes import Ended, loopline
from benchmarks.engines.products import clone

ROWS, PRODUCTS, TIMES = 60_000, 3, 2


def rows() -> list[tuple[str, str, str]]:
    """Each figure with what was measured and what is asked."""
    found: dict[int, list[Ended]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        folder = Path(scratch)
        repository = clone(folder / "clone", ROWS, PRODUCTS)
        for number in range(TIMES):
            for jobs, done in found.items():
                home = folder / f"home{number}-{jobs}"
                done.append(loopline(repository, home, "run", "--jobs", str(jobs)))
                print(f"--jobs {jobs}: {done[-1].seconds:.1f} s, {done[-1].processor:.1f} s of the processor", flush=True)
                shutil.rmtree(home)
    one, two = (min(found[jobs], key=lambda item: item.seconds) for jobs in (1, 2))
    told = f"{two.seconds:.1f} s / {one.seconds:.1f} s = {two.seconds / one.seconds:.2f}"
    return [
        (f"{PRODUCTS} products, `--jobs 2` / `--jobs 1`", told, "≤ 0.7"),
        ("processor seconds", f"{two.processor:.1f} s, {one.processor:.1f} s", ""),
        ("memory of all processes", f"{two.peak_mb / 1e3:.2f} GB, {one.peak_mb / 1e3:.2f} GB", ""),
    ]

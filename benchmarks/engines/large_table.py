"""One product of 10,000,000 rows and 20 features through the whole loop in one process: land, contract, train, judge, score.

A file of Parquet (0.9 GB), all stages from an empty home on disk, in a control group of 4 GB in which pages of files count too:
beyond it the kernel lets go of such pages, and where that is not enough it ends the process. The stages' processor seconds are
kept as the point that the cost model is held to, and was not fitted on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.engines.costs import keep
from benchmarks.engines.loops import measured_loop
from benchmarks.engines.memory_limit import limited
from benchmarks.engines.products import clone
from orchestration.operations.engines.engine_costs import STAGES

ROWS, FEATURES, TREES = 10_000_000, 20, 30
LIMIT_GB = 4.0


def rows() -> list[tuple[str, str, str]]:
    """Each figure with what was measured and what is asked."""
    with tempfile.TemporaryDirectory() as scratch:
        repository = clone(Path(scratch) / "clone", ROWS, features=FEATURES)
        with limited(int(LIMIT_GB * 1e9)) as before:
            loop = measured_loop(repository, "made0", Path(scratch) / "home", ROWS, FEATURES, before=before or ())
    keep(held_out=loop.point)
    stages = loop.point["stages"]
    memory = max(stages[stage]["peak_mb"] for stage in STAGES) / 1e3
    whole = f"{loop.seconds:.0f} s, {loop.processor:.0f} s of the processor"
    found = [
        (f"{ROWS / 1e6:.0f} M rows x {FEATURES}, whole loop", whole, "told"),
        ("a limit of memory", "none could be set here" if before is None else f"{LIMIT_GB:.0f} GB, and it ended", ""),
        ("most memory of the process, pages of files with it", f"{memory:.2f} GB", f"≤ {LIMIT_GB:.0f} GB"),
    ]
    for stage in STAGES:
        seconds, processor, peak = (stages[stage][name] for name in ("seconds", "processor_seconds", "peak_mb"))
        found.append((f"{stage}", f"{seconds:.0f} s, {processor:.0f} s of the processor, {peak / 1e3:.2f} GB", ""))
    return found

"""One product's whole loop in one process, by stage."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.storage.home import REPOSITORY
from benchmarks.engines.processes import ended, environment
from orchestration.operations.engines.engine_costs import STAGES

PROGRAM = REPOSITORY / "benchmarks" / "engines" / "one_loop.py"
FIGURES = ("seconds", "processor_seconds", "peak_mb")


@dataclass(frozen=True)
class Loop:
    """A loop that ended.

    Parameters
    ----------
    seconds, processor : float
        Wall and processor seconds, with the start of Python.
    point : dict
        Rows, features, and the figures of each stage, as they are kept in `measured_costs.json`.
    """

    seconds: float
    processor: float
    point: dict[str, Any]


def measured_loop(repository: Path, product: str, home: Path, rows: int, features: int, *, before: Sequence[str] = ()) -> Loop:
    """Make a product of a clone whole, in a home that is empty, by a command that these words may stand before."""
    done = ended([*before, sys.executable, str(PROGRAM), product], repository, environment(home, repository))
    told = json.loads(done.out.splitlines()[-1])
    stages = {stage: _stage(told["assets"], names) for stage, names in STAGES.items()}
    point = {"rows": rows, "features": features, "start_seconds": told["start"], "stages": stages}
    print(f"{rows:,} x {features}: {done.seconds:.0f} s, {done.processor:.0f} s of the processor", flush=True)
    return Loop(told["total"]["seconds"], told["total"]["processor_seconds"], point)


def _stage(assets: dict[str, dict[str, float]], names: tuple[str, ...]) -> dict[str, float]:
    """The figures of a stage's assets together; assets are named by their last name, and a source's quality by its first."""
    own = [item for key, item in assets.items() if key.rpartition("/")[2] in names or key.partition("/")[0] in names]
    seconds, processor, _ = (sum(item[name] for item in own) for name in FIGURES)
    return {
        "seconds": round(seconds, 3),
        "processor_seconds": round(processor, 3),
        "peak_mb": max(item["peak_mb"] for item in own),
    }

"""Measured costs: what `make bench-engines` measured of stages and engines, and the costs that are read out of it.

The points lie in `measured_costs.json`, with their machine and commit. What is told of larger sizes is a model's word; its
error on a larger point that it was not fitted on stands in docs/measured/engines.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from assets.methods.cost_model import Point, StageCost, fit

FILE = Path(__file__).with_name("measured_costs.json")
STAGES = {
    "landing": ("data", "quality"),
    "snapshot": ("snapshot",),
    "training": ("model",),
    "evaluation": ("evaluation", "explanations", "footprint", "leakage", "robustness", "simple_models"),
    "promotion": ("challenger", "verdict", "champion", "report"),
    "serving": ("bento", "predictions", "sql", "wheel", "parity", "monitoring"),
}
"""The stages of which costs are told, with the assets of each by their last names."""
LEAST_SECONDS, LEAST_MB = 0.01, 1.0
"""What is measured below is taken as this much: a clock says no less."""


@dataclass(frozen=True)
class Cost:
    """What one product's whole loop costs.

    Parameters
    ----------
    seconds : dict of str to float
        Processor seconds by stage.
    memory_mb : dict of str to float
        The most memory of the process by stage.
    """

    seconds: dict[str, float]
    memory_mb: dict[str, float]

    @property
    def slowest(self) -> str:
        """The stage that takes the most time."""
        return max(self.seconds, key=lambda stage: self.seconds[stage])

    @property
    def largest(self) -> str:
        """The stage that takes the most memory."""
        return max(self.memory_mb, key=lambda stage: self.memory_mb[stage])


@dataclass(frozen=True)
class MeasuredCosts:
    """What was measured, as `measured_costs.json` holds it.

    Parameters
    ----------
    told : mapping of str to object
        The file's content.
    """

    told: Mapping[str, Any]

    @property
    def start_seconds(self) -> float:
        """Processor seconds before a process does anything of a stage: Python, definitions, history."""
        return float(self.told["start_seconds"])

    def overhead(self, engine: str) -> Mapping[str, float] | None:
        """What an engine takes for a stage beside `loopline step`; None where it was not measured."""
        found: Mapping[str, float] | None = self.told["overheads"].get(engine)
        return found

    @cached_property
    def _models(self) -> Mapping[str, tuple[StageCost, StageCost]]:
        def model(stage: str, figure: str, least: float) -> StageCost:
            points = [
                Point(point["rows"], point["features"], max(point["stages"][stage][figure], least))
                for point in self.told["points"]
            ]
            return fit(points)

        return {
            stage: (model(stage, "processor_seconds", LEAST_SECONDS), model(stage, "peak_mb", LEAST_MB)) for stage in STAGES
        }

    def cost(self, rows: int, features: int) -> Cost:
        """What one product's whole loop costs, by the model that is fitted on the measured points."""
        models = self._models.items()
        return Cost(
            {stage: seconds.at(rows, features) for stage, (seconds, _) in models},
            {stage: memory.at(rows, features) for stage, (_, memory) in models},
        )

    def bottleneck(self, rows: int, features: int) -> str:
        """What limits one product of this size: memory, the start of libraries, or the stage that takes the most time."""
        cost, least = self.cost(rows, features), self.cost(0, 0)
        memory = cost.memory_mb[cost.largest]
        if memory > float(self.told["memory_mb"]):
            return f"memory of {cost.largest} ({memory / 1e3:,.0f} GB, more than this machine's)"
        if sum(least.seconds.values()) > sum(cost.seconds.values()) / 2:
            return "the start of libraries"
        return f"time of {cost.slowest}"


def measured_costs() -> MeasuredCosts:
    """What ships with this version."""
    return MeasuredCosts(json.loads(FILE.read_text(encoding="utf-8")))

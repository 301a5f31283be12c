"""Simulate experiments and write docs/measured/experiments.md: ``make bench-experiments``.

``make bench-experiments ARGS="canary power"`` measures only these sections; the others of the page stay.
"""

from __future__ import annotations

import sys
from types import ModuleType

from assets.storage.home import REPOSITORY
from benchmarks.experiments import (
    budget,
    canary,
    coverage,
    false_findings,
    guardrails,
    power,
    report,
    returning_units,
    sample_ratio,
    service,
    speed,
)
from benchmarks.measured_page import MeasuredPage

SECTIONS: dict[str, ModuleType] = {
    "False findings": false_findings,
    "Units that return": returning_units,
    "Power and duration": power,
    "Coverage": coverage,
    "Sample-ratio mismatch": sample_ratio,
    "A canary": canary,
    "Guardrails at their margin": guardrails,
    "The budget of false promotions": budget,
    "Speed": speed,
    "Reports of 10 million rows": report,
    "A shadow beside the service": service,
}
"""The sections of the page: the text of each is its module's docstring, and its table what `rows` gives."""
PAGE = REPOSITORY / "docs" / "measured" / "experiments.md"
TOP = """# Experiments: what the statistics keep

Written by `make bench-experiments`. Which methods these are, and why, is told in
[decision 0032](../decisions/0032-statistics-that-allow-peeking.md); in brackets are 95 % intervals of the simulations.
"""


if __name__ == "__main__":
    MeasuredPage(PAGE, TOP, SECTIONS).measure(sys.argv[1:])

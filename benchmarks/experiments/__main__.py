"""Simulate experiments and write docs/measured/experiments.md: ``make bench-experiments``.

``make bench-experiments ARGS="canary power"`` measures only these sections; the others of the page stay.
"""

from __future__ import annotations

import inspect
import sys
import time
from datetime import UTC, datetime
from types import ModuleType

from assets.storage.home import REPOSITORY
from benchmarks.experiments import (
    budget,
    canary,
    coverage,
    false_findings,
    guardrails,
    power,
    returning_units,
    sample_ratio,
    service,
    speed,
)
from benchmarks.measuring import machine, table

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
    "A shadow beside the service": service,
}
"""The sections of the page: the text of each is its module's docstring, and its table what `rows` gives."""
PAGE = REPOSITORY / "docs" / "measured" / "experiments.md"
TOP = """# Experiments: what the statistics keep

Written by `make bench-experiments`. Which methods these are, and why, is told in
[decision 0032](../decisions/0032-statistics-that-allow-peeking.md); in brackets are 95 % intervals of the simulations.
"""


def main() -> None:
    """Measure the sections, each written into the page when it is done."""
    names = {module.__name__.rpartition(".")[2]: title for title, module in SECTIONS.items()}
    if unknown := sorted(set(sys.argv[1:]) - set(names)):
        sys.exit(f"there is no section {', '.join(unknown)}. There are: {', '.join(names)}.")
    for name in sys.argv[1:] or names:
        began = time.monotonic()
        text = section(SECTIONS[names[name]])
        told = f"{time.monotonic() - began:.0f} s on a machine with {machine()}, {datetime.now(UTC).date()}."
        write(names[name], f"{text}\n\n{told}\n")
        print(f"## {names[name]}\n{text}\n{told}\n", flush=True)


def section(module: ModuleType) -> str:
    """A section's text and table."""
    return f"{inspect.getdoc(module)}\n\n{table(('figure', 'measured', 'asked'), module.rows())}"


def write(title: str, text: str) -> None:
    """Put a section into the page, in the order of the sections; others stay as they are."""
    before = PAGE.read_text(encoding="utf-8").split("\n## ")[1:] if PAGE.exists() else []
    found = {name: rest for name, _, rest in (part.partition("\n\n") for part in before)} | {title: text}
    parts = [f"\n## {name}\n\n{found[name].strip()}\n" for name in SECTIONS if name in found]
    PAGE.write_text(TOP + "".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

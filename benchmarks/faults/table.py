"""The table of what was tried and what was survived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One experiment: which fault met what, how often it was survived, and how often it was tried."""

    fault: str
    met: str
    survived: int
    tried: int
    note: str = ""

    @classmethod
    def of(cls, fault: str, met: str, survived: int, tried: int, *, problems: Counter[str], note: str = "") -> Row:
        """A row, its problems printed; one that shows only at the end of all tries costs one of them."""
        for problem, often in problems.items():
            print(f"    {often} x {problem}", flush=True)
        return cls(fault, met, min(survived, tried - bool(problems)), tried, note)

    def line(self, day: str) -> str:
        """The row in Markdown."""
        return f"| {self.fault} | {self.met} | {self.survived} of {self.tried} | {self.note} | {day} |"


PAGE = """# Faults

Written by `make bench-faults` on a machine with {machine}; each row says when it was tried last. What is done and checked
stands in `benchmarks/faults/`, and why so in [decision 0030](../decisions/0030-what-a-fault-may-cut-off.md).

| fault | what it met | survived | | tried on |
|---|---|---|---|---|
{rows}
"""


def tried_since(page: Path, day: str) -> frozenset[tuple[str, str]]:
    """Which faults a page says were tried on a day or later (ISO 8601), and what they met."""
    if not page.exists():
        return frozenset()
    cells = [line.strip("| ").split(" | ") for line in page.read_text(encoding="utf-8").splitlines() if " of " in line]
    return frozenset((line[0], line[1]) for line in cells if len(line) > 3 and line[-1] >= day)


def write(page: Path, rows: Sequence[Row], day: str, machine: str) -> str:
    """Write the rows into a page, each in the place of the one of before; others stay."""
    before = page.read_text(encoding="utf-8").splitlines() if page.exists() else []
    lines = {tuple(line.split(" | ")[:2]): line for line in before if line.endswith(" |") and " of " in line}
    for row in rows:
        line = row.line(day)
        lines[tuple(line.split(" | ")[:2])] = line
    text = PAGE.format(machine=machine, rows="\n".join(lines.values()))
    page.write_text(text, encoding="utf-8")
    return text

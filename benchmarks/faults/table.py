"""The table of what was tried and what was survived."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


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

    @property
    def line(self) -> str:
        """The row in Markdown."""
        return f"| {self.fault} | {self.met} | {self.survived} of {self.tried} | {self.note} |"

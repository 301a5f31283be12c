"""A page of measured figures: a section for each module of a benchmark, measured and written one by one."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from benchmarks.measuring import machine, table


@dataclass(frozen=True)
class MeasuredPage:
    """A page, which is written section by section, so that one can be measured again alone.

    Parameters
    ----------
    path : Path
        The file.
    top : str
        Its title, and what stands under it.
    sections : mapping of str to module
        By title: the text of each is its module's docstring, and its table what ``rows()`` gives.
    """

    path: Path
    top: str
    sections: Mapping[str, ModuleType]

    def measure(self, wanted: Sequence[str]) -> None:
        """Measure sections, by the names of their modules, and put each into the page when it is done; all without names."""
        names = {module.__name__.rpartition(".")[2]: title for title, module in self.sections.items()}
        if unknown := sorted(set(wanted) - set(names)):
            sys.exit(f"there is no section {', '.join(unknown)}. There are: {', '.join(names)}.")
        for name in wanted or names:
            began = time.monotonic()
            text = section(self.sections[names[name]])
            told = f"{time.monotonic() - began:.0f} s on a machine with {machine()}, {datetime.now(UTC).date()}."
            self.write(names[name], f"{text}\n\n{told}\n")
            print(f"## {names[name]}\n{text}\n{told}\n", flush=True)

    def write(self, title: str, text: str) -> None:
        """Put a section into the page, in the order of the sections; others stay as they are."""
        before = self.path.read_text(encoding="utf-8").split("\n## ")[1:] if self.path.exists() else []
        found = {name: rest for name, _, rest in (part.partition("\n\n") for part in before)} | {title: text}
        parts = [f"\n## {name}\n\n{found[name].strip()}\n" for name in self.sections if name in found]
        self.path.write_text(self.top + "".join(parts), encoding="utf-8")


def section(module: ModuleType) -> str:
    """A section's text and table."""
    return f"{inspect.getdoc(module)}\n\n{table(('figure', 'measured', 'asked'), module.rows())}"

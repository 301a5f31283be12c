"""Measure homes whose data lie elsewhere, for docs/measured/stores.md: ``make bench-stores``.

``make bench-stores ARGS="loop"`` measures only these sections; the others of the page stay.
"""

from __future__ import annotations

import inspect
import sys
import time
from datetime import UTC, datetime
from types import ModuleType

from assets.storage.home import REPOSITORY
from benchmarks.measuring import machine, table
from benchmarks.stores import features, lake, loop, publication

SECTIONS: dict[str, ModuleType] = {
    "The loop in a published home": loop,
    "Kills, and machines that append at once": publication,
    "Lake tables": lake,
    "Features as a store": features,
}
"""The sections of the page: the text of each is its module's docstring, and its table what `rows` gives."""
PAGE = REPOSITORY / "docs" / "measured" / "stores.md"
TOP = """# Stores: what it costs that data lie elsewhere

Written by `make bench-stores`. What is measured stands in `benchmarks/stores/`; how a home is
published, in [stores.md](../stores.md).
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

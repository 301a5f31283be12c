"""Plant causes into real flights and write docs/measured/incidents.md: ``make bench-incidents``.

``make bench-incidents ARGS="planted"`` measures only this section; the others of the page stay.
"""

from __future__ import annotations

import sys
from types import ModuleType

from assets.storage.home import REPOSITORY
from benchmarks.incidents import clean, months, planted
from benchmarks.measured_page import MeasuredPage

SECTIONS: dict[str, ModuleType] = {"Planted causes": planted, "Nothing planted": clean, "Real months": months}
"""The sections of the page: the text of each is its module's docstring, and its table what `rows` gives."""
PAGE = REPOSITORY / "docs" / "measured" / "incidents.md"
TOP = """# Root causes

Written by `make bench-incidents`. What is measured stands in `benchmarks/incidents/`; how a cause is found, in
[incidents.md](../incidents.md).
"""


if __name__ == "__main__":
    MeasuredPage(PAGE, TOP, SECTIONS).measure(sys.argv[1:])

"""Measure homes whose data lie elsewhere, for docs/measured/stores.md: ``make bench-stores``.

``make bench-stores ARGS="loop"`` measures only these sections; the others of the page stay.
"""

from __future__ import annotations

import sys
from types import ModuleType

from assets.storage.home import REPOSITORY
from benchmarks.measured_page import MeasuredPage
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


if __name__ == "__main__":
    MeasuredPage(PAGE, TOP, SECTIONS).measure(sys.argv[1:])

"""Measure engines beside one another, for docs/measured/engines.md: ``make bench-engines``.

``make bench-engines ARGS="jobs"`` measures only these sections; the others of the page stay.
"""

from __future__ import annotations

import sys
from types import ModuleType

from assets.storage.home import REPOSITORY
from benchmarks.engines import definitions, jobs, large_table, parity, scale, session, spark_warehouse, stream
from benchmarks.measured_page import MeasuredPage

SECTIONS: dict[str, ModuleType] = {
    "Parity and overhead": parity,
    "Products side by side": jobs,
    "A Spark session": session,
    "Streams": stream,
    "The warehouse in Spark": spark_warehouse,
    "Definitions": definitions,
    "Ten million rows": large_table,
    "Cost model": scale,
}
"""The sections of the page: the text of each is its module's docstring, and its table what `rows` gives."""
PAGE = REPOSITORY / "docs" / "measured" / "engines.md"
TOP = """# Engines: what it costs that another program starts the stages

Written by `make bench-engines`. What is measured stands in `benchmarks/engines/`; what each engine is
for, in [engines.md](../engines.md); when to take one, in [scale.md](../scale.md).
"""


if __name__ == "__main__":
    MeasuredPage(PAGE, TOP, SECTIONS).measure(sys.argv[1:])

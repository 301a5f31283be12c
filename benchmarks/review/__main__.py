"""Measure reviews of changes, for docs/measured/review.md: ``make bench-review``, in a home in which flight_delay was run."""

from __future__ import annotations

import sys
from types import ModuleType

from assets.storage.home import REPOSITORY
from benchmarks.measured_page import MeasuredPage
from benchmarks.review import flights

SECTIONS: dict[str, ModuleType] = {"Changes of flights": flights}
PAGE = REPOSITORY / "docs" / "measured" / "review.md"
TOP = """# Reviews: what it takes to play two revisions

Written by `make bench-review`. What is measured stands in `benchmarks/review/`; what a review does, in
[review.md](../review.md).
"""


if __name__ == "__main__":
    MeasuredPage(PAGE, TOP, SECTIONS).measure(sys.argv[1:])

"""Measure ways of learning and write docs/measured/learning.md: ``make bench-learning``.

``make bench-learning ARGS="transfer"`` measures only these sections; the others of the page stay.
"""

from __future__ import annotations

import sys
from types import ModuleType

from assets.storage.home import REPOSITORY
from benchmarks.learning import conformal, conformal_service, diamonds, federated, online, online_drift, transfer, updates
from benchmarks.measured_page import MeasuredPage

SECTIONS: dict[str, ModuleType] = {
    "Transfer": transfer,
    "Transfer of another kind": diamonds,
    "Online": online,
    "Online, with a search for drift": online_drift,
    "Updates between promotions": updates,
    "Federated learning": federated,
    "Intervals and sets that follow the labels": conformal,
    "Sets in the service": conformal_service,
}
"""The sections of the page: the text of each is its module's docstring, and its table what `rows` gives."""
PAGE = REPOSITORY / "docs" / "measured" / "learning.md"
TOP = """# Ways of learning

Written by `make bench-learning`. What is measured stands in `benchmarks/learning/`; what each way is for, in
[learning.md](../learning.md).
"""


if __name__ == "__main__":
    MeasuredPage(PAGE, TOP, SECTIONS).measure(sys.argv[1:])

"""Real months as they came, each held against the one before it, of the product with columns of history.

Nothing is planted, but the world does change from month to month, and what is said of it is shown as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise

from assets.processes.settings import settle_process
from benchmarks.incidents.flights_sides import worlds
from benchmarks.incidents.planted import Row

MONTHS = ("2013-07", "2013-08", "2013-09", "2013-10", "2013-11", "2013-12")


def rows() -> Iterator[Row]:
    """What is said of each month."""
    warnings.simplefilter("ignore")
    settle_process()
    for before, now in pairwise(MONTHS):
        found = worlds()[True].searched_months(before, now)
        told = (
            "; ".join(f"{item['kind']}: {item['name']} {' '.join(item['columns'])}".strip() for item in found["guilty"])
            or "none"
        )
        values = f"{found['reference']['value']:.3f} to {found['now']['value']:.3f}"
        yield f"{now} against {before}: ROC AUC {values}", told, ""

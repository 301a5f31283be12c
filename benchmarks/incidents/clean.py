"""The same draws of days with nothing planted: whether nothing is named. Twenty draws, other ones than those of the causes.

Then real months as they came, each held against the one before it: nothing is planted, but the world does change from month
to month, and what is said of it is shown as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from assets.processes.settings import settle_process
from benchmarks.incidents.flights_sides import FlightsSides
from benchmarks.incidents.planted import Row
from benchmarks.incidents.planted_causes import nothing

SEEDS = range(1000, 1020)
MONTHS = ("2013-07", "2013-08", "2013-09", "2013-10", "2013-11", "2013-12")


def rows() -> Iterator[Row]:
    """How often nothing is named, and what is said of months."""
    warnings.simplefilter("ignore")
    settle_process()
    world, none, falls = FlightsSides(), list[bool](), list[float]()
    for seed in SEEDS:
        found = world.searched(seed, nothing)
        none.append(not found["guilty"])
        falls.append(abs(found["fall"]["value"]))
        if found["guilty"]:
            named = [(item["kind"], item["name"], item["columns"], item["told"]) for item in found["guilty"]]
            print("named falsely", seed, named, flush=True)
    yield "nothing is named", f"{np.mean(none):.0%} of {len(none)}", "at least 95 %"
    yield "median difference of ROC AUC between the periods", f"{np.median(falls):.4f}", ""
    for before, now in pairwise(MONTHS):
        found = world.searched_months(before, now)
        told = (
            "; ".join(f"{item['kind']}: {item['name']} {' '.join(item['columns'])}".strip() for item in found["guilty"])
            or "none"
        )
        values = f"{found['reference']['value']:.3f} to {found['now']['value']:.3f}"
        yield f"{now} against {before}: ROC AUC {values}", told, ""

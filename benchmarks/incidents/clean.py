"""The same draws of days with nothing planted: whether nothing is named. Sixty draws, other ones than those of the causes.

Half of them are of the product with three columns of history, half of the one without. The interval is that of Clopper and
Pearson (1934); the draws are of one half year, so they share days. Then real months as they came, each held against the one
before it: nothing is planted, but the world does change from month to month, and what is said of it is shown as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from assets.processes.settings import settle_process
from benchmarks.incidents.flights_sides import share, worlds
from benchmarks.incidents.planted import Row
from benchmarks.incidents.planted_causes import nothing

SEEDS = range(2000, 2060)
MONTHS = ("2013-07", "2013-08", "2013-09", "2013-10", "2013-11", "2013-12")


def rows() -> Iterator[Row]:
    """How often nothing is named, and what is said of months."""
    warnings.simplefilter("ignore")
    settle_process()
    blamed, falls = list[str](), list[float]()
    for seed in SEEDS:
        world = worlds()[seed % 2 == 0]
        found = world.searched(seed, nothing)
        world.forget()
        falls.append(abs(found["fall"]["value"]))
        if found["guilty"]:
            first = found["guilty"][0]
            blamed.append(f"{first['kind']}: {' '.join([first['name'], *first['columns']])}")
        print("nothing planted", seed, f"{found['fall']['value']:.4f}", found["guilty"], flush=True)
    yield "something is named", share(len(blamed), len(SEEDS)), "at most 5 %"
    yield "what is named", "; ".join(blamed) or "nothing", ""
    yield "median difference of ROC AUC between the periods", f"{np.median(falls):.4f}", ""
    for before, now in pairwise(MONTHS):
        found = worlds()[True].searched_months(before, now)
        told = (
            "; ".join(f"{item['kind']}: {item['name']} {' '.join(item['columns'])}".strip() for item in found["guilty"])
            or "none"
        )
        values = f"{found['reference']['value']:.3f} to {found['now']['value']:.3f}"
        yield f"{now} against {before}: ROC AUC {values}", told, ""

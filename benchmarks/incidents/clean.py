"""The same draws of days with nothing planted: whether nothing is named. At most sixty draws, others than those of the causes.

Half of them are of the product with three columns of history, half of the one without. The interval is that of Clopper and
Pearson (1934); the draws are of one half year, so they share days. Control-C ends the draws, and those that were made count.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from assets.processes.settings import settle_process
from benchmarks.incidents.flights_sides import share, worlds
from benchmarks.incidents.planted import Row
from benchmarks.incidents.planted_causes import nothing

SEEDS = range(2000, 2060)


def rows() -> Iterator[Row]:
    """How often something is named, and what."""
    warnings.simplefilter("ignore")
    settle_process()
    blamed, falls = list[str](), list[float]()
    with suppress(KeyboardInterrupt):
        for seed in SEEDS:
            world = worlds()[seed % 2 == 0]
            found = world.searched(seed, nothing)
            world.forget()
            falls.append(abs(found["fall"]["value"]))
            if found["guilty"]:
                first = found["guilty"][0]
                blamed.append(f"{first['kind']}: {' '.join([first['name'], *first['columns']])}")
            print("nothing planted", seed, f"{found['fall']['value']:.4f}", found["guilty"], flush=True)
    yield "something is named", share(len(blamed), len(falls)), "at most 5 %"
    yield "what is named", "; ".join(blamed) or "nothing", ""
    yield "median difference of ROC AUC between the periods", f"{np.median(falls):.4f}", ""

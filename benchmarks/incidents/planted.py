"""Sixteen causes planted into real flights, by five draws of days each; right is what was planted, named first.

The champion learnt January to May and was held against June. Of the days from July to December 120 are the reference and 60 are
now, drawn at random without replacement, so that nothing but what is planted, and chance, is between them. The product is
`flight_delay` with three of its columns of history, or none: its fifteen say nearly the same, so a fault in one of them costs
nothing and is no cause of a fall. The metric is ROC AUC; *fell* is in how many draws it fell by more than is worth a name (1 %
of the reference; days differ by themselves, by 0.02). *Named first* is of all draws, those included in which it did not fall.
The draws (seeds 100 to 104) are others than those by which the method was made.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from assets.processes.settings import settle_process
from benchmarks.incidents.flights_sides import share, worlds
from benchmarks.incidents.planted_causes import CAUSES

SEEDS = range(100, 105)
Row = tuple[str, str, str]


def rows() -> Iterator[Row]:
    """For each cause how often it is named first, and what it cost; then all together."""
    warnings.simplefilter("ignore")
    settle_process()
    right, columns = list[bool](), list[float]()
    for cause in CAUSES:
        world = worlds()[cause.has_history]
        named, falls, confident, instead = [], [], [], []
        for seed in SEEDS:
            found = world.searched(seed, cause.plant)
            falls.append(found["fall"]["value"])
            guilty = found["guilty"]
            named.append(bool(guilty) and cause.is_named(guilty[0]))
            instead += [] if named[-1] else [f"{guilty[0]['kind']} {guilty[0]['name']}" if guilty else "nothing"]
            confident += [guilty[0]["confidence"]] if named[-1] else []
            columns += [len(guilty)] if guilty else []
            print(
                cause.name, seed, [(item["kind"], item["name"], item["columns"], item["where"]) for item in guilty], flush=True
            )
        right += named
        sure = f", confidence at least {min(confident):.1%}" if confident else ""
        fell = sum(fall >= found["worth"] for fall in falls)
        missed = f"; instead: {', '.join(instead)}" if instead else ""
        told = f"{sum(named)} of {len(SEEDS)} (fell in {fell}, by {np.mean(falls):.3f} on average{sure}{missed})"
        yield cause.name, told, ""
    yield f"all {len(CAUSES)} causes: named first", share(sum(right), len(right)), "at least 90 %"
    yield "suspects that are named, on average", f"{np.mean(columns):.2f}", ""
    yield "a search: seconds of processor time", f"{np.median(worlds()[True].seconds):.1f}", ""

"""Boosted trees that the flights' 16 carriers grow together, none of which shows its rows.

`flight_delay` with its own parameters and 120 trees: January to August train, November and December test. *Central* is
scikit-learn's estimator on all rows at one place, *local* that on each carrier's own; areas under the ROC curve before
calibration. A client tells sums over bins for each level of each tree; the bytes are those of the client that told most.
Seconds are of the processor, with one thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from assets.methods.federated.boosting import Boosted, boost
from assets.methods.federated.client import Client
from assets.methods.federated.encoding import ClientRows
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.plan import Plan
from assets.spec import ProductSpec
from assets.training.candidates import raw_outputs
from assets.training.estimators import fit
from assets.training.federated.declaration import of_one_place, plan_of
from benchmarks.learning.federated_flights import Flights, Row, with_model

TREES, FEWER, FEW_BINS = 120, 40, 64


@dataclass(frozen=True)
class _Grown:
    """Trees, with the processor's seconds that they took."""

    found: Boosted = field(repr=False)
    seconds: float


def rows() -> Iterator[Row]:
    """All figures of the section."""
    flights = Flights.read()
    spec = with_model(flights.spec, "sklearn.ensemble.HistGradientBoostingClassifier", _own(flights), _declared())
    plan = plan_of(spec)
    yield "rows that train, that test; clients", f"{len(flights.owners):,}, {len(flights.test_owners):,}; 16", "16 carriers"
    began = time.process_time()
    central = _central(spec, flights, flights.whole)
    yield "central, scikit-learn", f"{flights.area(central):.4f} ({time.process_time() - began:.0f} s)", ""
    made = _grown(plan, flights.clients(plan))
    joined = made.found.raw(flights.test)[:, 0]
    yield from _together(flights, plan, central, made)
    yield from flights.beside_alone(joined, partial(_central, spec, flights), "those of all", "less than together")


def _own(flights: Flights) -> dict[str, Any]:
    """The product's own parameters, but the number of trees."""
    return {name: value for name, value in flights.declared.model.parameters.items() if name != "max_iter"}


def _declared() -> dict[str, Any]:
    return {"strategy": "trees", "rounds": TREES}


def _central(spec: ProductSpec, flights: Flights, learnt: ClientRows) -> Any:
    """What scikit-learn's trees of these rows say of the test rows."""
    alone = of_one_place(spec, TREES)
    fitted = fit(alone, _frame(spec, learnt), learnt.labels)
    return raw_outputs(alone, fitted, _frame(spec, flights.test))[:, 1]


def _frame(spec: ProductSpec, rows: ClientRows) -> pd.DataFrame:
    """A client's rows as the columns of a pipeline."""
    plan = plan_of(spec)
    columns: dict[str, Any] = dict(zip(plan.numbers, rows.numbers.T, strict=True))
    columns |= {name: values.astype(object) for name, values in zip(plan.categories, rows.categories.T, strict=True)}
    return pd.DataFrame({name: columns[name] for name in spec.columns})


def _grown(plan: Plan, members: dict[str, Client]) -> _Grown:
    began = time.process_time()
    found = boost(plan, LocalGrid(members))
    return _Grown(found, time.process_time() - began)


def _together(flights: Flights, plan: Plan, central: Any, made: _Grown) -> Iterator[Row]:
    """Against trees of all rows at one place, and against one client with all rows."""
    assert plan.trees is not None  # noqa: S101 - for the type checker: this plan is of trees
    few = replace(plan, trees=replace(plan.trees, bins=FEW_BINS))
    fewer = replace(made.found, forest=replace(made.found.forest, roots=made.found.forest.roots[:FEWER]))
    coarse = _grown(few, flights.clients(few))
    for name, found in (
        (f"{TREES} trees of 16 clients, {plan.trees.bins} bins", made.found),
        (f"{TREES} trees, {FEW_BINS} bins", coarse.found),
        (f"the first {FEWER} of the {TREES} trees", fewer),
    ):
        scores = found.raw(flights.test)[:, 0]
        gain = flights.gain(scores, central, np.ones(len(scores), dtype=bool))
        told = f"{flights.area(scores):.4f}, {gain.value:+.4f} ± {gain.error:.4f} against central"
        yield name, told, "" if found is fewer else "within 0.005 of central"
    told = f"{made.found.told_bytes / 1e6:.0f} MB; of {FEW_BINS} bins {coarse.found.told_bytes / 1e6:.0f} MB"
    yield f"a client tells, for {TREES} trees", told, ""
    levels = sum(_levels(made.found, int(root)) for root in made.found.forest.roots)
    yield "questions", f"{levels + 3}: {levels / TREES:.1f} for a tree, and three before the first", ""
    yield "rounds a second, grid in one process", f"{TREES / made.seconds:.2f} ({made.seconds:.0f} s)", ""
    whole = boost(plan, LocalGrid({"alone": Client("alone", plan, flights.whole)}))
    yield "the trees of one client with all rows", f"{_differing(made.found, whole)} nodes differ", "0: the same bits"


def _levels(found: Boosted, root: int) -> int:
    """The levels of a tree that split, each of which was one question."""
    level, count = [root], 0
    while level := [node for node in level if found.forest.column[node] >= 0]:
        level = [int(side[node]) for node in level for side in (found.forest.left, found.forest.right)]
        count += 1
    return count


def _differing(found: Boosted, other: Boosted) -> int:
    """The nodes of two forests that differ in any bit."""
    ours, theirs = found.forest.as_message(), other.forest.as_message()
    if any(ours[name].shape != theirs[name].shape for name in ours):
        return max(len(found.forest.column), len(other.forest.column))
    return int(np.sum([ours[name] != theirs[name] for name in ours if name != "roots"], axis=0).astype(bool).sum())

"""Real flights on days that mean nothing: a reference and a period now, drawn from the same days, with models to judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any

import numpy as np

from assets.features.snapshots import Snapshot
from assets.incidents.compared import Compared
from assets.incidents.period_rows import PeriodRows, read_period
from assets.incidents.put_back import Scorer
from assets.incidents.root_cause import root_cause
from assets.spec import ProductSpec, read_declaration
from assets.training import training
from benchmarks.incidents.planted_causes import Planted
from benchmarks.learning.flights import SPEC, flights, home_with_flights, snapshot_of
from bentos.runtime import Model

REFERENCE_DAYS, DAYS = 120, 60
SPLIT = {"by": "months", "train": 5, "validation": 1, "test": 6, "end": "2013-12"}
START, END = datetime(2013, 7, 1, 4), datetime(2014, 1, 1, 5)
"""The half year that the models did not learn from (UTC)."""
HISTORY = ("overdue_flights", "carrier_arrivals_mean_delay_minutes", "destination_arrivals_mean_delay_minutes")
"""What is kept of fifteen columns of history: they say nearly the same, so a fault in one of all costs the metric nothing.
Without any, schedule and weather count for more."""
MISLABELLED = 0.35
"""The share of training rows with the other label from which the bad version learns."""


class FlightsSides:
    """The rows to draw from, a champion of January to June, and a version that was taught wrongly.

    Parameters
    ----------
    history : sequence of str
        Which columns of history the product has.
    """

    def __init__(self, history: Sequence[str] = HISTORY) -> None:
        self.home = home_with_flights()
        declared = read_declaration(SPEC, ProductSpec).model_dump(mode="json", exclude_none=True)
        known = declared["features"]["groups"].pop("history")
        if history:
            declared["features"]["groups"]["history"] = {name: known[name] for name in history}
        name = f"delay_by_{len(history)}_of_history"
        self.spec = ProductSpec.model_validate({**declared, "name": name, "split": SPLIT})
        self.frame = flights(self.home)
        self.seconds: list[float] = []
        self.shared: dict[tuple[int, str], dict[tuple[frozenset[str], int], Any]] = {}
        self.drawn: dict[int, tuple[PeriodRows, PeriodRows]] = {}

    @cached_property
    def snapshot(self) -> Snapshot:
        """All flights."""
        return snapshot_of(self.home, self.spec, self.frame)

    @cached_property
    def champion(self) -> Model:
        """What serves."""
        return self._trained(self.snapshot)

    @cached_property
    def before(self) -> Model:
        """The version that served before: of other parameters, and nearly as good."""
        learnt = self.spec.model.model_copy(update={"parameters": {**self.spec.model.parameters, "max_leaf_nodes": 15}})
        digest = training.train(self.home, self.spec.model_copy(update={"model": learnt}), self.snapshot).digest
        return Model.load(self.home.models / self.spec.name / digest, digest, threads=1)

    @cached_property
    def bad(self) -> Model:
        """A version of partly wrong labels."""
        random = np.random.default_rng(1)
        wrong = random.random(len(self.frame)) < MISLABELLED
        labels = self.frame["is_late"].where(~wrong | self.frame["is_late"].isna(), ~self.frame["is_late"].astype("boolean"))
        return self._trained(snapshot_of(self.home, self.spec, self.frame.assign(is_late=labels)))

    def _trained(self, snapshot: Snapshot) -> Model:
        digest = training.train(self.home, self.spec, snapshot).digest
        return Model.load(self.home.models / self.spec.name / digest, digest, threads=1)

    @cached_property
    def pool(self) -> PeriodRows:
        """All rows of the half year."""
        return read_period(self.spec, self.snapshot, list(self.champion.signature["features"]), START, END)

    def sides(self, seed: int) -> tuple[PeriodRows, PeriodRows]:
        """A reference and now: days drawn without replacement, so that nothing but chance is between them."""
        if seed not in self.drawn:
            days = np.random.default_rng(seed).permutation(len(self.pool.days))
            parts = days[:REFERENCE_DAYS], days[REFERENCE_DAYS : REFERENCE_DAYS + DAYS]
            reference, now = (self.pool.taken(np.isin(self.pool.day, part)) for part in parts)
            self.drawn[seed] = reference, now
        return self.drawn[seed]

    def forget(self) -> None:
        """Let go of the rows that were drawn, and of what is known of them."""
        self.drawn.clear()
        self.shared.clear()

    def searched(self, seed: int, plant: Callable[[PeriodRows, np.random.Generator], Planted]) -> dict[str, Any]:
        """What a search finds of a draw into which something was planted."""
        reference, now = self.sides(seed)
        planted = plant(now, np.random.default_rng(seed))
        model = self.bad if planted.is_bad_model else self.champion
        others = {"version 1": self.champion if planted.is_bad_model else self.before}
        return self._search(model, others, reference, planted, seed)

    def searched_months(self, before: str, now: str) -> dict[str, Any]:
        """What a search finds of a month as it came, held against another."""
        months = np.array([day[:7] for day in self.pool.days])[self.pool.day]
        sides = [self.pool.taken(months == month) for month in (before, now)]
        return self._search(self.champion, {"version 1": self.before}, sides[0], Planted(sides[1]), 0)

    def _search(
        self, model: Model, others: dict[str, Model], reference: PeriodRows, planted: Planted, seed: int
    ) -> dict[str, Any]:
        started = time.process_time()
        shared = self.shared.setdefault((id(reference), model.digest), {})
        found = root_cause(
            Compared(Scorer(self.spec, model, self.spec.metric), reference, planted.rows, seed, shared),
            {name: list(columns) for name, columns in self.spec.features.groups.items()},
            earlier=planted.earlier,
            models=others,
        )
        self.seconds.append(time.process_time() - started)
        return found


@cache
def worlds() -> dict[bool, FlightsSides]:
    """The product with three columns of history, and the one without, which are made once for all sections."""
    return {True: FlightsSides(), False: FlightsSides(history=())}


def share(count: int, of: int) -> str:
    """A count as a share, with its exact interval at 95 % (Clopper and Pearson 1934).

    Examples
    --------
    >>> share(1, 20)
    '1 of 20 (5 %, 95 % interval 0.1 to 24.9 %)'
    """
    from scipy.stats import binomtest

    interval = binomtest(count, of).proportion_ci(method="exact")
    low, high = 100 * interval.low, 100 * interval.high
    return f"{count} of {of} ({100 * count / of:.0f} %, 95 % interval {low:.1f} to {high:.1f} %)"

"""Coverage of what was answered, period by period, with an alarm where it surely falls short of what is promised.

The alarm is valid over all looks: while coverage is as promised, the chance that any look ever raises it is at most one minus
the confidence of the drift alarms (`assets.methods.shortfall`), days being the unit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from assets.evaluation.coverage_history import CoverageHistory, history
from assets.features.snapshots import Snapshot
from assets.methods.shortfall import evidence
from assets.monitoring.alarms import alarm, let_stand
from assets.monitoring.scored_rows import PERIODS
from assets.spec import ProductSpec
from bentos.runtime import Model

FLOOR = 0.03
"""By how much coverage may fall short without an alarm: thresholds are chosen on days of their own, and days differ."""
FEWEST_ROWS = 20
"""The labelled rows from which a day's coverage is counted."""


def add_coverage(
    record: dict[str, Any], spec: ProductSpec, model: Model, snapshot: Snapshot, as_of: datetime
) -> dict[str, Any]:
    """Put coverage and its alarms into the periods of a monitoring record; nothing where the model declares no uncertainty.

    Parameters
    ----------
    record : dict
        From `champion_monitor`: its periods are changed.
    spec, model, snapshot, as_of
        What is watched, on which rows, as known at which moment.
    """
    told = model.signature.get("uncertainty")
    if told is None or not record["periods"]:
        return record
    since = history(spec, model, snapshot, as_of)
    capital = _capital(since, 1 - told["coverage"] + FLOOR)
    names = _names(spec, since)
    least = 1 / (1 - spec.monitoring.drift.confidence)
    for place, period in enumerate(record["periods"]):
        rows = names == period["name"]
        known = rows & since.labelled
        if known.any():
            period["coverage"] = {
                "value": float(since.inside(since.adaptive)[known].mean()),
                "static": float(since.inside(since.static)[known].mean()),
                "size": float(since.adaptive_size[rows].mean()),
                "static_size": float(since.static_size[rows].mean()),
                "evidence": capital[known][-1],
            }
            if capital[known][-1] >= least:
                value = period["coverage"]["value"]
                what = f"{told['coverage']:.0%} are promised, {value:.1%} of {known.sum():,} outcomes were inside"
                sure = f"the evidence of a shortfall of more than {FLOOR:.0%} is {capital[known][-1]:.3g}, {least:.3g} is sure"
                period["alarms"].append(alarm("coverage", "answers", told["coverage"] - value, FLOOR, f"{what}; {sure}"))
        let_stand(record["periods"][: place + 1], spec.monitoring.debounce)
    record["alarms"] = [item for item in record["periods"][-1]["alarms"] if item["stands"]]
    return record


def _capital(since: CoverageHistory, bound: float) -> np.ndarray[Any, Any]:
    """The evidence of a shortfall after each row's day; that of the day before where a day has too few labels."""
    known = since.labelled
    days, of_rows = np.unique(since.days, return_inverse=True)
    counted = np.bincount(of_rows[known], minlength=len(days))
    missed = np.bincount(of_rows[known], 1 - since.inside(since.adaptive)[known], minlength=len(days))
    judged = counted >= FEWEST_ROWS
    after = np.ones(len(days))
    after[judged] = evidence(missed[judged] / counted[judged], bound)
    last = np.maximum.accumulate(np.where(judged, np.arange(len(days)), -1))
    return np.asarray(np.where(last < 0, 1.0, after[np.maximum(last, 0)])[of_rows])


def _names(spec: ProductSpec, since: CoverageHistory) -> np.ndarray[Any, Any]:
    """The name of each row's period, as the monitoring names it."""
    import pandas as pd

    starts = pd.DatetimeIndex(since.days).to_period(PERIODS[spec.monitoring.period]).start_time
    return np.asarray(starts.strftime("%Y-%m" if spec.monitoring.period == "month" else "%Y-%m-%d"), dtype=object)

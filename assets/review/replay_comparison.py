"""The same months played under two revisions: money, metric, trainings and alarms, and how far the money differs by chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.methods.policies import block_days
from assets.replay.policy_runner import JOURNAL
from assets.storage.home import Home
from assets.storage.publishing import read_json

BLOCK, REPLICATES = 14, 2000
"""Days of a block of the bootstrap, and how often it draws: as in a replay of several policies."""


@dataclass(frozen=True)
class History:
    """What the months came to under one revision.

    Parameters
    ----------
    daily : mapping of str to float
        What each day's answers cost.
    training_cost : float
        What the trainings cost, the first aside.
    mean_metric : float or None
        The deciding metric over all labelled rows.
    trainings, promotions : int
        How often was trained, and how often the gate let the new model serve.
    true_alarms, false_alarms, missed_alarms : int
        Steps with an alarm in which the metric was worse than allowed or was not, and such steps without an alarm.
    """

    daily: Mapping[str, float]
    training_cost: float
    mean_metric: float | None
    trainings: int
    promotions: int
    true_alarms: int
    false_alarms: int
    missed_alarms: int

    @property
    def total(self) -> float:
        """What it cost in all."""
        return sum(self.daily.values()) + self.training_cost


@dataclass(frozen=True)
class ReplayComparison:
    """Two revisions over the same days.

    Parameters
    ----------
    before, after : History
        Each revision.
    policy, step, metric, unit : str
        By which policy it was trained, how often looked, the deciding metric, and the unit of money.
    months : tuple of str
        The first and the last month.
    days : int
        The days with labelled rows under both.
    confidence, low, high : float
        The interval of what the second costs more than the first, the same blocks of days drawn for both.
    """

    before: History
    after: History
    policy: str
    step: str
    metric: str
    unit: str
    months: tuple[str, str]
    days: int
    confidence: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """What the second costs more."""
        return self.after.total - self.before.total


def history(home: Home, product: str, record: Mapping[str, Any]) -> History:
    """What a revision's `loopline replay --json` printed, with the days of its only policy's journal.

    Raises
    ------
    DataError
        If the record is not one that this version reads.
    """
    try:
        (policy,) = record["policies"]
        (folder,) = home.replays.glob(f"{product}/*/policies/*/")
        last = max(folder.glob("[0-9][0-9][0-9]"))
        daily: dict[str, float] = {}
        for step in read_json(last / JOURNAL)[1:]:
            for day, cost in step["answers"]["days"].items():
                daily[day] = daily.get(day, 0.0) + cost
        return History(
            daily,
            policy["trainings"] * record["training_cost"],
            policy["mean_metric"],
            policy["trainings"],
            policy["promotions"],
            *(policy["alarms"][name] for name in ("true", "false", "missed")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"its replay has another format than this version reads ({error!r})") from error


def compared(before: History, after: History, record: Mapping[str, Any], seed: int) -> ReplayComparison:
    """Compare two histories of the same months.

    Parameters
    ----------
    before, after : History
        Of the two revisions.
    record : mapping
        The second's, for what both have in common.
    seed : int
        The seed of the draws.
    """
    days = sorted(set(before.daily) & set(after.daily))
    if not days:
        raise DataError("no day was labelled under both revisions, so their money cannot be compared")
    differences = np.array([after.daily[day] - before.daily[day] for day in days])
    places = block_days(len(days), min(BLOCK, len(days)), REPLICATES, seed)
    drawn = differences[places].sum(axis=1) + after.training_cost - before.training_cost
    confidence = float(record["confidence"])
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return ReplayComparison(
        before,
        after,
        policy=str(record["policies"][0]["name"]),
        step=str(record["step"]),
        metric=str(record["metric"]),
        unit=str(record["unit"]),
        months=(record["months"][0], record["months"][1]),
        days=len(days),
        confidence=confidence,
        low=float(low),
        high=float(high),
    )

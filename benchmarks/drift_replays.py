"""Replays of real flights on days that mean nothing, into which drift of one kind may be planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from assets.features import snapshots
from assets.monitoring.drift import KINDS
from assets.monitoring.scored_rows import Monitored
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage.home import Home

REFERENCE_DAYS, DAYS = 120, 28


class Replays:
    """The real rows to draw from."""

    def __init__(self, home: Home, spec: ProductSpec, champion: Entry) -> None:
        rows = Monitored.load(home, spec, snapshots.current(home, spec.name), champion.model_digest)
        kept = ~np.isnan(rows.labels) & ~np.isnan(rows.outputs)
        self.rows, self.pool = rows, np.flatnonzero(kept)
        minute = np.nan_to_num(rows.features["scheduled_departure_minute_local"].astype(float)[self.pool])
        self.minute, self.place = minute, (minute - minute.mean()) / minute.std()

    def drawn(self, rows: int, seed: int, kind: str = "", size: float = 0.0, weeks: int = 0) -> tuple[Monitored, Any]:
        """A replay, and the days of its period; a drift may be planted there, and the period may be one of its weeks."""
        random = np.random.default_rng(seed)
        tilt = np.exp(size * self.place) if kind == "data" else np.ones(len(self.pool))
        before = random.choice(len(self.pool), rows * REFERENCE_DAYS // DAYS)
        after = random.choice(len(self.pool), rows, p=tilt / tilt.sum())
        days = np.r_[random.integers(0, REFERENCE_DAYS, len(before)), REFERENCE_DAYS + random.integers(0, DAYS, rows)]
        order = np.argsort(days, kind="stable")
        local, days = np.r_[before, after][order], days[order]
        chosen, later = self.pool[local], days >= REFERENCE_DAYS
        labels, served = self.rows.labels[chosen].copy(), self.rows.outputs[chosen].copy()
        if kind == "concept":
            late = later & (self.minute[local] > 17 * 60) & (random.random(len(days)) < size)
            labels[late] = 1.0
        if kind == "model":
            odds = np.log(served / (1 - served)) + size
            served[later] = (1 / (1 + np.exp(-odds)))[later]
        calendar = pd.date_range("2013-01-01", periods=REFERENCE_DAYS + DAYS)
        made = replace(
            self.rows,
            features={name: values[chosen] for name, values in self.rows.features.items()},
            unit=days,
            days=calendar,
            taught=np.zeros(len(calendar), dtype=bool),
            held_out=np.arange(len(calendar)) < REFERENCE_DAYS,
            outputs=self.rows.outputs[chosen],
            served=served,
            labels=labels,
        )
        number = np.arange(len(calendar)) - REFERENCE_DAYS
        now = number >= 0 if not weeks else (number >= 7 * (weeks - 1)) & (number < 7 * weeks)
        return made, now


def sides(replay: tuple[Monitored, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The features of a replay's reference, and of its period."""
    rows, now = replay
    frame = pd.DataFrame(rows.features)
    inside = rows.rows(now)
    return frame[~inside], frame[inside]


def share(alarmed: Sequence[bool]) -> str:
    """The share that raised an alarm, with its 95 % error; that is not 0 where none did, or all."""
    rate, count = float(np.mean(alarmed)), len(alarmed)
    error = 1.96 * np.sqrt(max(rate * (1 - rate), 0.25 / count) / count)
    return f"{rate:.1%} ± {error:.1%}"


def raised(found: Mapping[str, Any]) -> dict[str, bool]:
    """Which kinds raise an alarm."""
    told = {kind: any(item["alarm"] for item in found[kind].values()) for kind in KINDS}
    told["data"] |= bool(found["separation"] and found["separation"]["alarm"])
    return told

"""The labelled rows of a period, as a model takes them: the two sides that a search for a root cause compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.features.snapshots import Snapshot, last_known, read
from assets.methods.ranking import Array
from assets.spec import ProductSpec

Columns = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class PeriodRows:
    """Rows with a label.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (n_rows,)
        The features.
    labels : ndarray of shape (n_rows,)
        0 and 1, class numbers, or values.
    entities, times : ndarray of shape (n_rows,)
        What each row is about, and its event time (UTC).
    day : ndarray of int of shape (n_rows,)
        The number of each row's local day, from 0.
    days : tuple of str
        The days, in order.
    """

    columns: Columns
    labels: Array
    entities: np.ndarray[Any, Any]
    times: np.ndarray[Any, Any]
    day: np.ndarray[Any, Any]
    days: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def span(self) -> tuple[str, str]:
        """The first and the last day."""
        return self.days[0], self.days[-1]

    def taken(self, places: np.ndarray[Any, Any]) -> PeriodRows:
        """Some of the rows: their places, or a boolean for each. Days without a row are left out."""
        numbers, day = np.unique(self.day[places], return_inverse=True)
        return PeriodRows(
            {name: values[places] for name, values in self.columns.items()},
            self.labels[places],
            self.entities[places],
            self.times[places],
            day,
            tuple(self.days[number] for number in numbers),
        )

    def sample(self, most: int, seed: int) -> PeriodRows:
        """At most so many rows, drawn at random, in order."""
        if len(self) <= most:
            return self
        return self.taken(np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False)))

    def with_values(self, columns: Columns, labels: Array | None = None) -> PeriodRows:
        """The rows with other values in some columns, or with other labels."""
        return replace(self, columns={**self.columns, **columns}, labels=self.labels if labels is None else labels)

    def once(self) -> PeriodRows:
        """The rows without those that repeat another in time, label and every feature."""
        import pandas as pd

        frame = pd.DataFrame({**self.columns, "_label": self.labels, "_time": self.times})
        return self.taken(~frame.duplicated().to_numpy())


def read_period(spec: ProductSpec, snapshot: Snapshot, features: Sequence[str], start: datetime, end: datetime) -> PeriodRows:
    """The labelled rows of a snapshot whose event time lies from `start` to before `end` (UTC, without a zone).

    Raises
    ------
    DataError
        If the snapshot lacks a feature, or holds no labelled row of these days.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    named, known, time = list(features), spec.target.known_at, str(spec.features.event_time)
    if lacking := sorted(set(named) - set(pq.read_schema(snapshot.path).names)):
        raise DataError(f"{spec.name}: snapshot {snapshot.digest[:12]} lacks {', '.join(lacking)}, which the model needs.")
    wanted = dict.fromkeys([*named, spec.features.entity, time, spec.target.column, *([known] if known else [])])
    frame = read(snapshot, list(wanted))
    as_of = last_known(frame, time, known)
    frame = frame[(frame[time] >= start) & (frame[time] < end)]
    labels = label_numbers(spec, frame[spec.target.column])
    if known:
        labels[~(frame[known] <= as_of).to_numpy()] = np.nan
    frame, labels = frame[~np.isnan(labels)], labels[~np.isnan(labels)]
    if not len(frame):
        raise DataError(
            f"{spec.name}: snapshot {snapshot.digest[:12]} has no labelled row from {start:%Y-%m-%d} to {end:%Y-%m-%d}. Name "
            "days that have labels, or land them."
        )
    local = frame[time].dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone).dt.normalize()
    day, days = pd.factorize(local, sort=True)
    return PeriodRows(
        {name: frame[name].to_numpy() for name in named},
        labels,
        frame[spec.features.entity].to_numpy(),
        frame[time].to_numpy(),
        np.asarray(day),
        tuple(f"{item:%Y-%m-%d}" for item in days),
    )


def label_numbers(spec: ProductSpec, column: Any) -> Array:
    """Labels as numbers, NaN where there is none."""
    if spec.kind == "multiclass":
        column = column.map({name: float(index) for index, name in enumerate(spec.target.classes or ())})
    found: Array = column.astype("float64").to_numpy(copy=True, na_value=np.nan)
    return found

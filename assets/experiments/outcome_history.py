"""Outcome history: what units came to by week before an experiment, and what of it an experiment of some weeks could know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.methods.bootstrap import Array
from assets.methods.unit_variation import UnitVariation, correlation_with_past, variation

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("unit", "day", "value")
DAYS = 7
PAST_WEEKS = 4
"""The weeks before an experiment whose values CUPED uses, where there are so many."""
PERIODS = 3
"""The periods of one length that are averaged, counted back from the last day, none overlapping another."""


@dataclass(frozen=True)
class Period:
    """What an experiment of some whole weeks would have known.

    Parameters
    ----------
    units, relative : float
        The units, and the squared relative error of the metric on all of them (`UnitVariation`), means over periods; infinite
        where no period has a metric.
    correlation : float or None
        Of the metric with the units' past; None where the history holds no week before.
    """

    units: float
    relative: float
    correlation: float | None


class OutcomeHistory:
    """The values of units by whole weeks, counted back from the last day.

    Parameters
    ----------
    frame : DataFrame
        A line for each row or each unit's day: ``unit``, ``day`` (a date), ``value`` (the sum of the values), and, where lines
        stand for several rows, ``rows``.
    name : str
        What the history is of, for errors.

    Raises
    ------
    DataError
        If a column is missing, a value is no number, or there are fewer than two whole weeks.
    """

    def __init__(self, frame: pd.DataFrame, name: str) -> None:
        import pandas as pd

        if missing := [column for column in COLUMNS if column not in frame]:
            raise DataError(f"{name}: the history lacks {', '.join(missing)}. It needs the columns {', '.join(COLUMNS)}.")
        frame = frame.dropna(subset=list(COLUMNS))
        if not pd.api.types.is_numeric_dtype(frame["value"]) and not pd.api.types.is_bool_dtype(frame["value"]):
            raise DataError(f"{name}: the history's 'value' holds {frame['value'].dtype}, not numbers. Give numbers.")
        try:
            days = pd.to_datetime(frame["day"])
        except (ValueError, TypeError) as error:
            raise DataError(f"{name}: the history's 'day' holds no dates ({error}). Write them as 2013-01-31.") from error
        values = frame["value"].to_numpy(dtype=np.float64)
        rows = frame["rows"].to_numpy(dtype=np.float64) if "rows" in frame else np.ones(len(frame))
        age = np.zeros(0, dtype=np.int64) if frame.empty else (days.max() - days).dt.days.to_numpy()
        self.weeks = int((age.max(initial=-1) + 1) // DAYS)
        if self.weeks < 2:
            raise DataError(
                f"{name}: the history holds {age.max(initial=-1) + 1} days, and needs two whole weeks at least to tell how "
                "units and weekdays differ. Wait for more outcomes, or give another history."
            )
        kept = age < self.weeks * DAYS
        age, values, rows, days = age[kept], values[kept], rows[kept], days[kept]
        units, self.names = pd.factorize(frame["unit"][kept])
        self.first, self.last = (f"{day:%Y-%m-%d}" for day in (days.min(), days.max()))
        self._units, self._week, self._values, self._rows = units, age // DAYS, values, rows
        self._weekday, self._age = days.dt.dayofweek.to_numpy(), age

    @property
    def whole(self) -> UnitVariation:
        """The metric of the whole history."""
        return variation(*self._of(0, self.weeks))

    @property
    def longest(self) -> int:
        """The most weeks of a period that has a past of a week at least."""
        return self.weeks - 1

    def period(self, weeks: int) -> Period:
        """What experiments of so many weeks would have known; means over the last `PERIODS` of them.

        Parameters
        ----------
        weeks : int
            At most `longest`.
        """
        found, correlations = [], []
        for number in range(min(PERIODS, self.weeks // weeks)):
            start = number * weeks
            now = self._of(start, start + weeks)
            found.append(variation(*now))
            if start + weeks < self.weeks:
                past = self._of(start + weeks, min(start + weeks + PAST_WEEKS, self.weeks))
                correlations.append(correlation_with_past(*now, *past))
        known = [item.relative for item in found if np.isfinite(item.relative)]  # not of weeks without a row
        return Period(
            float(np.mean([item.units for item in found])),
            float(np.mean(known)) if known else float("inf"),
            float(np.mean(correlations)) if correlations else None,
        )

    def seasonality(self) -> dict[str, Any]:
        """How weekdays and weeks differ: smallest and largest by the mean, of the metric and of the rows a day."""
        by_weekday, weekday_rows = (self._sums(self._weekday, what, DAYS) for what in (self._values, self._rows))
        by_week, week_rows = (self._sums(self._week, what, self.weeks) for what in (self._values, self._rows))
        daily = self._sums(self._age, self._rows, self.weeks * DAYS)
        return {
            "weekday_metric": _range(by_weekday[weekday_rows > 0] / weekday_rows[weekday_rows > 0]),
            "weekday_rows": _range(weekday_rows),
            "week_metric": _range(by_week[week_rows > 0] / week_rows[week_rows > 0]),
            "rows_per_day": {"mean": float(daily.mean()), "min": float(daily.min()), "max": float(daily.max())},
        }

    def _of(self, first: int, end: int) -> tuple[Array, Array]:
        """Sums and rows of each unit in some weeks, the last week being 0."""
        inside = (self._week >= first) & (self._week < end)
        return tuple(  # type: ignore[return-value]
            self._sums(self._units[inside], what[inside], len(self.names)) for what in (self._values, self._rows)
        )

    @staticmethod
    def _sums(groups: Any, what: Array, count: int) -> Array:
        return np.bincount(groups, what, minlength=count).astype(np.float64)


def _range(values: Array) -> dict[str, float]:
    """The smallest and the largest, each by the mean of all; 0 where that is 0."""
    mean = float(values.mean())
    low, high = (float(end / mean) if mean else 0.0 for end in (values.min(), values.max()))
    return {"low": low, "high": high}

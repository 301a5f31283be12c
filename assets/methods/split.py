"""Splits in order of time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Window:
    """Rows whose event time is in [start, end), in UTC without a zone."""

    start: datetime
    end: datetime

    def holds(self, times: pd.Series) -> pd.Series:
        """A boolean for each time: whether the window holds it."""
        return (times >= self.start) & (times < self.end)


@dataclass(frozen=True)
class Windows:
    """The three windows of a split; each begins where the one before it ends."""

    train: Window
    validate: Window
    test: Window


def month_windows(end: str, train: int, validate: int, test: int, time_zone: str) -> Windows:
    """Count whole months back from the last test month.

    Parameters
    ----------
    end : str
        The last test month, as ``2013-12``.
    train, validate, test : int
        Months in each window.
    time_zone : str
        The IANA zone at whose midnight a month begins.

    Examples
    --------
    >>> month_windows("2013-12", 8, 2, 2, "America/New_York").test.start
    datetime.datetime(2013, 11, 1, 4, 0)
    """
    last = int(end[:4]) * 12 + int(end[5:])

    def month_start(index: int) -> datetime:
        local = datetime(index // 12, index % 12 + 1, 1, tzinfo=ZoneInfo(time_zone))
        return local.astimezone(UTC).replace(tzinfo=None)

    bounds = [month_start(last - back) for back in (test + validate + train, test + validate, test, 0)]
    return Windows(*(Window(start, end) for start, end in itertools.pairwise(bounds)))

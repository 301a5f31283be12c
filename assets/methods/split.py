"""Splits into training, validation and test: in order of time where there is one, seeded at random where there is none."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

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

    @property
    def span(self) -> list[str]:
        """Start and end (UTC), as ISO text."""
        return [self.start.isoformat(), self.end.isoformat()]


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


def day_windows(last: date, train: int, validate: int, test: int, time_zone: str) -> Windows:
    """Count whole days back from the last test day.

    Parameters
    ----------
    last : date
        The last test day.
    train, validate, test : int
        Days in each window.
    time_zone : str
        The IANA zone at whose midnight a day begins.

    Examples
    --------
    >>> day_windows(date(2013, 3, 14), 60, 7, 7, "America/New_York").test.start
    datetime.datetime(2013, 3, 8, 5, 0)
    """

    def day_start(back: int) -> datetime:
        day = last + timedelta(days=1 - back)
        return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC).replace(tzinfo=None)

    bounds = [day_start(back) for back in (test + validate + train, test + validate, test, 0)]
    return Windows(*(Window(start, end) for start, end in itertools.pairwise(bounds)))


def share_windows(times: pd.Series, shares: tuple[float, float, float], time_zone: str) -> Windows:
    """Cut rows in order of time so that each window holds about its share; windows begin at midnight where days allow it.

    Parameters
    ----------
    times : Series of shape (n_samples,)
        Event times in UTC without a zone; none missing.
    shares : tuple of float
        The shares of training, validation and test.
    time_zone : str
        The IANA zone whose midnight counts.
    """
    import pandas as pd

    ordered = np.sort(times.to_numpy())
    cuts = [pd.Timestamp(ordered[min(round(len(ordered) * share), len(ordered) - 1)]) for share in np.cumsum(shares)[:2]]
    days = [cut.tz_localize("UTC").tz_convert(time_zone).normalize().tz_convert("UTC").tz_localize(None) for cut in cuts]
    first, last = pd.Timestamp(ordered[0]), pd.Timestamp(ordered[-1]) + pd.Timedelta(microseconds=1)
    if first < days[0] < days[1] < last:
        cuts = days
    bounds = [moment.to_pydatetime(warn=False) for moment in (first, *cuts, last)]
    return Windows(*(Window(start, end) for start, end in itertools.pairwise(bounds)))


def uniform(keys: Any, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A number in [0, 1) for each key, which depends on nothing but the key and the seed.

    Parameters
    ----------
    keys : array-like of shape (n_samples,)
        What identifies each row.
    seed : int
        The seed.
    """
    import pandas as pd

    hashed = pd.util.hash_array(pd.Series(keys).astype(str).to_numpy(dtype=object), hash_key=f"{seed % 10**16:016d}")
    return np.asarray(hashed / 2.0**64)


def places(keys: Any, seed: int, *, strata: Any = None, groups: Any = None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Where each row stands in a random order, between 0 and 1: the middle of its place, by a hash of its key.

    Parameters
    ----------
    keys : array-like of shape (n_samples,)
        What identifies each row.
    seed : int
        The seed of the hash.
    strata : array-like of shape (n_samples,), optional
        Rows of one stratum are ordered among themselves.
    groups : array-like of shape (n_samples,), optional
        Rows of one group stand at one place, among the groups whose first rows are of the same stratum. Rows without a group
        are one.
    """
    import pandas as pd

    if groups is not None:
        named = pd.Series(groups).astype(str).fillna("").to_numpy(dtype=object)
        sizes = pd.Series(named).value_counts()
        sizes = sizes.iloc[np.argsort(uniform(sizes.index, seed), kind="stable")]
        strata = np.zeros(len(named)) if strata is None else pd.Series(strata).astype(str).to_numpy()
        alike = sizes.groupby(pd.Series(strata).groupby(named).first()[sizes.index].to_numpy())
        middle = (alike.cumsum() - sizes / 2) / alike.transform("sum")
        return np.asarray(middle[named])
    drawn = pd.Series(uniform(keys, seed))
    by = drawn.groupby(pd.Series(strata).astype(str).to_numpy()) if strata is not None else drawn.groupby(np.zeros(len(drawn)))
    return np.asarray((by.rank(method="first") - 0.5) / by.transform("size"))


def random_parts(
    keys: Any, shares: tuple[float, float, float], seed: int, *, strata: Any = None, groups: Any = None
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Deal rows to training (0), validation (1) and test (2) by their `places`.

    Parameters
    ----------
    keys, seed, strata, groups
        As for `places`.
    shares : tuple of float
        The shares of the three parts.

    Examples
    --------
    >>> random_parts(list("abcdefghij"), (0.6, 0.2, 0.2), seed=1, strata=[0] * 5 + [1] * 5).tolist()
    [0, 0, 0, 1, 2, 1, 0, 0, 2, 0]
    """
    bounds = np.cumsum(shares)[:2] - 1e-9
    return np.asarray(np.searchsorted(bounds, places(keys, seed, strata=strata, groups=groups), side="right"))

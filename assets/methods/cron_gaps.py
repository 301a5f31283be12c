"""The longest time between two moments of a cron expression."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

DAYS = 5 * 366
"""So many days are looked at, from the first of a leap year: two of them are a 29th of February."""
DAY = 24 * 60


def longest_gap_minutes(cron: str) -> int:
    """The longest time between two moments of a cron expression, on a clock that is never set.

    Parameters
    ----------
    cron : str
        Five fields: minute, hour, day of month, month, day of week.

    Returns
    -------
    int
        In minutes. Each day that has moments has the same ones, so days and moments of a day are looked at apart.

    Raises
    ------
    ValueError
        If it is no cron expression.

    Examples
    --------
    >>> [longest_gap_minutes(cron) for cron in ("*/5 * * * *", "0 * * * *", "0 6 * * *")]
    [5, 60, 1440]
    >>> longest_gap_minutes("*/10 8-17 * * 1-5") / 60  # from Friday, 17:50, to Monday, 8:00
    62.166666666666664
    """
    from croniter import croniter

    (minutes, hours, *_), _ = croniter.expand(cron)
    moments = sorted(
        hour * 60 + minute
        for hour in (range(24) if hours == ["*"] else hours)
        for minute in (range(60) if minutes == ["*"] else minutes)
    )
    start, days = datetime(2024, 1, 1), list[datetime]()
    firing = croniter(" ".join(["0", "0", *cron.split()[2:]]), start - timedelta(minutes=1))
    while len(days) < 2 or (days[-1] - start).days < DAYS:
        days.append(firing.get_next(datetime))
    between = max((later - earlier).days for earlier, later in pairwise(days)) * DAY - (moments[-1] - moments[0])
    return max([between, *(later - earlier for earlier, later in pairwise(moments))])

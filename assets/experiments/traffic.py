"""Traffic: how many units a product is asked about, from its prediction log."""

from __future__ import annotations

from datetime import datetime, timedelta

from assets.monitoring.logged_outcomes import joined
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.sql import literal

WEEKS = 4
"""The weeks before a moment that are looked at."""
LEAST = 1_000.0
"""What is planned where nothing is known: an interval that is narrowest at another number of units holds all the same."""


def planned_units(home: Home, spec: ProductSpec, weeks: float, now: datetime) -> float:
    """The units that may be expected in so many weeks, by those of the weeks before.

    Parameters
    ----------
    home, spec
        Whose log.
    weeks : float
        For how long.
    now : datetime
        The weeks before it are looked at (aware).
    """
    began = now - timedelta(weeks=WEEKS)
    with joined(home, spec, begin=began.date().isoformat()) as rows:
        ((units, first),) = rows.query(
            "answered",
            "select count(distinct unit), epoch(min(answered_at)) from answered "
            f"where unit is not null and answered_at >= {literal(began.isoformat())}::timestamptz",
        ).fetchall()
    if not units:
        return LEAST
    covered = max((now.timestamp() - first) / timedelta(weeks=1).total_seconds(), 1 / 7)
    expected: float = units * weeks / covered
    return max(LEAST, expected)

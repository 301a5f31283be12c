"""The longest time between two moments of a cron expression, held against the moments themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from croniter import croniter

from assets.methods.cron_gaps import longest_gap_minutes


@pytest.mark.parametrize("cron", ["*/7 * * * *", "10,50 */6 * * *", "*/10 8-17 * * 1-5", "30 4 1,15 * 5", "0 0 * 1,12 *"])
def test_no_two_moments_are_further_apart(cron: str) -> None:
    """And two of two years are as far apart as that."""
    end, firing = datetime(2026, 1, 1), croniter(cron, datetime(2024, 1, 1) - timedelta(minutes=1))
    moments = [firing.get_next(datetime)]
    while moments[-1] < end:
        moments.append(firing.get_next(datetime))
    assert timedelta(minutes=longest_gap_minutes(cron)) == max(later - earlier for earlier, later in pairwise(moments))


def test_a_day_of_leap_years_has_the_longest_gap() -> None:
    """Four years."""
    assert longest_gap_minutes("0 12 29 2 *") == (3 * 365 + 366) * 24 * 60


def test_moments_that_are_rarer_than_what_is_looked_at_have_a_gap_too() -> None:
    """A 29th of February that is the month's fifth Monday: 2044 and 2072."""
    assert longest_gap_minutes("0 0 29 2 1#5") == (28 * 365 + 7) * 24 * 60

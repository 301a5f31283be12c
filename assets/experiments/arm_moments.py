"""Arm moments: what units add up to in each arm by each look, from a log, in one pass of the database.

Ten million rows come out as a few numbers for each arm and look. A unit's sums grow while it comes again, so each look adds to
the sums of squares what they have grown by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.moments import Moments
from assets.storage.sql import literal

if TYPE_CHECKING:
    import duckdb

SUMS = """
    count(*) filter (place = 1), sum(s), sum(n), sum(x) filter (place = 1), sum(m) filter (place = 1),
    sum(s_after ** 2 - (s_after - s) ** 2), sum(s_after * n_after - (s_after - s) * (n_after - n)), sum(s * x), sum(s * m),
    sum(n_after ** 2 - (n_after - n) ** 2), sum(n * x), sum(n * m), sum(x * x) filter (place = 1), sum(m) filter (place = 1),
    count(*) filter (s_after > 0 and s_after - s <= 0)
"""
"""Units, the sums of the columns, and those of their products, where a unit without a past has x = 0 and m = 1; and the units
whose values add up to more than 0 for the first time."""


@dataclass(frozen=True)
class ArmMoments:
    """The units of each arm at each look.

    Parameters
    ----------
    arms : dict of str to Moments of shape (n_looks,)
        Columns: the sum of a unit's values, its rows; and, where units have a past, its mean value then less that of all, and
        whether it has none.
    positive : dict of str to ndarray of shape (n_looks,)
        The units of each arm whose values add up to more than 0.
    skewness : float
        Of the mean values of units; 0 where there are too few.
    nameless, waiting : int
        Rows that are left out: without a unit, and without a value.
    """

    arms: dict[str, Moments]
    positive: dict[str, Array]
    skewness: float
    nameless: int
    waiting: int

    @property
    def has_past(self) -> bool:
        """Whether something is known of units from before."""
        return any(moments.mean.shape[-1] > 2 for moments in self.arms.values())

    def units(self) -> Array:
        """The units of each arm at each look, of shape (n_looks, n_arms)."""
        return np.stack([moments.count for moments in self.arms.values()], axis=-1)


def arm_moments(rows: duckdb.DuckDBPyRelation, arms: Sequence[str], ends: Sequence[datetime]) -> ArmMoments:
    """Add up the values of units.

    Parameters
    ----------
    rows : DuckDBPyRelation
        ``arm``, ``unit``, ``moment`` (timestamptz) and ``value`` (double or null). Rows whose arm is null are the units' past.
    arms : sequence of str
        The arms.
    ends : sequence of datetime
        The moments of looks, rising (aware); later rows are left out.
    """
    look = " + ".join(f"(moment >= {literal(end.isoformat())}::timestamptz)::int" for end in ends)
    # kept: the rows are a join of the whole log, which each query would make again
    rows.query("given", "create or replace temp table experiment_rows as from given")

    def found(query: str) -> list[tuple[Any, ...]]:
        lines: list[tuple[Any, ...]] = rows.query("given", query).fetchall()
        return lines

    ((nameless, waiting, known),) = found(
        "select count(*) filter (arm is not null and unit is null), "
        "count(*) filter (arm is not null and unit is not null and value is null), "
        "count(distinct unit) filter (arm is null and value is not null) from experiment_rows"
    )
    grouped = f"""
        with valued as (select * from experiment_rows where unit is not null and value is not null),
        past as (select unit, avg(value) as x from valued where arm is null group by unit),
        sums as (
            select arm, unit, look, count(*)::double as n, sum(value) as s from (
                select *, {look} as look from valued where arm is not null
            ) where look < {len(ends)} group by all
        ),
        grown as (
            select
                arm, unit, look, n, s,
                sum(n) over each as n_after, sum(s) over each as s_after, row_number() over each as place,
                coalesce(x - (select avg(x) from past), 0) as x, (x is null)::double as m
            from sums left join past using (unit)
            window each as (partition by arm, unit order by look)
        )
    """
    lines = found(f"{grouped} select arm, look, {SUMS} from grown group by arm, look")
    by_unit = "select sum(s) as s, sum(n) as n from sums group by arm, unit"
    ((skewness,),) = found(f"{grouped} select skewness(s / n) from ({by_unit})")
    columns = 4 if known else 2
    totals = {arm: _totals([line[1:] for line in lines if line[0] == arm], len(ends)) for arm in arms}
    return ArmMoments(
        {arm: _moments(total, columns) for arm, total in totals.items()},
        {arm: total[:, -1] for arm, total in totals.items()},
        float(skewness) if skewness is not None and np.isfinite(skewness) else 0.0,
        nameless,
        waiting,
    )


def _totals(lines: Sequence[tuple[Any, ...]], looks: int) -> Array:
    """The sums up to each look, by what each look adds."""
    added = np.zeros((looks, 15))
    for look, *sums in lines:
        added[look] = [0.0 if value is None else value for value in sums]
    return np.cumsum(added, axis=0)


def _moments(total: Array, columns: int) -> Moments:
    """The moments of the first columns, by sums and sums of products."""
    products = np.zeros((len(total), 4, 4))
    # the product of x and m is 0, as a unit without a past has x = 0
    products[:, *np.triu_indices(4)] = np.insert(total[:, 5:14], 8, 0.0, axis=1)
    whole = products + np.swapaxes(np.triu(products, 1), -1, -2)
    return Moments.from_sums(total[:, 0], total[:, 1 : 1 + columns], whole[:, :columns, :columns])

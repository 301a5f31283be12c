"""Arm moments: what units add up to in each arm by each look, from a log, in one pass of the database.

Ten million rows come out as a few numbers for each arm and look. All metrics of a log are summed together, as reading and
joining its rows takes longer than anything else. A unit's sums grow while it comes again, so each look adds to the sums of
squares what they have grown by. Units are told apart by 64-bit hashes of their keys, which are texts of 70 letters: that any
two of a million share one has a chance of 3 in a hundred million.
"""

from __future__ import annotations

import re
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
    count(*) filter (n > 0 and n_after = n), sum(s), sum(n), sum(x) filter (n > 0 and n_after = n),
    sum(m) filter (n > 0 and n_after = n),
    sum(s_after ** 2 - (s_after - s) ** 2), sum(s_after * n_after - (s_after - s) * (n_after - n)), sum(s * x), sum(s * m),
    sum(n_after ** 2 - (n_after - n) ** 2), sum(n * x), sum(n * m), sum(x * x) filter (n > 0 and n_after = n),
    sum(m) filter (n > 0 and n_after = n), count(*) filter (s_after > 0 and s_after - s <= 0),
    skewness(s_after / n_after) filter (is_last and n_after > 0)
"""
"""Units, the sums of the columns, and those of their products, where a unit without a past has x = 0 and m = 1; the units whose
values add up to more than 0 for the first time; and the skewness of their mean values. Names get the number of their metric."""
NAMES = re.compile(r"\b([snxm]|[sn]_after)\b")


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


def arm_moments(
    rows: duckdb.DuckDBPyRelation, arms: Sequence[str], ends: Sequence[datetime], values: Sequence[str] = ("value",)
) -> dict[str, ArmMoments]:
    """Add up the values of units.

    Parameters
    ----------
    rows : DuckDBPyRelation
        ``arm``, ``unit``, ``moment`` (timestamptz) and a column for each of `values` (double or null). Rows whose arm is
        null are the units' past. They are read once.
    arms : sequence of str
        The arms.
    ends : sequence of datetime
        The moments of looks, rising (aware); later rows are left out.
    values : sequence of str
        The columns that are added up.

    Returns
    -------
    dict of str to ArmMoments
        By column.
    """
    counted = ", ".join(
        f"count({value})::double as n{place}, coalesce(sum({value}), 0)::double as s{place}"
        for place, value in enumerate(values)
    )
    is_dealt = "arm is not null"
    # kept: the rows are a join of the whole log, which each query would make again
    rows.query(
        "given",
        f"create or replace temp table experiment_sums as select arm, unit, look, count(*) as lines, {counted} from ("
        f"select arm, hash(unit) as key, case when unit is not null then key end as unit, "
        f"case when {is_dealt} then ({_look(ends)})::utinyint end as look, {', '.join(values)} from given) group by all",
    )

    def found(query: str) -> list[tuple[Any, ...]]:
        lines: list[tuple[Any, ...]] = rows.query("given", query).fetchall()
        return lines

    left_out = ", ".join(
        f"coalesce(sum(lines - n{place}) filter ({is_dealt} and unit is not null), 0)::bigint, "
        f"count(*) filter (arm is null and unit is not null and n{place} > 0)"
        for place in range(len(values))
    )
    ((nameless, *counts),) = found(
        f"select coalesce(sum(lines) filter ({is_dealt} and unit is null), 0)::bigint, {left_out} from experiment_sums"
    )
    lines = found(_grown(ends, len(values)))
    results: dict[str, ArmMoments] = {}
    length = (len(lines[0]) - 2) // len(values)
    for place, value in enumerate(values):
        waiting, known = counts[2 * place : 2 * place + 2]
        own = [(arm, look, *rest[length * place : length * (place + 1)]) for arm, look, *rest in lines]
        totals = {arm: _totals([line[1:-1] for line in own if line[0] == arm], len(ends)) for arm in arms}
        skewness = next(line[-1] for line in own if line[1] is None)
        results[value] = ArmMoments(
            {arm: _moments(total, 4 if known else 2) for arm, total in totals.items()},
            {arm: total[:, -1] for arm, total in totals.items()},
            float(skewness) if skewness is not None and np.isfinite(skewness) else 0.0,
            nameless,
            waiting,
        )
    return results


def _look(ends: Sequence[datetime], first: int = 0) -> str:
    """In which look a moment lies first, as SQL: a tree of comparisons, as there may be dozens; their number if in none."""
    if not ends:
        return str(first)
    middle = len(ends) // 2
    earlier, later = _look(ends[:middle], first), _look(ends[middle + 1 :], first + middle + 1)
    return f"case when moment < {literal(ends[middle].isoformat())}::timestamptz then {earlier} else {later} end"


def _grown(ends: Sequence[datetime], metrics: int) -> str:
    """What each look adds to the sums of each metric, by arm and look, and a line without either for all of them."""
    each = range(metrics)
    past = ", ".join(f"s{number} / nullif(n{number}, 0) as x{number}" for number in each)
    means = ", ".join(f"avg(x{number}) as x{number}" for number in each)
    after = ", ".join(
        f"n{number}, s{number}, sum(n{number}) over each as n_after{number}, sum(s{number}) over each as s_after{number}, "
        f"coalesce(past.x{number} - means.x{number}, 0) as x{number}, (past.x{number} is null)::double as m{number}"
        for number in each
    )
    sums = ", ".join(NAMES.sub(rf"\g<1>{number}", SUMS) for number in each)
    return f"""
        with past as (select unit, {past} from experiment_sums where arm is null and unit is not null),
        means as (select {means} from past),
        grown as (
            select arm, look, lead(look) over each is null as is_last, {after}
            from experiment_sums left join past using (unit) cross join means
            where arm is not null and unit is not null and look < {len(ends)}
            window each as (partition by arm, unit order by look)
        )
        select arm, look, {sums} from grown group by grouping sets ((arm, look), ())
    """


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

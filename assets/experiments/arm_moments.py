"""Arm moments: what units add up to in each arm by each look, from a log, in one pass of the database.

Ten million rows come out as a few numbers for each arm and look. All metrics of a log are summed together, as reading and
joining its rows takes longer than anything else. A unit's sums grow while it comes again, so each look adds to the sums of
squares what they have grown by. Units are told apart by 64-bit hashes of their keys, which are texts of 70 letters: that any
two of a million share one has a chance of 3 in a hundred million.
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

FIGURES = 15
"""What is added up: units, the sums of the columns and of their products, and the units whose values first are more than 0."""


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
    known_arms = " ".join(f"when {literal(arm)} then {place}" for place, arm in enumerate(arms))
    code = f"(case arm {known_arms} else {len(arms)} end + case when arm is null then null else 0 end)::utinyint"
    # kept: the rows are a join of the whole log, which each query would make again
    rows.query(
        "given",
        f"create or replace temp table experiment_sums as select arm, unit, look, count(*) as lines, {counted} from ("
        f"select {code} as arm, hash(unit) as key, case when unit is not null then key end as unit, "
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
    results: dict[str, ArmMoments] = {}
    by_arm = {arm: _arm_totals(rows, place, len(ends), len(values)) for place, arm in enumerate(arms)}
    for place, value in enumerate(values):
        waiting, known = counts[2 * place : 2 * place + 2]
        totals = {arm: np.cumsum(added[:, place], axis=0) for arm, (added, _) in by_arm.items()}
        results[value] = ArmMoments(
            {arm: _moments(total, 4 if known else 2) for arm, total in totals.items()},
            {arm: total[:, -1] for arm, total in totals.items()},
            _skewness(np.concatenate([means[place] for _, means in by_arm.values()])),
            nameless,
            waiting,
        )
    return results


def _arm_totals(rows: duckdb.DuckDBPyRelation, arm: int, looks: int, metrics: int) -> tuple[Array, list[Array]]:
    """What each look adds to the sums of an arm, of shape (looks, metrics, 15), and the mean values of its units by metric.

    What units came to before a look is kept by their place among all: a window of the database takes several times as long.
    """

    def found(query: str) -> dict[str, Any]:
        return {name: np.asarray(column) for name, column in rows.query("given", query).fetchnumpy().items()}

    columns = ", ".join(f"n{number}, s{number}" for number in range(metrics))
    mine = f"from experiment_sums where arm = {arm} and unit is not null and look"
    lines = found(f"select unit, look, {columns} {mine} < {looks}")
    units, places = np.unique(lines["unit"], return_inverse=True)
    order = np.argsort(lines["look"], kind="stable")
    ends = np.searchsorted(lines["look"][order], np.arange(looks), side="right")
    rest = np.zeros((metrics, 2, len(units)))
    x, m = np.zeros((metrics, len(units))), np.ones((metrics, len(units)))
    added = np.zeros((looks, metrics, FIGURES))
    for number in range(metrics):
        past = found(
            f"select unit, x - avg(x) over () as x from (select unit, s{number} / n{number} as x from experiment_sums "
            f"where arm is null and unit is not null and n{number} > 0) order by unit"
        )
        if len(past["unit"]) and len(units):
            at = np.minimum(np.searchsorted(units, past["unit"]), len(units) - 1)
            is_here = units[at] == past["unit"]
            x[number, at[is_here]], m[number, at[is_here]] = past["x"][is_here], 0.0
    for look, those in enumerate(np.split(order, ends)[:looks]):
        at = places[those]
        for number in range(metrics):
            n, s = lines[f"n{number}"][those], lines[f"s{number}"][those]
            before = rest[number][:, at]
            rest[number][:, at] += np.stack([n, s])
            added[look, number] = _added(n, s, before, x[number, at], m[number, at])
    means = [sums[1][sums[0] > 0] / sums[0][sums[0] > 0] for sums in rest]
    return added, means


def _added(n: Array, s: Array, before: Array, x: Array, m: Array) -> Array:
    """What the units of a look add, without matrix products: their threads wait for each other. No past: x = 0 and m = 1."""
    n_after, s_after = before[0] + n, before[1] + s
    is_new = (n > 0) & (before[0] == 0)
    return np.array(
        [
            is_new.sum(), s.sum(), n.sum(), x[is_new].sum(), m[is_new].sum(),
            (s * (s_after + before[1])).sum(), (s_after * n_after - before[1] * before[0]).sum(), (s * x).sum(), (s * m).sum(),
            (n * (n_after + before[0])).sum(), (n * x).sum(), (n * m).sum(), (x[is_new] ** 2).sum(), m[is_new].sum(),
            ((s_after > 0) & (before[1] <= 0)).sum(),
        ],
        dtype=float,
    )  # fmt: skip


def _skewness(values: Array) -> float:
    """The sample skewness (Joanes and Gill 1998, G1); 0 where there are too few values, or all are equal."""
    count, apart = len(values), values - values.mean() if len(values) else values
    square = (apart**2).mean() if count > 2 else 0.0
    if square == 0:
        return 0.0
    return float(np.sqrt(count * (count - 1)) / (count - 2) * (apart**3).mean() / square**1.5)


def _look(ends: Sequence[datetime], first: int = 0) -> str:
    """In which look a moment lies first, as SQL: a tree of comparisons, as there may be dozens; their number if in none."""
    if not ends:
        return str(first)
    middle = len(ends) // 2
    earlier, later = _look(ends[:middle], first), _look(ends[middle + 1 :], first + middle + 1)
    return f"case when moment < {literal(ends[middle].isoformat())}::timestamptz then {earlier} else {later} end"


def _moments(total: Array, columns: int) -> Moments:
    """The moments of the first columns, by sums and sums of products."""
    products = np.zeros((len(total), 4, 4))
    # the product of x and m is 0, as a unit without a past has x = 0
    products[:, *np.triu_indices(4)] = np.insert(total[:, 5:14], 8, 0.0, axis=1)
    whole = products + np.swapaxes(np.triu(products, 1), -1, -2)
    return Moments.from_sums(total[:, 0], total[:, 1 : 1 + columns], whole[:, :columns, :columns])

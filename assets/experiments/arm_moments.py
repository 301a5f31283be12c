"""Arm moments: what units add up to in each arm by each look, from the rows of a log, which are read once.

Ten million rows come out as a few numbers for each arm and look. All metrics of a log are summed together, as reading and
joining its rows takes longer than anything else. A unit's sums grow while it comes again, so each row adds to the sums of
squares, in the look that it came by, what they have grown by.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from assets.experiments.unit_rows import Part, UnitRows
from assets.methods.bootstrap import Array
from assets.methods.moments import Moments
from assets.storage.sql import literal

if TYPE_CHECKING:
    import duckdb

BATCH = 1 << 17
"""Rows that are taken from the database at a time."""
THREADS = 2
"""Parts that are added up at once."""
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


def numbered(arm: str, unit: str, moment: str, ends: Sequence[datetime]) -> dict[str, str]:
    """Columns that `arm_moments` reads, as SQL: hashes and numbers instead of texts.

    Parameters
    ----------
    arm, unit, moment : str
        Expressions: of the number of an arm; of the key of a unit, or null; and of a moment (timestamptz).
    ends : sequence of datetime
        The moments of looks, rising (aware).
    """
    return {
        "arm_number": f"{arm}::utinyint",
        "unit_hash": f"case when {unit} is not null then hash({unit}) end",
        "look": f"({_look(moment, ends)})::usmallint",
    }


def arm_moments(
    rows: duckdb.DuckDBPyRelation, arms: Sequence[str], looks: int, values: Sequence[str] = ("value",)
) -> dict[str, ArmMoments]:
    """Add up the values of units.

    Parameters
    ----------
    rows : DuckDBPyRelation
        ``arm_number``, ``unit_hash`` and ``look``: see `numbered`; and a column for each of `values` (a number or null). Arms
        are numbered as in `arms`; the number after the last one marks rows of the units' past, and null rows that are left
        out. They are read once.
    arms : sequence of str
        The arms.
    looks : int
        How many looks there are; rows that came after the last one are left out.
    values : sequence of str
        The columns that are added up.

    Returns
    -------
    dict of str to ArmMoments
        By column.
    """
    given = UnitRows(len(arms) + 1, looks, len(values))
    nameless, waiting = _gather(rows, len(arms), looks, values, given)
    added = np.zeros((len(values), len(arms), looks, FIGURES))
    means: list[list[Array]] = [[] for _ in values]
    pasts = [_past(given.part(len(arms), number)) for number in given.parts]
    by_column = list(zip(*pasts, strict=True))
    known = [sum(len(x) for _, x in column) for column in by_column]
    centers = [sum(float(x.sum()) for _, x in column) / max(many, 1) for column, many in zip(by_column, known, strict=True)]

    def grown(arm: int, number: int) -> list[tuple[Array, Array]]:
        part = given.part(arm, number)
        return [
            _growth(part, column, looks, (units, x - centers[column]) if known[column] else None)
            for column, (units, x) in enumerate(pasts[number])
        ]

    with ThreadPoolExecutor(THREADS) as threads:
        for arm in range(len(arms)):
            for found in threads.map(partial(grown, arm), given.parts):
                for column, (amounts, mean) in enumerate(found):
                    added[column, arm] += amounts
                    means[column].append(mean)
    results: dict[str, ArmMoments] = {}
    for column, value in enumerate(values):
        totals = dict(zip(arms, np.cumsum(added[column], axis=1), strict=True))
        results[value] = ArmMoments(
            {arm: _moments(total, 4 if known[column] else 2) for arm, total in totals.items()},
            {arm: total[:, -1] for arm, total in totals.items()},
            _skewness(np.concatenate(means[column])),
            nameless,
            waiting[column],
        )
    return results


def _gather(
    rows: duckdb.DuckDBPyRelation, past: int, looks: int, values: Sequence[str], given: UnitRows
) -> tuple[int, list[int]]:
    """Read the rows; how many have no unit, and no value, by column. Those of the units' past do not count."""
    import pyarrow.compute as pc

    columns = ", ".join(f"{value}::double" for value in values)
    read = rows.query("given", f"select arm_number, unit_hash, look, {columns} from given where arm_number is not null")
    nameless, waiting = 0, [0] * len(values)
    for batch in read.to_arrow_reader(BATCH):
        named = batch
        if batch["unit_hash"].null_count:
            is_named = pc.is_valid(batch["unit_hash"])
            nameless += int((batch.filter(pc.invert(is_named))["arm_number"].to_numpy() < past).sum())
            named = batch.filter(is_named)
        arm, unit, look, *known = (column.to_numpy(zero_copy_only=False) for column in named.columns)
        for place, column in enumerate(known):
            if named.column(3 + place).null_count:
                waiting[place] += int((np.isnan(column) & (arm < past)).sum())
        if (is_late := look >= looks).any():
            look = np.where(arm == past, 0, look)
            is_counted = ~is_late | (arm == past)
            arm, unit, look, *known = (column[is_counted] for column in (arm, unit, look, *known))
        given.add(arm, unit, look, known)
    return nameless, waiting


def _past(part: Part) -> list[tuple[Array, Array]]:
    """By column the units of which a value is known from before, and the mean of each."""
    found = []
    for value in part.values:
        is_known = ~np.isnan(value)
        n, s = np.zeros(0), np.zeros(0)
        if len(part.units):
            n = np.add.reduceat(is_known, part.starts, dtype=float)
            s = np.add.reduceat(np.where(is_known, value, 0.0), part.starts)
        found.append((part.units[n > 0], s[n > 0] / n[n > 0]))
    return found


def _growth(part: Part, column: int, looks: int, past: tuple[Array, Array] | None) -> tuple[Array, Array]:
    """What each look adds to the sums of a column, of shape (looks, 15), and the mean values of units.

    A unit's sums grow row by row; what a sum of squares grows by is counted in the look of the row.
    """
    units, starts, look, value = part.units, part.starts, part.looks, part.values[column]
    is_known = ~np.isnan(value)
    if not is_known.all():
        counts = np.add.reduceat(is_known, starts, dtype=np.intp)
        units, counts = units[counts > 0], counts[counts > 0]
        starts, look, value = np.cumsum(counts) - counts, look[is_known], value[is_known]
    else:
        counts = np.diff(starts, append=len(value))
    added = np.zeros((looks, FIGURES))
    if not len(units):
        return added, np.zeros(0)

    def by_look(amount: Array | None, of: Array = look) -> Array:
        return np.bincount(of, amount, looks).astype(float)

    before = np.concatenate([[0.0], np.cumsum(value)])
    s_before = before[:-1] - np.repeat(before[starts], counts)
    s_after = s_before + value
    n_before = np.arange(len(value), dtype=float) - np.repeat(starts, counts)
    first = look[starts]
    new_units, new_rows, new_sums = by_look(None, first), by_look(None), by_look(value)
    added[:, 0], added[:, 1], added[:, 2] = new_units, new_sums, new_rows
    added[:, 5] = by_look(value * (s_after + s_before))
    added[:, 6] = by_look(s_after + value * n_before)
    added[:, 9] = by_look(2 * n_before + 1)
    added[:, 14] = by_look((s_after > 0).astype(float) - (s_before > 0))
    if past is not None and len(past[0]):
        at = np.minimum(np.searchsorted(past[0], units), len(past[0]) - 1)
        m = past[0][at] != units
        x = np.where(m, 0.0, past[1][at])
        x_rows, m_rows = np.repeat(x, counts), np.repeat(m, counts)
        added[:, 3], added[:, 12], added[:, 4] = by_look(x, first), by_look(x**2, first), by_look(m, first)
        added[:, 7], added[:, 10] = by_look(value * x_rows), by_look(x_rows)
        added[:, 8], added[:, 11] = by_look(value * m_rows), by_look(m_rows)
    else:  # x = 0 and m = 1
        added[:, 4], added[:, 8], added[:, 11] = new_units, new_sums, new_rows
    added[:, 13] = added[:, 4]
    return added, np.add.reduceat(value, starts) / counts


def _skewness(values: Array) -> float:
    """The sample skewness (Joanes and Gill 1998, G1); 0 where there are too few values, or all are equal."""
    count, apart = len(values), values - values.mean() if len(values) else values
    square = (apart**2).mean() if count > 2 else 0.0
    if square == 0:
        return 0.0
    return float(np.sqrt(count * (count - 1)) / (count - 2) * (apart**3).mean() / square**1.5)


def _look(moment: str, ends: Sequence[datetime], first: int = 0) -> str:
    """In which look a moment lies first, as SQL: a tree of comparisons, as there may be dozens; their number if in none."""
    if not ends:
        return str(first)
    middle = len(ends) // 2
    earlier, later = _look(moment, ends[:middle], first), _look(moment, ends[middle + 1 :], first + middle + 1)
    return f"case when {moment} < {literal(ends[middle].isoformat())}::timestamptz then {earlier} else {later} end"


def _moments(total: Array, columns: int) -> Moments:
    """The moments of the first columns, by sums and sums of products."""
    products = np.zeros((len(total), 4, 4))
    # the product of x and m is 0, as a unit without a past has x = 0
    products[:, *np.triu_indices(4)] = np.insert(total[:, 5:14], 8, 0.0, axis=1)
    whole = products + np.swapaxes(np.triu(products, 1), -1, -2)
    return Moments.from_sums(total[:, 0], total[:, 1 : 1 + columns], whole[:, :columns, :columns])

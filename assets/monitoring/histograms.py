"""Binned counts: how many rows of each unit (a day, mostly) lie in each bin of a column, counted by DuckDB over all rows.

Bins are cut on a sample of the reference, as they need not be exact; what lies in them is counted on every row. Both sides
of a comparison come from the same counts, so that a comparison with another reference costs no further look at the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.methods.ranking import Array
from assets.storage.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

NUMBER_BINS, CATEGORIES, SAMPLE = 10, 50, 50_000
"""Bins of a number (of equal frequency in the reference), categories with a bin of their own, rows that are cut by."""


SHARES = np.arange(1, NUMBER_BINS) / NUMBER_BINS


@dataclass(frozen=True)
class Bins:
    """How a column is cut.

    Parameters
    ----------
    column : str
        Its name.
    edges : tuple of float
        Of a number: the upper ends of all bins but the last, each with the bin it closes; empty for a category.
    values : tuple of str
        Of a category: the values with a bin of their own; all others share one.
    """

    column: str
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] | None = None

    @property
    def names(self) -> list[str]:
        """What the bins are called, in order; the last is that of missing values."""
        if self.values is not None:
            return [*self.values, "(other)", "(missing)"]
        if not self.edges:
            return ["(any)", "(missing)"]
        between = [f"{low:.6g} to {high:.6g}" for low, high in zip(self.edges, self.edges[1:], strict=False)]
        return [f"up to {self.edges[0]:.6g}", *between, f"above {self.edges[-1]:.6g}", "(missing)"]


@dataclass(frozen=True)
class Counts:
    """What lies in the bins of a column.

    Parameters
    ----------
    bins : Bins
        How it is cut.
    rows : ndarray of shape (n_units, n_bins)
        Rows.
    labelled, residuals : ndarray of shape (n_units, n_bins)
        Rows with a residual, and the sum of their residuals.
    """

    bins: Bins
    rows: Array
    labelled: Array
    residuals: Array


def cut(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: Mapping[str, bool], *, where: str = "true"
) -> list[Bins]:
    """Cut each column by what the reference holds.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Knows the relation.
    relation : str
        An SQL relation.
    columns : mapping of str to bool
        Whether each is a category.
    where : str
        An SQL condition that holds for the reference's rows.
    """
    listed = ", ".join(map(identifier, columns))
    connection.execute(
        f"create or replace temp table binned_sample as select {listed} from {relation} where {where} "
        f"using sample reservoir({SAMPLE} rows) repeatable (7)"
    )
    numbers = [column for column, is_category in columns.items() if not is_category]
    listed = ", ".join(f"{identifier(name)}::double as {identifier(name)}" for name in numbers)
    drawn = connection.execute(f"select {listed} from binned_sample").fetchnumpy() if numbers else {}
    found = []
    for name in numbers:
        values = np.ma.filled(drawn[name], np.nan)
        values = values[~np.isnan(values)]
        edges: Any = np.quantile(values, SHARES, method="inverted_cdf") if len(values) else []
        # a value that fills several bins has one of its own; above the largest there is nothing to cut
        found.append(Bins(name, tuple(float(edge) for edge in dict.fromkeys(edges) if edge < values.max())))
    for name in (column for column, is_category in columns.items() if is_category):
        value = identifier(name)
        query = f"select {value}::varchar from binned_sample where {value} is not null group by 1 order by count(*) desc, 1"
        kept = [row[0] for row in connection.execute(f"{query} limit {CATEGORIES}").fetchall()]
        found.append(Bins(name, values=tuple(sorted(kept))))
    connection.execute("drop table binned_sample")
    return found


def count(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    bins: Sequence[Bins],
    *,
    units: int,
    unit: str,
    residual: str | None = None,
) -> dict[str, Counts]:
    """Count all rows of a relation, column by column.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Knows the relation, and so do its cursors: it is a table or a file, not something registered.
    relation : str
        An SQL relation.
    bins : sequence of Bins
        From `cut`.
    units : int
        How many units there are.
    unit : str
        An SQL expression that numbers a row's unit from 0.
    residual : str, optional
        An SQL expression of what came minus what was expected; null where nothing came yet.

    Returns
    -------
    dict of str to Counts
        By column.
    """
    sums = "count(*), 0, 0.0" if residual is None else f"count(*), count({residual}), coalesce(sum({residual}), 0)"

    def counted(item: Bins) -> Counts:
        shape = (units, len(item.names))
        targets = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        place, joined = _place(item, relation)
        query = f"select {unit} as unit, {place} as bin, {sums} from {joined} group by 1, 2"
        with connection.cursor() as cursor:
            answer = list(cursor.execute(query).fetchnumpy().values())
        index = tuple(np.asarray(values, dtype=np.int64) for values in answer[:2])
        for target, values in zip(targets, answer[2:], strict=True):
            target[index] = np.asarray(values, dtype=np.float64)
        return Counts(item, *targets)

    # of few rows a query takes one thread: two columns at a time
    with ThreadPoolExecutor(2) as pool:
        return {item.column: found for item, found in zip(bins, pool.map(counted, bins), strict=True)}


def _place(bins: Bins, relation: str) -> tuple[str, str]:
    """The SQL expression that numbers a row's bin, and the relation it stands on."""
    column, last = identifier(bins.column), len(bins.names) - 1
    if bins.values is not None:
        if not bins.values:
            return f"case when {column} is null then {last} else 0 end", relation
        listed = ", ".join(f"({literal(value)}, {number})" for number, value in enumerate(bins.values))
        joined = f"{relation} left join (values {listed}) as _known(_category, _place) on {column}::varchar = _category"
        return f"case when {column} is null then {last} else coalesce(_place, {last - 1}) end", joined
    value = f"{column}::double"
    return f"case when {column} is null or isnan({value}) then {last} else {_search(value, bins.edges, 0)} end", relation


def _search(value: str, edges: Sequence[float], first: int) -> str:
    """A binary search written as nested conditions: the number of edges that lie below a value."""
    if not edges:
        return str(first)
    middle = len(edges) // 2
    low, high = _search(value, edges[:middle], first), _search(value, edges[middle + 1 :], first + middle + 1)
    return f"(case when {value} <= {float(edges[middle])!r}::double then {low} else {high} end)"

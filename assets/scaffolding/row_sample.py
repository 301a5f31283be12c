"""A sample of a file's rows as arrays, and what only the order of its rows tells.

Taken while the file is open for profiling. What follows from it stands in `surrogate_keys` and `leak_suspects`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import duckdb

MOST_ROWS, FEWEST_ROWS, MOST_VALUES = 5_000, 1_000, 2_000_000
MOST_COMPARED = 500
"""Of how many columns rows are compared to find duplicates."""
MOST_CELLS = 10_000_000
"""Of how many values of a file hashes are kept; of a larger file those of rows drawn."""
DRAWN, CHUNK = "drawn_rows", 100
ROW_NUMBER = "loopline row number"
"""What the number of a row is called meanwhile."""


@dataclass(frozen=True)
class Expressions:
    """A column's name, its type, whether its values all differ, and how its text and its number are read in SQL."""

    name: str
    type: str
    is_unique: bool
    text: str
    number: str

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.type in ("integer", "number")

    @property
    def read(self) -> str:
        """How its values are read in SQL."""
        return self.number if self.is_numeric else self.text


@dataclass(frozen=True)
class Run:
    """A column of unequal integers that only rise, or only fall, through the file."""

    first: int
    last: int
    rows: int
    step: int | None
    """The step between neighbours, where it is always the same."""

    @property
    def is_dense(self) -> bool:
        """Whether at least half of the integers between its ends occur."""
        return abs(self.last - self.first) + 1 <= 2 * self.rows


@dataclass(frozen=True)
class RowSample:
    """Rows drawn from a file.

    Parameters
    ----------
    rows : int
        How many.
    columns : mapping of str to ndarray of shape (rows,)
        Numbers with NaN, or texts with None, by the column's name.
    runs : mapping of str to Run
        The columns that count through the file.
    duplicates : int
        Rows of the whole file that repeat another in all columns but row numbers and other surrogate keys.
    cells : mapping of str to ndarray of uint64 of shape (n_rows,)
        A hash of each value of the file, 0 where there is none, by the column's name; of rows drawn from a file of more than
        `MOST_CELLS` values. Empty where no row repeats another in what can be features.
    """

    rows: int = 0
    columns: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    duplicates: int = 0
    cells: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def texts(self, name: str) -> np.ndarray[Any, Any]:
        """A column's values as texts, None where there is none, shape (rows,)."""
        values = self.columns[name]
        if values.dtype == object:
            return values
        return np.array([None if np.isnan(value) else f"{value:.15g}" for value in values], dtype=object)


def taken(connection: duckdb.DuckDBPyConnection, count: int, columns: Sequence[Expressions]) -> RowSample:
    """Draw rows from the relation ``raw``, the same ones each time.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        With the relation ``raw``, whose order is that of the file.
    count : int
        Its rows.
    columns : sequence of Expressions
        Its columns.
    """
    wanted = min(MOST_ROWS, max(FEWEST_ROWS, MOST_VALUES // max(len(columns), 1)))
    values: dict[str, np.ndarray[Any, Any]] = {}
    for column, cells in _drawn(connection, -(-count // wanted), columns, {column.name: column.read for column in columns}):
        if column.is_numeric:
            values[column.name] = np.ma.filled(cells.astype(np.float64), np.nan)
        else:
            texts = np.ma.getdata(cells).astype(object)
            texts[np.ma.getmaskarray(cells)] = None
            values[column.name] = texts
    runs = {}
    for column in columns:
        if column.type == "integer" and column.is_unique and (run := _run(connection, column, count)) is not None:
            runs[column.name] = run
    return RowSample(len(next(iter(values.values()))), values, runs)


def cells(
    connection: duckdb.DuckDBPyConnection, count: int, columns: Sequence[Expressions]
) -> dict[str, np.ndarray[Any, np.dtype[np.uint64]]]:
    """The hashes that `RowSample.cells` holds, of the relation ``raw`` with so many rows."""
    every = -(-count * len(columns) // MOST_CELLS)
    # the hash of the number 0 is 0, so every hash is made odd
    hashed = {column.name: f"if({column.text} is null, 0::ubigint, hash({column.text}) | 1)" for column in columns}
    return {column.name: np.asarray(values) for column, values in _drawn(connection, every, columns, hashed)}


def _drawn(
    connection: duckdb.DuckDBPyConnection, every: int, columns: Sequence[Expressions], read: Mapping[str, str]
) -> Iterator[tuple[Expressions, np.ndarray[Any, Any]]]:
    """One of so many rows of ``raw``, column by column, each read by its expression."""
    # the rows are drawn once, whatever the columns; and expressions by the hundred plan faster than by the thousand
    connection.execute(
        f'create or replace temp table {DRAWN} as select * exclude "{ROW_NUMBER}" from '
        f'(select *, row_number() over () as "{ROW_NUMBER}" from raw) where hash("{ROW_NUMBER}") % {every} = 0'
    )
    for chunk in (columns[start : start + CHUNK] for start in range(0, len(columns), CHUNK)):
        listed = ", ".join(f"{read[column.name]} as c{number}" for number, column in enumerate(chunk))
        found = connection.execute(f"select {listed} from {DRAWN}").fetchnumpy()
        yield from ((column, found[f"c{number}"]) for number, column in enumerate(chunk))
    connection.execute(f"drop table {DRAWN}")


def _run(connection: duckdb.DuckDBPyConnection, column: Expressions, count: int) -> Run | None:
    values = connection.execute(f"select try_cast({column.text} as bigint) from raw").fetchnumpy().popitem()[1]
    if np.ma.is_masked(values) or len(values) < 2:
        return None
    values = np.asarray(values, dtype=np.int64)
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        return None
    step = int(steps[0]) if (steps == steps[0]).all() else None
    return Run(int(values[0]), int(values[-1]), count, step)


def duplicates(connection: duckdb.DuckDBPyConnection, columns: Sequence[Expressions]) -> int:
    """The rows of the relation ``raw`` that repeat another in these columns; none where these are few or many."""
    if len(columns) < 2 or len(columns) > MOST_COMPARED:
        return 0
    compared = ", ".join(column.text for column in columns)
    row = connection.execute(f"select count(*) - count(distinct hash({compared})) from raw").fetchone()
    return int(row[0]) if row else 0

"""Log views: the lines of day files as views of a DuckDB connection: Parquet is scanned, the rest is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.storage import day_files
from assets.storage.day_files import KEYS, PARQUET, Table
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import literal

if TYPE_CHECKING:
    import duckdb


@contextmanager
def connected(home: Home, product: str, *, adds: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that thinks in UTC; while it is open, nobody rewrites the day files of a product.

    Others may read them meanwhile, unless who asks for it `adds` to them.
    """
    hold = day_files.held if adds else day_files.shared
    with draft_folder(home) as scratch, hold(home, product), scratch_database(scratch) as connection:
        yield connection


def view(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    files: Sequence[Path],
    columns: Sequence[str],
    *,
    table: Table,
    lines_of: Callable[[Path], list[dict[str, Any]]],
    otherwise: Mapping[str, str] | None = None,
) -> None:
    """Make a view of some columns of all files; those that are SQLite, or encrypted, are decoded first. Moments are such.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Where it is made.
    name : str
        What it is called.
    files, columns, table
        The files, the columns that are wanted of them, and what they hold.
    lines_of : callable
        Gives the lines of a file, decrypted.
    otherwise : mapping of str to str, optional
        By column, an expression of others that says what it is where it is null. These others are read of such files only.
    """
    import pyarrow as pa

    types = {pa.string(): "varchar", pa.int64(): "bigint", pa.float64(): "double"}
    # moments of lines that are decoded are texts
    kinds = [(column, table.schema().field(column).type) for column in columns]
    schema = pa.schema([(column, kind if kind in types else pa.string()) for column, kind in kinds])
    typed = ", ".join(f"{column} {types.get(kind, 'timestamptz')}" for column, kind in kinds)
    wanted = ", ".join(column if kind in types else f"cast({column} as timestamptz) as {column}" for column, kind in kinds)
    connection.execute(f"create temp table {name}_decoded ({typed})")
    scanned = [file for file in files if file.suffix == PARQUET and not file.with_suffix(KEYS).exists()]
    for file in files:
        if file not in scanned and (lines := lines_of(file)):
            decoded = pa.Table.from_pylist(lines, schema)
            connection.register("decoded", decoded)
            connection.execute(f"insert into {name}_decoded select {wanted} from decoded")
            connection.unregister("decoded")
    replaced = ", ".join(f"coalesce({column}, {text}) as {column}" for column, text in (otherwise or {}).items())
    replacing = f" replace ({replaced})" if replaced else ""
    lacking = [file for file in scanned if replaced and not all(_is_full(file, column) for column in otherwise or {})]
    parts = [f"select *{replacing} from {name}_decoded"]
    for group, how in ((lacking, replacing), ([file for file in scanned if file not in lacking], "")):
        if group:
            listed = ", ".join(literal(str(file)) for file in group)
            parts.append(f"select *{how} from (select {wanted} from read_parquet([{listed}]))")
    connection.execute(f"create temp view {name} as {' union all '.join(parts)}")


def _is_full(file: Path, column: str) -> bool:
    """Whether no value of a column of a Parquet file is null, by what the file says of it."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(file)
    place = metadata.schema.names.index(column)
    columns = [metadata.row_group(number).column(place) for number in range(metadata.num_row_groups)]
    return all(item.is_stats_set and item.statistics.has_null_count and not item.statistics.null_count for item in columns)


def repeated(connection: duckdb.DuckDBPyConnection, name: str, key: str, found: str) -> int:
    """Make a table of the keys that several lines have; how many.

    Most lines have a key of their own. Keys are hashes, as texts of 32 letters take long to compare: two keys of one hash are
    looked at together with those that are repeated, and told apart there. Sorting them takes half as long as grouping them.
    """
    import numpy as np
    import pyarrow as pa

    keys = connection.execute(f"select {key} as key from {name}").fetchnumpy()["key"]
    keys.sort()
    repeated = np.unique(keys[1:][keys[1:] == keys[:-1]])
    connection.register("repeated_keys", pa.table({"key": pa.array(repeated, pa.uint64())}))
    connection.execute(f"create temp table {found} as from repeated_keys")
    connection.unregister("repeated_keys")
    return len(repeated)

"""Profiling: what a file holds, column by column, counted by DuckDB over all rows.

Types are told apart by what parses. What follows from a profile stands in `assets.drafting`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyascii import anyascii

from assets import raw_files, row_sample
from assets.errors import SourceError, SpecificationError
from assets.row_checks import identifier, literal
from assets.spec import TableSpec
from assets.spec.source import SOURCE_ROW
from assets.storage import Home

if TYPE_CHECKING:
    import duckdb

NULLS = ("NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "-", "?")
FORMATS = (
    None,
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%Y/%m/%d",
    "%Y%m%d",
)
NEARLY_ALL, MOSTLY = 0.99, 0.5
MOST_COUNTED = 60


@dataclass(frozen=True)
class ColumnProfile:
    """One column: its spelling in the file, its name after the landing, its type, and what it holds.

    `mixed` gives the share of numbers and an example of the text among them, where neither is the rule; `moment` the format in
    which its values are moments too, where its type is another.
    """

    raw: str
    name: str
    type: str
    filled: int
    nulls: int
    distinct: int
    low: float | None
    high: float | None
    counts: dict[str, int]
    examples: tuple[str, ...]
    format: str | None = None
    mixed: tuple[float, str] | None = None
    moment: str | None = None


@dataclass(frozen=True)
class FileProfile:
    """A file: how it is written, and its columns."""

    path: Path
    relation: str | None
    csv: dict[str, str]
    null_values: tuple[str, ...]
    rows: int
    columns: tuple[ColumnProfile, ...]
    sample: row_sample.RowSample = field(default_factory=row_sample.RowSample)


def profile(
    home: Home, path: Path, relation: str | None = None, *, encoding: str | None = None, nulls: Sequence[str] = ()
) -> FileProfile:
    """Look at all rows of a file.

    Parameters
    ----------
    home : Home
        Where to keep what is only needed meanwhile.
    path : Path
        A CSV or Parquet file, or a DuckDB or SQLite database.
    relation : str, optional
        The table of a database.
    encoding : str, optional
        The encoding of a CSV file; UTF-8 unless said.
    nulls : sequence of str
        Texts that mean 'no value', beside the usual ones.

    Raises
    ------
    SourceError
        If the file cannot be read as a table.
    """
    import duckdb

    if not path.is_file():
        raise SourceError(f"{path}: there is no such file. Correct --data.")
    is_database = path.suffix in (*raw_files.SQLITE, *raw_files.DUCKDB)
    if is_database and relation is None:
        raise SourceError(f"{path}: is a database; say which table as --data {path}::TABLE.")
    written = {"encoding": encoding or "utf-8"}
    try:
        codecs.lookup(written["encoding"])
    except LookupError as error:
        raise SpecificationError(
            f"--encoding {encoding}: is none that Python knows. Give one such as cp1252 or utf-16."
        ) from error
    if not is_database and path.suffix != ".parquet":
        raw_files.require_encoding(path, written["encoding"])
    shape: dict[str, Any] = {"description": "", "file": path.name, "relation": relation, "columns": {"x": {"type": "text"}}}
    try:
        table = TableSpec.model_validate({**shape, "csv": written})
        with raw_files.readable(path, table, home, headed=False) as file, duckdb.connect() as connection:
            if file.suffix != ".parquet":
                written["delimiter"] = _delimiter(connection, file)
                raw_files.require_distinct_names(file, table.csv.model_copy(update={"delimiter": written["delimiter"]}), path)
            _load(connection, file, written.get("delimiter", ","))
            return _profile(_Rows(connection), path, relation, written, nulls)
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise SourceError(
            f"{path}: cannot be read as a table ({first}). Mend the file, or save it as CSV or Parquet."
        ) from error


def names_for(raw: Sequence[str]) -> list[str]:
    """Names for columns, in their order: lower case, ASCII, safe everywhere, each once.

    Examples
    --------
    >>> names_for(["Order ID", "select", "Возраст", "2nd", "", "order-id"])
    ['order_id', 'select', 'vozrast', 'n_2nd', 'column_5', 'order_id_2']
    """
    found: list[str] = []
    for position, text in enumerate(raw, start=1):
        base = re.sub(r"[^a-z0-9]+", "_", anyascii(text).lower()).strip("_")[:50] or f"column_{position}"
        base = f"n_{base}" if base[0].isdigit() else base
        name, number = base, 2
        while name in found or name == SOURCE_ROW:
            name, number = f"{base}_{number}", number + 1
        found.append(name)
    return found


def _delimiter(connection: duckdb.DuckDBPyConnection, file: Path) -> str:
    found = connection.execute(
        f"select Delimiter from sniff_csv({literal(str(file))}, all_varchar = true, header = true)"
    ).fetchone()
    return str(found[0]) if found and found[0] else ","


def _load(connection: duckdb.DuckDBPyConnection, file: Path, delimiter: str) -> None:
    is_parquet = file.suffix == ".parquet"
    reader = f"read_parquet({literal(str(file))})" if is_parquet else raw_files.csv_reader(file, delimiter)
    connection.execute("set timezone = 'UTC'")
    # text is parsed once; Parquet is scanned again for each question, but only the columns that are asked for
    connection.execute(f"create temp {'view' if is_parquet else 'table'} raw as from {reader}")


@dataclass(frozen=True)
class _Rows:
    """The loaded rows, and how a value among them is read: which texts are none, and what comes before decimals."""

    connection: duckdb.DuckDBPyConnection
    empty: str = "''"
    decimal: str = "."

    def value(self, raw: str) -> str:
        """A column's text, null where it means 'no value'."""
        text = f"{identifier(raw)}::varchar"
        return f"(case when {text} not in ({self.empty}) then {text} end)"

    def number(self, raw: str) -> str:
        """The same as a number, null where it is none."""
        text = self.value(raw) if self.decimal == "." else f"replace({self.value(raw)}, ',', '.')"
        return f"(case when isfinite(try_cast({text} as double)) then try_cast({text} as double) end)"

    def ask(self, query: str) -> Any:
        """The first row of an answer."""
        return self.connection.execute(query).fetchone()


def _profile(rows: _Rows, path: Path, relation: str | None, written: dict[str, str], nulls: Sequence[str]) -> FileProfile:
    described = [(str(row[0]), str(row[1])) for row in rows.connection.execute("describe raw").fetchall()]
    (count,) = rows.ask("select count(*) from raw")
    if count == 0:
        raise SourceError(f"{path}: has a header and no rows. Bring rows.")
    texts = [name for name, found in described if found == "VARCHAR"]
    used = [token for token in dict.fromkeys((*NULLS, *nulls)) if _occurs(rows, texts, token)]
    rows = replace(rows, empty=", ".join(literal(token) for token in ("", *used)))
    written.setdefault("delimiter", ",")
    decimal = "," if written["delimiter"] != "," and _has_decimal_commas(rows, texts) else "."
    rows = replace(rows, decimal=decimal)
    names = names_for([name for name, _ in described])
    columns = tuple(_column(rows, raw, name, found) for (raw, found), name in zip(described, names, strict=True))
    read = [
        row_sample.Expressions(
            column.name, column.type, column.distinct == count, rows.value(column.raw), rows.number(column.raw)
        )
        for column in columns
    ]
    sample = row_sample.taken(rows.connection, count, read)
    return FileProfile(path, relation, {**written, "decimal": decimal}, tuple(used), count, columns, sample)


def _column(rows: _Rows, raw: str, name: str, found: str) -> ColumnProfile:
    value, number = rows.value(raw), rows.number(raw)
    filled, nulls, distinct, numbers, low, high = rows.ask(
        f"select count({value}), count(*) - count({value}), count(distinct {value}), count({number}), min({number}), "
        f"max({number}) from raw"
    )
    kind, written = _type(rows, raw, found, filled, numbers)
    counted = rows.connection.execute(
        f"select {value} as v, count(*) from raw where v is not null group by 1 order by 2 desc, 1 limit {MOST_COUNTED}"
    ).fetchall()
    counts: dict[str, int] = {}
    for text, count in counted:
        # to an integer, 1 and 1.0 are the same
        key = re.sub(r"^\+|\.0*$", "", text) if kind == "integer" else str(text)
        counts[key] = counts.get(key, 0) + int(count)
    mixed = None
    if kind == "text" and filled and MOSTLY <= numbers / filled < NEARLY_ALL:
        example = rows.ask(f"select mode({value}) from raw where {value} is not null and {number} is null")
        mixed = (numbers / filled, str(example[0]))
    is_numeric = kind in ("integer", "number")
    return ColumnProfile(
        raw,
        name,
        kind,
        filled,
        nulls,
        distinct,
        low if is_numeric else None,
        high if is_numeric else None,
        counts,
        tuple(counts)[:5],
        written,
        mixed,
    )


def _type(rows: _Rows, raw: str, found: str, filled: int, numbers: int) -> tuple[str, str | None]:
    """The type of a column, and the format of its moments."""
    value = rows.value(raw)
    whole, booleans = rows.ask(f"""
        select
            count(*) filter (regexp_full_match({value}, '[+-]?[0-9]{{1,18}}(\\.0*)?')),
            count(*) filter (lower({value}) in ('true', 'false', 't', 'f', 'yes', 'no', 'y', 'n'))
        from raw
    """)
    if found == "BOOLEAN" or (filled and booleans == filled):
        return "boolean", None
    if found.startswith(("TIMESTAMP", "DATE")):
        return "timestamp", None
    if filled == 0:
        return "text", None
    if whole >= NEARLY_ALL * filled and found not in ("DOUBLE", "FLOAT"):
        return "integer", None
    if numbers >= NEARLY_ALL * filled:
        return "number", None
    for written in FORMATS:
        parsed = f"try_cast({value} as timestamptz)" if written is None else f"try_strptime({value}, {literal(written)})"
        if rows.ask(f"select count({parsed}) from raw")[0] >= NEARLY_ALL * filled:
            return "timestamp", written
    return "text", None


def _has_decimal_commas(rows: _Rows, texts: Sequence[str]) -> bool:
    """Whether some column of text is numbers throughout once its commas are read as points."""
    for name in texts:
        value = rows.value(name)
        filled, fitting, commas = rows.ask(
            f"select count({value}), count(*) filter (regexp_full_match({value}, '[+-]?[0-9]+(,[0-9]+)?')), "
            f"count(*) filter ({value} like '%,%') from raw"
        )
        if commas and fitting >= NEARLY_ALL * filled:
            return True
    return False


def _occurs(rows: _Rows, texts: Sequence[str], token: str) -> bool:
    if not texts:
        return False
    tests = " or ".join(f"{identifier(name)} = {literal(token)}" for name in texts)
    return bool(rows.ask(f"select count(*) from raw where {tests}")[0])

"""Format-and-logic control as SQL: how a raw row is typed, and every reason against it.

Expressions only, over the columns of a raw table; what is read and what is written is for the stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from assets.ingestion import value_parsing
from assets.ingestion.value_parsing import NumberStyle
from assets.spec import TableSpec
from assets.spec.source import ColumnSpec
from assets.storage.sql import identifier, literal

SQL_TYPES = {"integer": "bigint", "number": "double", "text": "varchar", "timestamp": "timestamp", "boolean": "boolean"}
RAW, OWN = "raw:", "own:"
MONTH, FIRST = identifier("row:month"), identifier("row:first")
"""A row's month, and the number of the first row with its key, quoted: no column is named so, whatever a user's are named."""
WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
BROKEN = {"FLOAT", "DOUBLE"}
MOMENTS = {"TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S", "DATE"}


def typed_rows(table: TableSpec, found: Mapping[str, str], names: Iterable[str]) -> str:
    """A query over `raw`: columns as their declared types, null where a value is not of it, and beside them the raw text.

    The text stands in a query of its own, so that what reads it names it and does not repeat it.

    Parameters
    ----------
    table : TableSpec
        The declaration.
    found : mapping of str to str
        The file's columns with the types DuckDB sees; what has the declared type already is not parsed again.
    names : iterable of str
        The columns that are wanted.
    """
    columns = [(name, table.columns[name]) for name in names]
    kept = [f"{_text(table, name, found[name])} as {_name(name, column, RAW)}" for name, column in columns]
    own = [f"{identifier(name)} as {_name(name, column, OWN)}" for name, column in columns if found[name] != "VARCHAR"]
    typed = [f"{_typed(table, name, column, found[name])} as {_name(name, column)}" for name, column in columns]
    texts = [_name(name, column, RAW) for name, column in columns]
    inner = f"select source_row, {', '.join([*kept, *own])} from raw"
    return f"select source_row, {', '.join([*typed, *texts])} from ({inner})"


def month(table: TableSpec) -> str:
    """The row's month as ``2013-01``; null if it has none."""
    return "null::varchar" if table.partition is None else f"strftime(try({table.partition.month}), '%Y-%m')"


def column_tests(table: TableSpec, names: Iterable[str]) -> list[tuple[str, str]]:
    """What speaks against a row by these columns alone: a condition over typed columns, and the reason if it is true."""
    return [test for name in names for test in _column_tests(name, table.columns[name])]


def row_tests(table: TableSpec, *, repeats: bool) -> list[tuple[str, str]]:
    """What speaks against a row as a whole; needs `MONTH`, ``source_row`` and, if keys repeat, `FIRST`."""
    tests = [(f"not try({rule})", f"rule {name} is false") for name, rule in table.rules.items()]
    if table.partition is not None:
        tests += [(f"{MONTH} is null", "month unknown"), (f"not {is_declared_month(table)}", "month not declared")]
    return [*tests, (f"source_row > {FIRST}", "duplicate of an earlier row")] if repeats else tests


def reasons(tests: Iterable[tuple[str, str]]) -> str:
    """The list of reasons against a row."""
    found = [f"case when {test} then {literal(reason)} end" for test, reason in tests]
    return f"list_filter([{', '.join(found)}], lambda reason: reason is not null)"


def is_bad(tests: Iterable[tuple[str, str]]) -> str:
    """Whether there is any reason against a row: the same tests, without the texts."""
    return " or ".join(f"coalesce({test}, false)" for test, _ in tests)


def is_declared_month(table: TableSpec) -> str:
    """Whether `MONTH` is one of the declared months."""
    if table.partition is None:
        return "false"
    return f"({MONTH} between {literal(table.partition.start)} and {literal(table.partition.end)})"


def _name(name: str, column: ColumnSpec, prefix: str = "") -> str:
    return identifier(prefix + (column.name or name))


def _text(table: TableSpec, name: str, found: str) -> str:
    """The raw value as text, null where it is one of the texts that mean 'no value'."""
    raw = f"{identifier(name)}::varchar"
    if found != "VARCHAR":
        return raw
    own = table.columns[name].null_values
    return value_parsing.present(raw, table.null_values if own is None else own)


def _typed(table: TableSpec, name: str, column: ColumnSpec, found: str) -> str:
    own, raw = _name(name, column, OWN), _name(name, column, RAW)
    style = NumberStyle(column.decimal or table.csv.decimal, column.thousands, column.affixes, column.parentheses)
    if column.type == "integer":
        return f"{own}::bigint" if found in WHOLE else value_parsing.integer(raw, style)
    if column.type == "number":
        if found in WHOLE:
            return f"{own}::double"
        if found in BROKEN:
            return f"case when isfinite({own}) then {own}::double end"
        return value_parsing.number(raw, style)
    if column.type == "timestamp":
        return f"{own}::timestamp" if found in MOMENTS else value_parsing.moment(raw, column.format)
    if column.type == "boolean":
        return own if found == "BOOLEAN" else value_parsing.boolean(raw, column.true_values, column.false_values)
    return raw


def _column_tests(name: str, column: ColumnSpec) -> Iterator[tuple[str, str]]:
    value, raw, told = _name(name, column), _name(name, column, RAW), column.name or name
    if column.type != "text":
        yield f"{value} is null and {raw} is not null", f"{told}: not {'an' if column.type == 'integer' else 'a'} {column.type}"
    if not column.nullable:
        yield f"{raw} is null", f"{told}: missing"
    if column.min is not None:
        yield f"{value} < {column.min}", f"{told}: below {column.min:g}"
    if column.max is not None:
        yield f"{value} > {column.max}", f"{told}: above {column.max:g}"
    if column.values is not None:
        yield f"{value} not in ({', '.join(map(literal, column.values))})", f"{told}: not in the vocabulary"
    if column.pattern is not None:
        yield f"not regexp_full_match({value}, {literal(column.pattern)})", f"{told}: not like {column.pattern}"

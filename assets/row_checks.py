"""Format-and-logic control as SQL: how a raw row is typed, and every reason against it.

Expressions only, over the columns of a raw table; what is read and what is written is for the stage.
"""

from __future__ import annotations

from collections.abc import Iterator

from assets.spec import TableSpec
from assets.spec.source import ColumnSpec

SQL_TYPES = {"integer": "bigint", "number": "double", "text": "varchar", "timestamp": "timestamp"}
RAW = "raw_"


def typed_columns(table: TableSpec) -> str:
    """Each column as its declared type, null where the text is not of that type, and beside it the raw text."""
    typed = [f"{_typed(name, column)} as {identifier(name)}" for name, column in table.columns.items()]
    kept = [f"{identifier(name)} as {identifier(RAW + name)}" for name in table.columns]
    return ", ".join([*typed, *kept])


def month(table: TableSpec) -> str:
    """The row's month as ``2013-01``; null if it has none."""
    return "null::varchar" if table.partition is None else f"strftime(try({table.partition.month}), '%Y-%m')"


def reasons(table: TableSpec) -> str:
    """The list of reasons against a row of typed columns; needs ``partition_month``, ``source_row`` and ``first_row``."""
    found = [reason for name, column in table.columns.items() for reason in _column_reasons(name, column)]
    found += [f"case when not try({rule}) then {literal(f'rule {name} is false')} end" for name, rule in table.rules.items()]
    if table.partition is not None:
        found.append(
            "case when partition_month is null then 'month unknown' "
            f"when not {is_declared_month(table)} then 'month not declared' end"
        )
    found.append("case when source_row > first_row then 'duplicate of an earlier row' end")
    return f"list_filter([{', '.join(found)}], lambda reason: reason is not null)"


def is_declared_month(table: TableSpec) -> str:
    """Whether ``partition_month`` is one of the declared months."""
    if table.partition is None:
        return "false"
    return f"(partition_month between {literal(table.partition.start)} and {literal(table.partition.end)})"


def literal(value: str) -> str:
    """An SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(value: str) -> str:
    """An SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def _typed(name: str, column: ColumnSpec) -> str:
    raw = f"{identifier(name)}::varchar"
    if column.type == "integer":
        # a cast alone would round 1.5 to 2
        return f"case when regexp_full_match({raw}, '[+-]?[0-9]+(\\.0*)?') then try_cast({raw} as bigint) end"
    if column.type == "number":
        return f"case when isfinite(try_cast({raw} as double)) then try_cast({raw} as double) end"
    if column.type == "timestamp":
        return f"try_cast({raw} as timestamptz)::timestamp"
    return raw


def _column_reasons(name: str, column: ColumnSpec) -> Iterator[str]:
    value, raw = identifier(name), identifier(RAW + name)
    article = "an" if column.type == "integer" else "a"
    tests = [(f"{value} is null and {raw} is not null", f"not {article} {column.type}")]
    if not column.nullable:
        tests.append((f"{raw} is null", "missing"))
    if column.min is not None:
        tests.append((f"{value} < {column.min}", f"below {column.min:g}"))
    if column.max is not None:
        tests.append((f"{value} > {column.max}", f"above {column.max:g}"))
    if column.values is not None:
        tests.append((f"{value} not in ({', '.join(map(literal, column.values))})", "not in the vocabulary"))
    if column.pattern is not None:
        tests.append((f"not regexp_full_match({value}, {literal(column.pattern)})", f"not like {column.pattern}"))
    return (f"case when {test} then {literal(f'{name}: {reason}')} end" for test, reason in tests)

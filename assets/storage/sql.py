"""SQL text: how a value and a name are quoted, for whoever builds a query."""

from __future__ import annotations


def literal(value: str) -> str:
    """An SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def parquet(*files: str, numbered: bool = False) -> str:
    """An SQL relation of Parquet files; a folder such as ``year=2013`` on their way adds no column.

    `numbered` adds each row's number in its file as ``file_row_number``, from 0.
    """
    listed = ", ".join(map(literal, files))
    return f"read_parquet([{listed}], hive_partitioning = false{', file_row_number = true' * numbered})"


def identifier(value: str) -> str:
    """An SQL identifier."""
    return '"' + value.replace('"', '""') + '"'

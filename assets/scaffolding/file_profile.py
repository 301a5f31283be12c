"""Profiles: what was found of a file and of each of its columns.

How it is found stands in `profiling`; what follows from it, in `column_roles` and `draft`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assets.scaffolding.row_sample import RowSample

Csv = dict[str, str | int]


@dataclass(frozen=True)
class ColumnProfile:
    """One column: its spelling in the file, its name after the landing, its type, and what it holds.

    `mixed` gives the share of numbers and an example of the text among them, where neither is the rule. `reading` holds the
    further fields of the column's declaration that the landing needs to read it alike, `notes` the reasons in words. `moment`
    is the format by which a column of numbers can be read as moments, if a user says that it dates a row: see `as_moments`.
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
    reading: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileProfile:
    """A file: how it is written, its columns, and in `notes` what a reader should know of it."""

    path: Path
    relation: str | None
    csv: Csv
    null_values: tuple[str, ...]
    rows: int
    columns: tuple[ColumnProfile, ...]
    notes: tuple[str, ...] = ()
    sample: RowSample = field(default_factory=RowSample)


def as_moments(column: ColumnProfile) -> ColumnProfile | None:
    """The column as one of moments, with the format by which the landing reads it so; None if it cannot be read so.

    For the column that a user names as time: years, months (201311), days (20130102), decimal years and seconds or milliseconds
    since 1970 are numbers until someone says that they date a row. Replace the column in `FileProfile.columns` by what comes
    back, and what is drafted declares the format.

    Examples
    --------
    >>> year = ColumnProfile("Year", "year", "integer", 9, 0, 9, 1990, 1998, {}, (), moment="year")
    >>> moments = as_moments(year)
    >>> moments.type, moments.format, moments.low
    ('timestamp', 'year', None)
    """
    if column.type == "timestamp":
        return column
    if column.moment is None:
        return None
    reading = {name: value for name, value in column.reading.items() if name == "null_values"}
    note = f"its numbers are read as moments ({column.moment})"
    return replace(
        column, type="timestamp", format=column.moment, low=None, high=None, mixed=None, reading=reading, notes=(note,)
    )

"""Selection: which tables, which target, which time. Rules of names, hashes and values; none knows a table.

Reading tables belongs to `sources`, writing them to `corpus`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

FEWEST_ROWS, FEWEST_COLUMNS, MOST_ROWS = 300, 3, 200_000
FIRST_DIGITS = "0123456789ab"
"""A table is taken where the SHA-256 of its name begins with one of these: three of four."""
FEWEST_OF_A_CLASS, MOST_CLASSES = 15, 20
"""A column of at most `MOST_CLASSES` different whole numbers or texts is one of classes."""
FEWEST_MOMENTS = 20
TIME_WORDS = frozenset({"date", "datetime", "time", "timestamp", "year", "yr"})
YEARS = (1500, 2100)
ROW_NAMES = "rownames"


@dataclass(frozen=True)
class Asked:
    """What is asked of a table: the column to predict, its kind, and the column that dates a row."""

    target: str
    kind: str
    time: str | None


def name_hash(name: str) -> str:
    """The SHA-256 of a table's name, in hexadecimal."""
    return hashlib.sha256(name.encode()).hexdigest()


def is_taken(name: str | None, frame: pd.DataFrame) -> bool:
    """Whether a table is large enough and, where it is drawn by its name, the name's hash begins as asked."""
    is_large = len(frame) >= FEWEST_ROWS and frame.shape[1] >= FEWEST_COLUMNS
    return is_large and (name is None or name_hash(name)[0] in FIRST_DIGITS)


def capped(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_ROWS` rows, drawn by the table's hash and kept in their order."""
    if len(frame) <= MOST_ROWS:
        return frame
    seed = int(name_hash(name)[:8], 16)
    return frame.sample(MOST_ROWS, random_state=seed).sort_index()


KINDS = ("binary", "multiclass", "regression")


def asked_of(name: str, frame: pd.DataFrame, kinds: Collection[str] = KINDS) -> Asked | None:
    """Draw the target by the table's hash among the columns that could be one of these kinds; None where there is none."""
    given = {str(column): kind_of_target(frame[column]) for column in frame if column != ROW_NAMES}
    possible = {column: kind for column, kind in given.items() if kind in kinds}
    while possible:
        target = list(possible)[int(name_hash(name)[8:16], 16) % len(possible)]
        time = time_of(frame, target)
        if time is None or not is_period(frame[target], frame[time]):
            return Asked(target, str(possible[target]), time)
        del possible[target]
    return None


def is_period(target: pd.Series, time: pd.Series) -> bool:
    """Whether each value of the target has a time of its own, which does not return: the time in other words.

    What comes next is then a value that no earlier row has.
    """
    moments = pd.to_datetime(time.astype(str), format="mixed")
    spans = pd.DataFrame({"target": target, "moment": moments}).dropna().groupby("target")["moment"].agg(["min", "max"])
    spans = spans.sort_values(["min", "max"])
    return len(spans) < len(target) / 2 and bool((spans["max"].shift().iloc[1:] < spans["min"].iloc[1:]).all())


def kind_of_target(column: pd.Series) -> str | None:
    """What kind of target a column could be: ``binary``, ``multiclass`` or ``regression``; None if none.

    A target has two values or more in at least half of the rows; it is no row number and no moment; each class has at least
    `FEWEST_OF_A_CLASS` rows.
    """
    filled = column.dropna()
    if len(filled) < max(FEWEST_ROWS // 2, len(column) / 2) or types.is_datetime64_any_dtype(column):
        return None
    if any(isinstance(value, list | dict | tuple | set | np.ndarray) for value in filled.head(20)):
        return None
    counts = filled.value_counts()
    if len(counts) < 2 or is_row_number(column):
        return None
    is_numeric = types.is_numeric_dtype(filled) and not types.is_bool_dtype(filled)
    if is_numeric and (len(counts) > MOST_CLASSES or (not is_whole(filled) and len(counts) > 2)):
        return "regression"
    if len(counts) > MOST_CLASSES or counts.min() < FEWEST_OF_A_CLASS:
        return None
    return "binary" if len(counts) == 2 else "multiclass"


def is_row_number(column: pd.Series) -> bool:
    """Whether every row has a number of its own and the numbers only rise, only fall, or are 1 to n in some order."""
    if not types.is_numeric_dtype(column) or types.is_bool_dtype(column) or column.isna().any() or not column.is_unique:
        return False
    is_dense = is_whole(column) and column.max() - column.min() == len(column) - 1
    return bool(is_dense or column.is_monotonic_increasing or column.is_monotonic_decreasing)


def is_whole(column: pd.Series) -> bool:
    """Whether all numbers of a column are whole."""
    return bool((column == column.round()).all())


def time_of(frame: pd.DataFrame, target: str) -> str | None:
    """The first column that obviously dates a row: of a moment's type, or named so and readable as days or years."""
    for column in frame:
        if column != target and frame[column].nunique() > FEWEST_MOMENTS and _dates(str(column), frame[column]):
            return str(column)
    return None


def _dates(name: str, column: pd.Series) -> bool:
    if column.isna().any():
        return False
    if types.is_datetime64_any_dtype(column):
        return True
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    if not words & TIME_WORDS:
        return False
    if types.is_numeric_dtype(column):
        # a year of something, such as YearBuilt, need not date the row
        return words <= TIME_WORDS and is_whole(column) and bool(column.between(*YEARS).all())
    if not all(re.match(r"\d{4}-\d{2}-\d{2}|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}", str(value)) for value in column.head(50)):
        return False
    return bool(pd.to_datetime(column, errors="coerce", format="mixed").notna().all())

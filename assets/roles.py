"""Roles: which column of a file plays which part for a product, and why another cannot.

How the answer is written down stands in `assets.drafting`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from assets.errors import DataError, SpecificationError
from assets.profiling import ColumnProfile, FileProfile

FEWEST_ROWS, FEWEST_OF_A_CLASS = 50, 10
MOST_CLASSES, MOST_CATEGORIES, VOCABULARY = 50, 1000, 20
IDENTIFIERS = ("id", "key", "uuid", "guid", "code", "number")


@dataclass(frozen=True)
class Question:
    """What a user asks of a file.

    Parameters
    ----------
    name : str
        The product's name.
    target : str
        The column to predict.
    time, entity, group : str, optional
        The columns that date a row, identify it, and keep rows together.
    without : collection of str
        Columns that must not become features.
    """

    name: str
    target: str
    time: str | None = None
    entity: str | None = None
    group: str | None = None
    without: Collection[str] = ()


def column_named(profile: FileProfile, asked: str, role: str) -> ColumnProfile:
    """The column of this spelling or name.

    Raises
    ------
    SpecificationError
        If there is none.
    """
    for column in profile.columns:
        if asked in (column.raw, column.name):
            return column
    names = [column.raw for column in profile.columns]
    near = difflib.get_close_matches(asked, names, n=1)
    told = f" Did you mean --{role} {near[0]!r}?" if near else ""
    raise SpecificationError(f"{profile.path}: has no column {asked!r} for --{role}. It has: {', '.join(names)}.{told}")


def moment(profile: FileProfile, asked: str | None) -> ColumnProfile | None:
    """The column that dates a row, where one is named.

    Raises
    ------
    SpecificationError, DataError
        If it holds no moments, or too few.
    """
    if asked is None:
        return None
    column = column_named(profile, asked, "time")
    if column.type != "timestamp":
        shown = ", ".join(repr(value) for value in column.examples[:3]) or "nothing at all"
        raise SpecificationError(
            f"{profile.path}: --time {column.raw!r} holds no moments but {shown}. Give a column of dates or times "
            "(ISO 8601, or day first or month first with a separator), or leave --time out for a random split."
        )
    if column.distinct < 3:
        raise DataError(
            f"{profile.path}: --time {column.raw!r} has {column.distinct} different moment(s); training, validation and test "
            "need one each. Leave --time out for a random split."
        )
    return column


def entity_of(profile: FileProfile, question: Question, notes: list[str]) -> ColumnProfile | None:
    """The column that identifies a row: the one named, one that looks like it, or none.

    Raises
    ------
    DataError
        If the one named does not identify a row.
    """
    if question.entity is not None:
        column = column_named(profile, question.entity, "entity")
        if column.nulls:
            raise DataError(
                f"{profile.path}: --entity {column.raw!r} is missing in {column.nulls:,} rows. Give one that every row has."
            )
        if column.distinct < column.filled:
            raise DataError(
                f"{profile.path}: --entity {column.raw!r} does not identify a row: {column.filled:,} rows have "
                f"{column.distinct:,} different values. Leave --entity out, and give --group {column.raw!r} to keep its rows "
                "on one side of the split."
            )
        return column
    for column in profile.columns:
        named_so = column.name.split("_")[-1] in IDENTIFIERS
        other = {question.target, question.time, question.group}.isdisjoint({column.raw, column.name})
        if named_so and other and not column.nulls and column.distinct == column.filled and column.type in ("integer", "text"):
            notes.append(f"'{column.raw}' identifies a row (every value differs); give --entity to say otherwise")
            return column
    notes.append("no column identifies a row, so rows are numbered by their place in the file; give --entity if there is one")
    return None


def target_of(profile: FileProfile, target: ColumnProfile) -> tuple[str, dict[str, Any], list[str]]:
    """The kind of target, its block in the declaration, and its classes.

    Raises
    ------
    DataError
        If it cannot be predicted.
    """
    place = f"{profile.path}: --target {target.raw!r}"
    _require_unmixed(profile, target)
    if target.filled == 0:
        raise DataError(f"{place} has no value in any row. Name another column.")
    if target.distinct < 2:
        raise DataError(
            f"{place} has one value only, {target.examples[0]!r}: there is nothing to tell apart. Name another column."
        )
    if target.type == "timestamp":
        raise DataError(f"{place} holds moments, which cannot be predicted. Name a column of classes or of numbers.")
    base = {"column": target.name}
    if target.type == "boolean":
        _require_enough(place, target)
        return "binary", {**base, "kind": "binary", "meaning": f"{target.name} is true"}, []
    numeric = target.type in ("integer", "number")
    if numeric and target.distinct > VOCABULARY:
        return "regression", {**base, "kind": "regression", "meaning": target.name}, []
    if target.type == "number" and target.distinct > 2:
        return "regression", {**base, "kind": "regression", "meaning": target.name}, []
    if target.distinct > MOST_CLASSES:
        raise DataError(
            f"{place} has {target.distinct:,} different texts in {target.filled:,} rows, at most {MOST_CLASSES} can be "
            "classes. Group them in the file, or name another column."
        )
    _require_enough(place, target)
    classes = sorted(target.counts)
    if len(classes) == 2:
        positive = _positive(target)
        return "binary", {**base, "kind": "binary", "positive": positive, "meaning": f"{target.name} is {positive}"}, []
    return "multiclass", {**base, "kind": "multiclass", "classes": classes, "meaning": target.name}, classes


def _require_enough(place: str, target: ColumnProfile) -> None:
    rare = {value: count for value, count in target.counts.items() if count < FEWEST_OF_A_CLASS}
    if rare:
        told = ", ".join(f"{value!r} ({count})" for value, count in list(rare.items())[:5])
        raise DataError(
            f"{place} has classes of too few rows: {told}. Each needs at least {FEWEST_OF_A_CLASS} to be trained, "
            "validated and tested on. Merge or remove them in the file, or bring more rows."
        )


def _positive(target: ColumnProfile) -> str:
    """The value that means yes: by its word, else the rarer one."""
    yes = {"1", "true", "t", "yes", "y", "1.0", "positive", "pos"}
    named = [value for value in target.counts if value.lower() in yes]
    return named[0] if len(named) == 1 else min(target.counts, key=lambda value: (target.counts[value], value))


def features_of(profile: FileProfile, question: Question, aside: set[str], notes: list[str]) -> list[ColumnProfile]:
    """The columns to learn from; of the others the notes say why not.

    Raises
    ------
    DataError
        If a column mixes numbers and text, or none is left.
    """
    unwanted = {column_named(profile, name, "without").name for name in question.without}
    found = []
    for column in profile.columns:
        if column.name in aside:
            continue
        reason = "you said so" if column.name in unwanted else _why_not(profile, column)
        if reason:
            notes.append(f"'{column.raw}' is no feature: {reason}")
        else:
            found.append(column)
    if not found:
        raise DataError(f"{profile.path}: no column is left to learn from. {'; '.join(notes)}. Bring more columns.")
    return found


def _why_not(profile: FileProfile, column: ColumnProfile) -> str | None:
    _require_unmixed(profile, column)
    if column.filled == 0:
        return "it has no value in any row"
    if column.distinct == 1:
        return "it has one value only"
    if column.type == "timestamp":
        return "it is a moment; derive what was known from it in the file or in dbt"
    if column.type == "text" and (column.distinct > MOST_CATEGORIES or column.distinct > 0.5 * column.filled):
        return f"it has {column.distinct:,} different texts in {column.filled:,} rows"
    return None


def _require_unmixed(profile: FileProfile, column: ColumnProfile) -> None:
    if column.mixed is not None:
        number, example = column.mixed
        raise DataError(
            f"{profile.path}: the column {column.raw!r} mixes numbers ({number:.0%} of its values) and text (such as "
            f"{example!r}). Mend the file, say --null {example!r} if that means 'no value', or --without {column.raw!r} to do "
            "without it."
        )

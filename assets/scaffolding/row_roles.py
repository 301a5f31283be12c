"""Row roles: the columns that date a row, keep rows together, and identify a row."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping

from assets.errors import DataError, SpecificationError
from assets.ingestion.moment_formats import unlike_moments
from assets.scaffolding.file_profile import ColumnProfile, FileProfile, as_moments
from assets.scaffolding.question import Question, column_named, shown
from assets.scaffolding.surrogate_keys import Key, words

MOST_WITHOUT = 0.05
"""The share of rows that may lack the moment or the group; they go to quarantine."""
FEWEST_SUBJECTS, FEWEST_ROWS_EACH = 20, 2
SUBJECTS = frozenset((
    "id", "subject", "subj", "patient", "person", "customer", "user", "household", "family", "school", "class", "country",
    "state", "county", "city", "region", "firm", "company", "store", "shop", "group", "site", "plot", "animal", "rat",
    "child", "student", "batch", "lot", "station",
))  # fmt: skip


def moment_of(profile: FileProfile, question: Question) -> ColumnProfile | None:
    """The column that dates a row as a column of moments, where one is named.

    Raises
    ------
    SpecificationError, DataError
        If it holds no moments, or too few, or many rows lack it.
    """
    if question.time is None:
        return None
    asked = column_named(profile, question.time, "time")
    column = as_moments(asked)
    if column is None:
        sampled = [value for value in profile.sample.texts(asked.name).tolist() if value is not None]
        if asked.type == "text" and (others := unlike_moments(list(dict.fromkeys((*asked.counts, *sampled))))):
            raise SpecificationError(
                f"{profile.path}: --time {asked.raw!r} holds moments, and other texts such as {shown(others[0])!r}. Say --null "
                f"{shlex.quote(shown(others[0]))} if that means 'no value', or mend the file."
            )
        held = ", ".join(repr(shown(value)) for value in asked.examples[:3]) or "nothing at all"
        raise SpecificationError(
            f"{profile.path}: --time {asked.raw!r} holds no moments but {held}. Give a column of dates or times "
            "(ISO 8601, or day first or month first with a separator), or leave --time out for a random split."
        )
    _require_filled(profile, column, "time")
    if column.distinct < 3:
        raise DataError(
            f"{profile.path}: --time {column.raw!r} has {column.distinct} different moment(s); training, validation and test "
            "need one each. Leave --time out for a random split."
        )
    return column


def group_of(profile: FileProfile, question: Question) -> ColumnProfile | None:
    """The column whose equal values stay on one side of a random split, where one is named.

    Raises
    ------
    SpecificationError, DataError
        If the split is by time, or many rows lack it.
    """
    if question.group is None:
        return None
    column = column_named(profile, question.group, "group")
    if question.time is not None:
        raise SpecificationError(
            f"--group {column.raw!r} keeps rows together in a random split, and with --time the split is in order of time. "
            "Leave one of them out."
        )
    _require_filled(profile, column, "group")
    return column


def _require_filled(profile: FileProfile, column: ColumnProfile, name: str) -> None:
    if column.nulls > MOST_WITHOUT * profile.rows:
        raise DataError(
            f"{profile.path}: --{name} {column.raw!r} is missing in {column.nulls:,} of {profile.rows:,} rows, at most "
            f"{MOST_WITHOUT:.0%} may lack it. Leave --{name} out, or fill it in the file."
        )


def entity_of(
    profile: FileProfile, question: Question, keys: Mapping[str, Key], taken: Collection[str]
) -> ColumnProfile | None:
    """The column that identifies a row: the one named, the key that fits best, or none.

    Parameters
    ----------
    profile, question : FileProfile, Question
        The file, and what is asked of it.
    keys : mapping of str to Key
        The surrogate keys.
    taken : collection of str
        The columns that have another part.

    Raises
    ------
    DataError
        If the one named does not identify a row.
    """
    if question.entity is None:
        fitting = [
            (key.fit, column)
            for column in profile.columns
            if (key := keys.get(column.name)) is not None and key.fit is not None and column.name not in taken
        ]
        return min(fitting, key=lambda item: item[0])[1] if fitting else None
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


def may_be_subject(profile: FileProfile, column: ColumnProfile) -> bool:
    """Whether a column may say whom several rows each are of, by its name and how often its values repeat."""
    if column.type not in ("integer", "text") or not SUBJECTS.intersection(words(column.raw)):
        return False
    repeats = FEWEST_SUBJECTS <= column.distinct <= column.filled / FEWEST_ROWS_EACH
    return repeats and column.filled == profile.rows

"""Exclusions: why a column can be no feature, or none that helps.

Surrogate keys stand in `surrogate_keys`, copies of the target in `leak_suspects`.
"""

from __future__ import annotations

import re

from assets.scaffolding.file_profile import ColumnProfile, FileProfile
from assets.scaffolding.question import shown
from assets.scaffolding.surrogate_keys import FEWEST_WORDS, key_of

MOST_CATEGORIES = 1000
MOSTLY = 0.9


def impossible(column: ColumnProfile) -> str | None:
    """Why a column cannot be a feature, whoever asks for it."""
    if column.filled == 0:
        return "it has no value in any row"
    if column.type == "timestamp":
        return "it is a moment; derive what was known from it, in the file or in dbt"
    return None


def says_nothing(profile: FileProfile, column: ColumnProfile) -> str | None:
    """Why a column can be a feature, but none that helps."""
    if column.distinct == 1:
        return f"it has one value only, {shown(column.examples[0], 20)!r}"
    if column.type != "text":
        return None
    values = [value for value in profile.sample.columns.get(column.name, ()) if value is not None]
    if values and sum(bool(re.match(r"\s*[\[{].*[\]}]\s*$", value, re.DOTALL)) for value in values) > MOSTLY * len(values):
        return f"it holds lists or JSON, such as {shown(column.examples[0], 20)!r}; make columns of them in the file"
    if column.distinct > MOST_CATEGORIES or column.distinct > 0.5 * column.filled:
        told = f"{column.distinct:,} different texts in {column.filled:,} rows"
        if column.mixed is not None:
            return f"it mixes numbers and texts such as {shown(column.mixed[1], 20)!r}; --null TEXT if that means 'no value'"
        if values and sum(len(value.split()) for value in values) >= FEWEST_WORDS * len(values):
            return f"it is free text: {told}"
        return f"it has {told}"
    return None


def may_be_feature(profile: FileProfile, column: ColumnProfile) -> bool:
    """Whether a column is a feature unless a user says otherwise, or could be the target."""
    return impossible(column) is None and says_nothing(profile, column) is None and key_of(profile, column) is None

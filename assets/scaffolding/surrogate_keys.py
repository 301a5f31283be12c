"""Surrogate keys: columns that number or identify rows and say nothing else of them, whatever they are called.

The rules, in order; numbers with decimals are never keys:

- a whole number or a text that differs in every row and has an identifier's name (`id`, `customer_key`, `Unnamed: 0`);
- a whole number that counts by a constant step through the file, unless it is named like a time or holds years;
- a whole number that only rises, or only falls, through the file, and has at least half of the integers between its ends,
  with the same exceptions;
- a whole number with the name that exports give to row numbers, even where it repeats;
- a text that differs in every row: UUIDs, hashes, codes, names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assets.scaffolding.file_profile import ColumnProfile, FileProfile
from assets.scaffolding.question import shown

IDENTIFIERS = frozenset((
    "id", "ids", "key", "pk", "uuid", "guid", "code", "number", "no", "nr", "num", "idx", "index", "row", "rows", "rowid",
    "rownames", "rowname", "rownum", "obs", "sno", "serial", "unnamed", "caseid", "userid", "subjid", "recid", "personid",
    "customerid", "orderid",
))  # fmt: skip
ROW_NAMES = frozenset(("", "rownames", "row.names", "row_names", "rowname", "rownum", "row_number"))
TIMES = frozenset((
    "time", "t", "trend", "date", "year", "yr", "month", "week", "day", "hour", "minute", "quarter", "qtr", "period",
    "season", "step", "epoch", "decade", "timestamp", "datetime", "ts", "unix",
))  # fmt: skip
YEARS = (1700, 2200)
UUID = re.compile(r"\{?[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\}?", re.IGNORECASE)
HASH = re.compile(r"(0x)?[0-9a-f]{16,128}", re.IGNORECASE)
LONGEST = 40
FEWEST_WORDS = 4
"""Texts of so many words on average are free text."""


@dataclass(frozen=True)
class Key:
    """Why a column is a surrogate key, and how well it fits as the entity: 0 is best, None is not at all."""

    reason: str
    fit: int | None


def words(name: str) -> list[str]:
    """The words of a column's name, in lower case.

    Examples
    --------
    >>> words("PassengerId"), words("Unnamed: 0"), words("order_no")
    (['passenger', 'id'], ['unnamed', '0'], ['order', 'no'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]


def key_of(profile: FileProfile, column: ColumnProfile) -> Key | None:
    """Whether a column is a surrogate key."""
    if column.type not in ("integer", "text") or column.filled == 0:
        return None
    is_unique = not column.nulls and column.distinct == column.filled
    if is_unique and _is_named_so(column.raw):
        return Key("it identifies a row by its name, and its values all differ", 0)
    if column.type == "integer":
        return _number(profile, column, is_unique=is_unique)
    return _text(profile, column) if is_unique else None


def is_compared(profile: FileProfile, column: ColumnProfile) -> bool:
    """Whether a row is another event by this column's value: whether it is no row number, identifier, UUID or hash.

    Other texts that all differ, such as names, may be what tells events apart.
    """
    key = key_of(profile, column)
    return key is None or (column.type == "text" and key.fit not in (0, 1))


def counts_time(column: ColumnProfile) -> bool:
    """Whether a column of whole numbers may count time: by its name, or because it holds years."""
    if column.type != "integer" or column.low is None or column.high is None:
        return False
    in_years = YEARS[0] <= column.low and column.high <= YEARS[1]
    return in_years or bool(TIMES.intersection(words(column.raw)))


def _is_named_so(raw: str) -> bool:
    found = words(raw)
    return not found or found[-1] in IDENTIFIERS or found[0] in ("id", "uuid", "guid", "unnamed", "row")


def _number(profile: FileProfile, column: ColumnProfile, *, is_unique: bool) -> Key | None:
    run = profile.sample.runs.get(column.name)
    if run is not None and not counts_time(column):
        between = f"{run.first} to {run.last}"
        if run.step is not None:
            return Key(f"it is a row number: it counts by {run.step} through the file, {between}", 2)
        if run.is_dense:
            moves = "rises" if run.last > run.first else "falls"
            return Key(f"it is a running number: it only {moves} through the file, {between}", 2)
    if column.raw.strip().lower() in ROW_NAMES or words(column.raw)[:1] == ["unnamed"]:
        return Key("it is a row number by its name", 2 if is_unique else None)
    return None


def _text(profile: FileProfile, column: ColumnProfile) -> Key | None:
    values = [value for value in profile.sample.columns.get(column.name, ()) if value is not None] or list(column.examples)
    for pattern, what in ((UUID, "UUIDs"), (HASH, "hashes")):
        if all(pattern.fullmatch(value) for value in values):
            return Key(f"it holds {what}, and they all differ", 1)
    if sum(len(value.split()) for value in values) >= FEWEST_WORDS * len(values):
        return None  # free text, which is left out for what it is
    is_short = all(len(value) <= LONGEST and not re.search(r"\s", value) for value in values)
    return Key(f"its texts all differ, such as {shown(column.examples[0], 30)!r}", 3 if is_short else None)

"""Number formats: the ways in which a column's texts may be numbers, told from a sample; all rows decide among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from assets.ingestion.value_parsing import BLANKS, MINUS, NumberStyle
from assets.ingestion.value_words import is_currency

BLANK = "[ \u00a0\u2007\u2009\u202f]"
CORE = re.compile(rf"[0-9](?:[0-9.,'\u2019]|{BLANK}(?=[0-9]))*(?:[eE][+-]?[0-9]+)?|[.,][0-9]+")
GROUPS = ((".", ","), (",", "."), (".", " "), (",", " "), (".", "'"))
POINTED_GROUPS = r"(^|[^0-9.,])[1-9][0-9]{0,2}(\.[0-9]{3})+([^0-9.]|$)"
"""A number, whatever stands beside it, whose points may all stand between thousands; for Python's and DuckDB's expressions."""
GAPS = {",": ",", ".": r"\.", " ": BLANK, "'": "['\u2019]"}
MOST_AFFIXES = 3
MOSTLY = 0.8


def candidates(sample: Sequence[str]) -> list[NumberStyle]:
    """The styles that may read most values of a sample, the plainest first.

    A text may stand around the number if it is one currency (in up to three spellings), a percent sign behind all of them, or
    one unit behind all of them. Two currencies, or a percent sign behind only some, leave the column text.
    """
    split = [parts for value in sample if (parts := _split(value)) is not None]
    if not sample or len(split) < MOSTLY * len(sample):
        return []
    affixes = _affixes(split)
    if affixes is None:
        return []
    parentheses = any(is_negative for *_, is_negative in split)
    cores = [core for _, core, _, _ in split]
    styles = [(".", None), (",", None), *GROUPS]
    return [
        NumberStyle(decimal, thousands, affixes, parentheses)
        for decimal, thousands in styles
        if sum(_fits(core, decimal, thousands) for core in cores) >= MOSTLY * len(sample)
    ]


def proves_decimal(sample: Sequence[str], point: str) -> bool:
    """Whether some comma or point cannot stand between thousands.

    Other than three digits follow it, or it follows a lone zero, or the other of the two stands before it.
    """
    other = "." if point == "," else ","
    cores = [parts[1] for value in sample if (parts := _split(value)) is not None]
    single = [core for core in cores if core.count(point) == 1 and other not in core.split(point)[1]]
    lone = re.escape(point) + "(?![0-9]{3}$)"
    return any(re.search(lone, core) or core.startswith((f"0{point}", point)) or other in core for core in single)


def is_grouped(texts: Iterable[str], thousands: str) -> bool:
    """Whether this character stands between groups of three digits in some text."""
    gap = GAPS[thousands]
    return any(re.search(rf"[0-9]{gap}[0-9]{{3}}(?![0-9])", text) for text in texts)


def _split(value: str) -> tuple[str, str, str, bool] | None:
    """What stands before a number, the number, what stands behind it, and whether parentheses make it negative."""
    text = value.strip(BLANKS).replace(MINUS, "-")
    is_negative = "(" in text and text.endswith(")")
    if is_negative:
        text = text.replace("(", "", 1)[:-1].strip(BLANKS)
    found = CORE.search(text)
    if found is None:
        return None
    before, after = text[: found.start()].strip(BLANKS), text[found.end() :].strip(BLANKS)
    before = before.strip("+-").strip(BLANKS) if before[:1] in "+-" or before[-1:] in "+-" else before
    return None if re.search("[0-9]", before + after) else (before, found.group(), after, is_negative)


def _affixes(split: Sequence[tuple[str, str, str, bool]]) -> tuple[str, ...] | None:
    """The texts beside the numbers; None if they are no currency, percent sign or unit of all."""
    before, after = {parts[0] for parts in split} - {""}, {parts[2] for parts in split} - {""}
    used = before | after
    if not used:
        return ()
    if len(used) <= MOST_AFFIXES and all(map(is_currency, used)):
        spellings = {text.rstrip(".").casefold() for text in used}
        return tuple(sorted(used)) if len(spellings) == 1 else None
    (unit,) = after if len(after) == 1 else ("",)
    is_unit = unit in ("%", "\u2030") or re.fullmatch(r"[^\W\d_]{1,12}\.?|°[A-Z]?", unit) is not None
    behind_all = all(parts[2] == unit for parts in split)
    return (unit,) if is_unit and behind_all and not before else None


def _fits(core: str, decimal: str, thousands: str | None) -> bool:
    gap = GAPS[thousands] if thousands else ""
    whole = f"(?:[0-9]{{1,3}}(?:{gap}[0-9]{{2,3}})*{gap}[0-9]{{3}}|[0-9]+)" if thousands else "[0-9]+"
    point = re.escape(decimal)
    return re.fullmatch(rf"(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?", core) is not None

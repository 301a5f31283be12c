"""Moment formats: the ways in which a column's texts may be dates or times, told from a sample; all rows decide among them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assets.ingestion.value_parsing import BLANKS

MOSTLY = 0.8
_YEAR = "(?:1[5-9]|2[01])[0-9]{2}"
_DAY, _MONTH, _NAME = "[0-9]{1,2}", "[A-Za-z]{3}", "[A-Za-z]{4,9}"
DATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (rf"{_DAY}\.{_DAY}\.[0-9]{{4}}", ("%d.%m.%Y", "%m.%d.%Y")),
    (rf"{_DAY}/{_DAY}/[0-9]{{4}}", ("%d/%m/%Y", "%m/%d/%Y")),
    (rf"{_DAY}-{_DAY}-[0-9]{{4}}", ("%d-%m-%Y", "%m-%d-%Y")),
    (rf"{_DAY}\.{_DAY}\.[0-9]{{2}}", ("%d.%m.%y", "%m.%d.%y", "%y.%m.%d")),
    (rf"{_DAY}/{_DAY}/[0-9]{{2}}", ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d")),
    (rf"{_DAY}-{_DAY}-[0-9]{{2}}", ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d")),
    (rf"[0-9]{{4}}/{_DAY}/{_DAY}", ("%Y/%m/%d",)),
    (rf"[0-9]{{4}}\.{_DAY}\.{_DAY}", ("%Y.%m.%d",)),
    (rf"[0-9]{{4}}-{_DAY}-{_DAY}", ("%Y-%m-%d",)),
    (r"[0-9]{8}", ("%Y%m%d",)),
    (rf"{_DAY}-{_MONTH}-[0-9]{{4}}", ("%d-%b-%Y",)),
    (rf"{_DAY}-{_MONTH}-[0-9]{{2}}", ("%d-%b-%y",)),
    (rf"{_DAY}{_MONTH}[0-9]{{4}}", ("%d%b%Y",)),
    (rf"{_DAY} {_MONTH} [0-9]{{4}}", ("%d %b %Y", "%d %B %Y")),
    (rf"{_DAY} (?:{_NAME}|May) [0-9]{{4}}", ("%d %B %Y",)),
    (rf"{_MONTH} {_DAY}, [0-9]{{4}}", ("%b %d, %Y", "%B %d, %Y")),
    (rf"(?:{_NAME}|May) {_DAY}, [0-9]{{4}}", ("%B %d, %Y",)),
    (rf"{_MONTH} {_DAY} [0-9]{{4}}", ("%b %d %Y",)),
    (rf"(?:{_NAME}|May) {_DAY} [0-9]{{4}}", ("%B %d %Y",)),
    (rf"{_MONTH} [0-9]{{4}}", ("%b %Y",)),
    (rf"(?:{_NAME}|May) [0-9]{{4}}", ("%B %Y",)),
    (rf"{_MONTH}-[0-9]{{4}}", ("%b-%Y",)),
    (rf"{_MONTH}-[0-9]{{2}}", ("%b-%y",)),
    (rf"[0-9]{{4}} {_MONTH}", ("%Y %b",)),
)
TIMES: tuple[tuple[str, str], ...] = (
    ("", ""),
    (r"{0}[0-9]{{1,2}}:[0-9]{{2}}", "%H:%M"),
    (r"{0}[0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}}", "%H:%M:%S"),
    (r"{0}[0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}}\.[0-9]{{1,6}}", "%H:%M:%S.%f"),
    (r"{0}[0-9]{{1,2}}:[0-9]{{2}} [AaPp][Mm]", "%I:%M %p"),
    (r"{0}[0-9]{{1,2}}:[0-9]{{2}}[AaPp][Mm]", "%I:%M%p"),
    (r"{0}[0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}} [AaPp][Mm]", "%I:%M:%S %p"),
)
PERIODS = (
    (rf"{_YEAR}[ ./-]?[Qq][1-4]|[Qq][1-4][ ./-]?{_YEAR}", "quarter"),
    (rf"{_YEAR}[./-]?[Mm][0-9]{{1,2}}|{_YEAR}[./-][0-9]{{1,2}}|[0-9]{{1,2}}[./-]{_YEAR}", "month"),
)
ISO = re.compile(r"[+-]?[0-9]{4,}-[0-9]{1,2}-[0-9]{1,2}(?:[T ].*)?")
YEARS = (1500, 2200)
EPOCH_SECONDS, EPOCH_MILLISECONDS = (1e8, 4.2e9), (1e11, 4.2e12)


def candidates(sample: Sequence[str]) -> list[str | None]:
    """The formats that may read most texts of a sample; among equals the day stands first. None is ISO 8601."""
    texts = [value.strip(BLANKS) for value in sample]
    if not texts:
        return []
    found: list[str | None] = [None] if _most(texts, ISO.pattern) else []
    found += [name for pattern, name in PERIODS if _most(texts, pattern) and not _are_seasons(texts)]
    for date, formats in DATES:
        if not _most(texts, rf"(?:{date})(?:[ T,].*)?"):
            continue
        for gap in (" ", "T", ", "):
            for pattern, time in TIMES:
                if (pattern or gap == " ") and _most(texts, f"(?:{date})" + pattern.format(gap)):
                    found += [f"{format_}{gap}{time}" if time else format_ for format_ in formats]
    return found


def unlike_moments(sample: Sequence[str]) -> list[str]:
    """The texts that do not look like the moments that most others are; none where most are no moments.

    Examples
    --------
    >>> unlike_moments(["unknown", *(f"2023-01-0{day}" for day in range(1, 8))])
    ['unknown']
    """
    looks = [ISO.pattern, *(pattern for pattern, _ in PERIODS), *(rf"(?:{date})(?:[ T,].*)?" for date, _ in DATES)]
    texts = [value.strip(BLANKS) for value in sample]
    look = next((pattern for pattern in looks if texts and _most(texts, pattern)), None)
    return [] if look is None else [text for text in texts if re.fullmatch(look, text) is None]


def _are_seasons(texts: Sequence[str]) -> bool:
    """Whether each text is a year with the next one, such as 2005-06: a season, and no month."""
    parts = [re.fullmatch(r"([0-9]{4})[./-]([0-9]{2})", text) for text in texts]
    return all(part is not None and (int(part[1]) + 1) % 100 == int(part[2]) for part in parts)


def numeric(low: float, high: float, *, whole: bool) -> list[str]:
    """The ways in which numbers of this range may be moments, if a user says that they are; the likeliest first."""
    if not whole:
        return ["decimal_month", "decimal_year"] if YEARS[0] <= low and high < YEARS[1] else []
    ranges = (
        ("year", *YEARS),
        ("month", YEARS[0] * 100 + 1, YEARS[1] * 100 + 12),
        ("%Y%m%d", YEARS[0] * 10_000 + 101, YEARS[1] * 10_000 + 1231),
        ("epoch_seconds", *EPOCH_SECONDS),
        ("epoch_milliseconds", *EPOCH_MILLISECONDS),
    )
    return [name for name, least, most in ranges if least <= low and high <= most]


def _most(texts: Sequence[str], pattern: str) -> bool:
    compiled = re.compile(pattern)
    return sum(compiled.fullmatch(text) is not None for text in texts) >= MOSTLY * len(texts)

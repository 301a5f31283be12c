"""Parsing: SQL expressions that read a text as a number, a truth value or a moment, null where it is none.

Profiling and landing read by these same expressions, so what `loopline new` promises of a column is what is landed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assets.storage.sql import literal

BLANKS = " \t\r\n\u00a0\u2007\u2009\u202f\u3000\ufeff"
"""What is left out around a value, and what may stand between the groups of a number."""
MINUS = "\u2212"
TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
"""What a truth value is written as, where its column declares no words."""
_BLANK = r"[\s\x{00a0}\x{2007}\x{2009}\x{202f}\x{3000}\x{feff}]"
_DIGITS = r"(?:[0-9]+{point}?[0-9]*|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
_GROUPED = {",": ",", ".": r"\.", " ": _BLANK, "'": "['\u2019]"}


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written; see `ColumnSpec` for what each field means."""

    decimal: str = "."
    thousands: str | None = None
    affixes: tuple[str, ...] = ()
    parentheses: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the character before decimals needs reading."""
        return self.thousands is None and not self.affixes and not self.parentheses


def trimmed(text: str) -> str:
    """The text without the blanks around it."""
    return f"regexp_extract({text}, '(?s)^{_BLANK}*(.*?){_BLANK}*$', 1)"


def present(text: str, nulls: Sequence[str]) -> str:
    """The text, null where it is, blanks around it aside, one of those that mean 'no value'."""
    if not nulls:
        return text
    listed = "|".join(re.escape(null) for null in dict.fromkeys(null.strip(BLANKS) for null in nulls))
    return f"(case when not regexp_full_match({text}, {literal(f'{_BLANK}*(?:{listed}){_BLANK}*')}) then {text} end)"


def number(text: str, style: NumberStyle) -> str:
    """The text as a double."""
    if style.is_plain:
        # one pattern, so that a table of thousands of columns is a short query; a plain cast would read 1_000, inf and nan
        pattern = f"^{_BLANK}*([+-]?{_DIGITS.format(point=re.escape(style.decimal))}){_BLANK}*$"
        plain = f"regexp_extract(replace({text}, '{MINUS}', '-'), {literal(pattern)}, 1)"
        plain = plain if style.decimal == "." else f"replace({plain}, ',', '.')"
        value = f"try_cast({plain} as double)"
        return f"(case when isfinite({value}) then {value} end)"
    core = _core(text, style)
    whole, decimal = _whole(style), re.escape(style.decimal)
    pattern = f"[+-]?(({whole})({decimal}[0-9]*)?|{decimal}[0-9]+)([eE][+-]?[0-9]+)?"
    value = f"try_cast({_cleaned(core, style)} as double)"
    return f"(case when regexp_full_match({core}, {literal(pattern)}) and isfinite({value}) then {value} end)"


def integer(text: str, style: NumberStyle) -> str:
    """The text as a whole number; one with decimals is none, unless they are zeros."""
    point = re.escape(style.decimal)
    if style.is_plain:
        pattern = f"^{_BLANK}*([+-]?[0-9]+)(?:{point}0*)?{_BLANK}*$"
        return f"try_cast(regexp_extract(replace({text}, '{MINUS}', '-'), {literal(pattern)}, 1) as bigint)"
    core = _core(text, style)
    pattern = f"[+-]?({_whole(style)})({point}0*)?"
    return f"(case when regexp_full_match({core}, {literal(pattern)}) then try_cast({_cleaned(core, style)} as bigint) end)"


def boolean(text: str, true: Sequence[str], false: Sequence[str]) -> str:
    """The text as a truth value, by words whose capitals do not matter."""
    word = f"lower({trimmed(text)})"
    listed = [", ".join(literal(item.lower()) for item in words) for words in (true or TRUE, false or FALSE)]
    return f"(case when {word} in ({listed[0]}) then true when {word} in ({listed[1]}) then false end)"


def moment(text: str, written: str | None) -> str:
    """The text as a timestamp in UTC: ISO 8601, by the codes of strptime, or by one of `TIME_FORMATS`."""
    word = trimmed(text)
    if written is None:
        return f"try_cast({word} as timestamptz)::timestamp"
    if "%" in written:
        parsed = f"try_strptime({word}, {literal(written)})"
        # a year of two digits is none of four
        return f"(case when {parsed} >= timestamp '1000-01-01' then {parsed} end)" if "%Y" in written else parsed
    amount = f"(case when isfinite(try_cast({word} as double)) then try_cast({word} as double) end)"
    if written in ("epoch_seconds", "epoch_milliseconds"):
        factor = "1000000" if written == "epoch_seconds" else "1000"
        return f"try(make_timestamp(round({amount} * {factor})::bigint))"
    if written in ("decimal_year", "decimal_month"):
        year = f"floor({amount})"
        begin = f"make_timestamp({year}::bigint, 1, 1, 0, 0, 0.0)"
        end = f"make_timestamp({year}::bigint + 1, 1, 1, 0, 0, 0.0)"
        share = f"({amount} - {year})"
        if written == "decimal_month":
            return f"try({begin} + to_months(round({share} * 12)::integer))"
        return f"try({begin} + to_days(round({share} * datediff('day', {begin}, {end}))::integer))"
    pattern, parts = _PERIODS[written]
    return f"try({_period(word, pattern, parts)})"


_PERIODS = {
    "year": (r"([0-9]{4})(?:\.0*)?()", ("1", None)),
    "quarter": (r"(?:([0-9]{4})[ ./-]?[Qq]([1-4])|[Qq]([1-4])[ ./-]?([0-9]{4}))", ("1,4", "2,3")),
    "month": (r"(?:([0-9]{4})[ ./-]?[Mm]?([0-9]{1,2})(?:\.0*)?|([0-9]{1,2})[./-]([0-9]{4}))", ("1,4", "2,3")),
}
"""What a period looks like, and which groups hold its year and its quarter or month."""


def _period(word: str, pattern: str, parts: tuple[str, str | None]) -> str:
    full = f"regexp_full_match({word}, {literal(pattern)})"

    def group(numbers: str) -> str:
        found = [f"nullif(regexp_extract({word}, {literal('^' + pattern + '$')}, {index}), '')" for index in numbers.split(",")]
        return f"coalesce({', '.join(found)})::bigint"

    month = "1" if parts[1] is None else group(parts[1])
    month = f"3 * {month} - 2" if "Qq" in pattern else month
    return f"case when {full} then make_timestamp({group(parts[0])}, {month}, 1, 0, 0, 0.0) end"


def _whole(style: NumberStyle) -> str:
    if style.thousands is None:
        return "[0-9]+"
    gap = _GROUPED[style.thousands]
    return f"[0-9]{{1,3}}(?:{gap}[0-9]{{2,3}})*{gap}[0-9]{{3}}|[0-9]+"


def _core(text: str, style: NumberStyle) -> str:
    """The number without what may stand around it, a minus sign for parentheses."""
    core = f"replace({trimmed(text)}, '{MINUS}', '-')"
    if style.affixes:
        core = _without_affixes(core, style.affixes)
    if style.parentheses:
        inside = literal(rf"^\({_BLANK}*([^-].*?){_BLANK}*\)$")
        core = rf"regexp_replace({core}, {inside}, '-\1')"
        core = _without_affixes(core, style.affixes) if style.affixes else core
    return core


def _without_affixes(core: str, affixes: Sequence[str]) -> str:
    listed = "|".join(re.escape(affix) for affix in sorted(affixes, key=len, reverse=True))
    before = literal(rf"^([+-]?){_BLANK}*(?:{listed}){_BLANK}*")
    after = literal(rf"{_BLANK}*(?:{listed})$")
    return rf"regexp_replace(regexp_replace({core}, {before}, '\1'), {after}, '')"


def _cleaned(core: str, style: NumberStyle) -> str:
    if style.thousands is not None:
        core = f"regexp_replace({core}, {literal(_GROUPED[style.thousands])}, '', 'g')"
    return core if style.decimal == "." else f"replace({core}, {literal(style.decimal)}, '.')"

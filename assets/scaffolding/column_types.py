"""Column types: what a column of texts holds, decided by all its rows, and how its declaration must say so.

A type is taken if at least 99 % of the values can be read as it. What a file holds in all stands in `profiling`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assets.ingestion import moment_formats, number_formats, value_parsing
from assets.ingestion.number_formats import proves_decimal
from assets.ingestion.value_parsing import NumberStyle
from assets.ingestion.value_words import booleans_of
from assets.scaffolding.column_queries import Ask, Tally

NEARLY_ALL = 0.99
FEWEST_EQUAL_FORMATS = 2
FEW_WORDS = 12


@dataclass(frozen=True)
class ColumnType:
    """A type, how its values are written, as fields of a `ColumnSpec`, and what a reader should be told."""

    type: str
    format: str | None = None
    style: NumberStyle | None = None
    reading: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def without_sample(found: str, tally: Tally, counts: Mapping[str, int]) -> ColumnType | None:
    """The type that the file gives, or that counting alone tells; None where texts must be looked at."""
    if found == "BOOLEAN":
        return ColumnType("boolean")
    if found.startswith(("TIMESTAMP", "DATE")):
        return ColumnType("timestamp")
    if found != "VARCHAR":
        return ColumnType("number" if found in ("DOUBLE", "FLOAT") else "integer")
    if tally.filled == 0:
        return ColumnType("text")
    if tally.distinct <= FEW_WORDS:
        words = booleans_of({text.strip(value_parsing.BLANKS).lower() for text in counts})
        if words is not None:
            return _boolean(*words)
    if tally.may_group_by_points:
        return None
    if tally.whole >= NEARLY_ALL * tally.filled:
        return ColumnType("integer")
    return ColumnType("number") if tally.numbers >= NEARLY_ALL * tally.filled else None


def _boolean(true: tuple[str, ...], false: tuple[str, ...]) -> ColumnType:
    known = {*value_parsing.TRUE, *value_parsing.FALSE}
    if known.issuperset((*true, *false)):
        return ColumnType("boolean")
    told = f"'{', '.join(true)}' is read as true, '{', '.join(false)}' as false"
    return ColumnType("boolean", reading={"true_values": list(true), "false_values": list(false)}, notes=(told,))


def with_samples(
    ask: Ask, samples: Mapping[str, Sequence[str]], tallies: Mapping[str, Tally], *, european: bool, pointed: bool
) -> dict[str, ColumnType]:
    """The types of columns of texts, by the formats that their samples suggest and all rows bear out.

    Parameters
    ----------
    ask : Ask
        Counts over all rows.
    samples, tallies : mapping
        Some values of each column, with one whose points may stand between thousands if any row has one, and what was counted
        of it.
    european : bool
        Whether semicolons stand between fields, so that a comma is likelier to stand before decimals.
    pointed : bool
        Whether some column surely has a point before decimals.
    """
    styles = {raw: number_formats.candidates(sample) for raw, sample in samples.items()}
    commas, points = ({raw for raw in samples if styles[raw] and proves_decimal(samples[raw], sign)} for sign in ",.")
    proven, pointed = bool(commas), pointed or bool(points)
    only_commas = proven and not pointed
    grouping = {raw: only_commas if _is_pointed(samples[raw]) else raw in commas or european or only_commas for raw in samples}
    formats = {raw: moment_formats.candidates(sample) for raw, sample in samples.items()}
    alike: dict[tuple[tuple[NumberStyle, ...], tuple[str | None, ...]], list[str]] = {}
    for raw in samples:
        alike.setdefault((tuple(styles[raw]), tuple(formats[raw])), []).append(raw)
    answers: dict[str, tuple[Any, ...]] = {}
    for (tried, written), columns in alike.items():
        if tried or written:
            answers |= ask.columns(columns, _fits(tried, written))
    found: dict[str, ColumnType] = {}
    for raw, counted in answers.items():
        enough, size = NEARLY_ALL * tallies[raw].filled, len(styles[raw])
        numbers, wholes, moments = counted[:size], counted[size : 2 * size], counted[2 * size :]
        fitting = [
            (numbers[index], wholes[index] >= enough, style)
            for index, style in enumerate(styles[raw])
            if numbers[index] >= enough
        ]
        if fitting:
            may_group = tallies[raw].may_group_by_points and (proven or not pointed)
            if not _is_pointed(samples[raw]):
                may_group = raw not in commas and not (european and only_commas)
            found[raw] = _number(fitting, samples[raw], european=grouping[raw], may_group=may_group)
        else:
            dated = [(count, written) for count, written in zip(moments, formats[raw], strict=True) if count >= enough]
            if dated:
                found[raw] = _moment(dated)
    return {raw: found.get(raw, ColumnType("text")) for raw in samples}


def _fits(styles: Sequence[NumberStyle], formats: Sequence[str | None]) -> list[str]:
    """How many values each style reads as a number, as a whole one, and each format as a moment."""
    return [
        *(f"count({value_parsing.number('v', style)})" for style in styles),
        *(f"count({value_parsing.integer('v', style)})" for style in styles),
        *(f"count({value_parsing.moment('v', written)})" for written in formats),
    ]


def _number(
    fitting: Sequence[tuple[int, bool, NumberStyle]], sample: Sequence[str], *, european: bool, may_group: bool
) -> ColumnType:
    """The style that reads most; among equals the one that the rest of the file speaks for.

    `may_group` says that each point or comma may as well stand between thousands, for all that the rows and the file tell.
    """

    def likelihood(item: tuple[int, bool, NumberStyle]) -> tuple[int, bool, bool, bool]:
        count, _, style = item
        separated = any("," in text or "." in text for text in sample)
        as_elsewhere = (style.decimal == ",") is european if separated else style.decimal == "."
        grouped = style.thousands is not None and number_formats.is_grouped(sample, style.thousands)
        return count, as_elsewhere, grouped, style.thousands is None

    _, is_whole, style = max(fitting, key=likelihood)
    notes = []
    if style.thousands:
        notes.append(f"{style.thousands!r} is read as standing between thousands")
        if style.thousands == "," and any(other.decimal == "," and other.thousands is None for _, _, other in fitting):
            notes[-1] += ", since three digits follow each; give the column decimal: ',' instead if it stands before decimals"
    elif may_group and any(other.thousands == style.decimal for _, _, other in fitting) and _has(sample, style.decimal):
        told = f"{style.decimal!r} is read as standing before decimals, though three digits follow each"
        swapped = "." if style.decimal == "," else ","
        remedy = f"give the column thousands: {style.decimal!r} and decimal: {swapped!r} instead"
        notes.append(f"{told}; {remedy} if it stands between thousands")
    if style.affixes:
        notes.append(f"{', '.join(map(repr, style.affixes))} beside the number is left out: the values are in that unit")
    if style.parentheses:
        notes.append("a number in parentheses is read as negative")
    reading: dict[str, Any] = {}
    if style.thousands:
        reading["thousands"] = style.thousands
    if style.affixes:
        reading["affixes"] = list(style.affixes)
    if style.parentheses:
        reading["parentheses"] = True
    if style == NumberStyle():
        return ColumnType("integer" if is_whole else "number", notes=tuple(notes))
    return ColumnType("integer" if is_whole else "number", style=style, reading=reading, notes=tuple(notes))


def _has(sample: Sequence[str], sign: str) -> bool:
    return any(sign in text for text in sample)


def _is_pointed(sample: Sequence[str]) -> bool:
    return any("." in text for text in sample) and not any("," in text for text in sample)


def _moment(dated: Sequence[tuple[int, str | None]]) -> ColumnType:
    count, written = max(dated, key=lambda item: item[0])
    equal = [other for number, other in dated if number == count and other is not None and other != written]
    notes: tuple[str, ...] = ()
    if written is not None and any(_swapped(other) == written for other in equal):
        notes = (f"day and month cannot be told apart, so the day is read first ({written}); {_swapped(written)} swaps them",)
    elif written is not None:
        notes = (f"moments are read as {written}",)
    return ColumnType("timestamp", format=written, notes=notes)


def _swapped(written: str) -> str:
    return written.replace("%d", "%\0").replace("%m", "%d").replace("%\0", "%m")


def moments_of_numbers(
    ask: Ask, ranges: Mapping[str, tuple[float, float, bool]], tallies: Mapping[str, Tally]
) -> dict[str, str | None]:
    """How columns of numbers could be read as moments, if a user says that they are.

    `ranges` gives for each column its least and greatest number, and whether all are whole.
    """
    possible = {raw: moment_formats.numeric(low, high, whole=whole) for raw, (low, high, whole) in ranges.items()}
    found: dict[str, str | None] = dict.fromkeys(ranges)
    for formats in {tuple(names) for names in possible.values() if names}:
        columns = [raw for raw, names in possible.items() if tuple(names) == formats]
        for raw, counted in ask.columns(columns, _as_moments(formats)).items():
            enough = NEARLY_ALL * tallies[raw].filled
            found[raw] = next((name for name, count in zip(formats, counted, strict=True) if count >= enough), None)
    return found


def _as_moments(formats: Sequence[str]) -> list[str]:
    """How many numbers each format reads as a moment."""
    share = "(try_cast(v as double) - floor(try_cast(v as double))) * 12"
    # three decimals tell twelfths of a year apart from days
    test = {"decimal_month": f" and abs({share} - round({share})) < 0.013"}
    moments = {written: value_parsing.moment("v", written) for written in formats}
    return [f"count(*) filter ({moment} is not null{test.get(written, '')})" for written, moment in moments.items()]

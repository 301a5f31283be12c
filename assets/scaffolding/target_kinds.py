"""The kind of target that a column is, by a stated rule, and what becomes of classes of too few rows.

- Two values, of whatever type: binary. Booleans too.
- Texts: multiclass.
- Whole numbers of at most `FEW_NUMBERS` values, each in enough rows: multiclass; others: regression.
- Numbers with decimals: regression.

A class has enough rows with `FEWEST_OF_A_CLASS` (a whole number's value with `FEWEST_SHARE` of all rows as well). Classes with
fewer are merged into one where that has enough, and else left out; so are those that come too late to be learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from assets.errors import SpecificationError, UnlearnableError
from assets.scaffolding.column_queries import MOST_COUNTED
from assets.scaffolding.file_profile import ColumnProfile, FileProfile
from assets.scaffolding.late_classes import late_classes
from assets.scaffolding.question import Question, option, shown
from assets.spec.features import Kind

FEWEST_ROWS, FEWEST_OF_A_CLASS, FEWEST_SHARE = 50, 10, 0.002
FEW_NUMBERS, MOST_CLASSES = 10, 50
YES = frozenset(("1", "true", "t", "yes", "y", "1.0", "positive", "pos"))


@dataclass(frozen=True)
class Target:
    """The target: its column as it is to be declared, its kind, why, and its block of the declaration."""

    column: ColumnProfile
    kind: Kind
    why: str
    block: dict[str, Any]
    notes: tuple[str, ...] = ()
    merged: Mapping[str, str] = field(default_factory=dict)
    """The class that a rare value is merged into, by the value."""
    left_out: tuple[str, ...] = ()
    is_number: bool = False
    """Whether the file holds numbers there, whatever they are declared as."""

    @property
    def changes(self) -> str:
        """What to say for another kind, where the column can be of one."""
        possible = {
            "regression": self.is_number,
            "multiclass": self.is_number and 2 < self.column.distinct <= MOST_CLASSES,
            "binary": self.column.distinct == 2,
        }
        return " or ".join(f"--kind {kind}" for kind, can_be in possible.items() if can_be and kind != self.kind)


def target_of(profile: FileProfile, column: ColumnProfile, question: Question, time: ColumnProfile | None) -> Target:
    """The target as it is to be declared; `time` is the column that dates a row.

    Raises
    ------
    UnlearnableError
        If it cannot be predicted.
    SpecificationError
        If it cannot be of the kind that was asked for.
    """
    place = f"{profile.path}: {option('target', column)}"
    if column.filled == 0:
        raise UnlearnableError(f"{place} has no value in any row. Name another column.")
    if column.distinct < 2:
        raise UnlearnableError(
            f"{place} has one value only, {column.examples[0]!r}: there is nothing to tell apart. Name another column."
        )
    if column.type == "timestamp":
        raise UnlearnableError(f"{place} holds moments, which cannot be predicted. Name a column of classes or of numbers.")
    if column.filled < FEWEST_ROWS:
        raise UnlearnableError(
            f"{place} has a value in {column.filled} rows only, at least {FEWEST_ROWS} are needed to train, validate and test."
        )
    kind, why = _kind(column) if question.kind is None else (question.kind, "you said so")
    if kind == "regression":
        found = _regression(place, column, why)
    else:

        def late() -> tuple[str, ...]:
            return () if time is None else late_classes(profile, column, time)

        found = _classes(place, column, kind, why, late, is_asked=question.kind is not None)
    found = replace(found, is_number=column.type in ("integer", "number"))
    if not column.nulls:
        return found
    gap = f"{column.nulls:,} rows have no value of the target {shown(column.raw)!r}: they are predicted, and train nothing"
    return replace(found, notes=(gap, *found.notes))


def _kind(column: ColumnProfile) -> tuple[Kind, str]:
    """The kind by the rule, and the part of the rule that it is by."""
    if column.type == "boolean" or column.distinct == 2:
        return "binary", "it has two values"
    if column.type == "number":
        return "regression", f"it holds numbers with decimals, {column.low:g} to {column.high:g}"
    if column.type == "text":
        return "multiclass", f"it holds texts, of {column.distinct:,} kinds"
    ranged = f"whole numbers from {column.low:g} to {column.high:g}"
    if column.distinct > FEW_NUMBERS:
        return "regression", f"it holds {ranged}, more than {FEW_NUMBERS} different ones"
    needed = max(FEWEST_OF_A_CLASS, FEWEST_SHARE * column.filled)
    rare = [value for value, count in column.counts.items() if count < needed]
    if rare:
        return "regression", f"it holds {ranged}, and {', '.join(rare[:3])} in few rows: a count, not classes"
    return "multiclass", f"it holds at most {FEW_NUMBERS} different whole numbers ({column.distinct}), each in enough rows"


def _regression(place: str, column: ColumnProfile, why: str) -> Target:
    if column.type not in ("integer", "number"):
        example = shown(next(iter(column.examples), ""))
        raise SpecificationError(
            f"{place} cannot be a regression's target: it holds {column.type} such as {example!r}, not numbers. Leave out "
            "--kind regression, or say --null TEXT if a text among numbers means 'no value'."
        )
    return Target(column, "regression", why, {"column": column.name, "kind": "regression", "meaning": column.name})


def _classes(
    place: str, column: ColumnProfile, kind: Kind, why: str, late: Callable[[], tuple[str, ...]], *, is_asked: bool
) -> Target:
    """A target of classes; `late` is asked only of what could be learnt if time were left aside."""
    base: dict[str, Any] = {"column": column.name, "kind": "binary"}
    if column.type == "boolean":
        if kind == "multiclass":
            raise SpecificationError(f"{place} cannot be multiclass: it has two values. Leave out --kind multiclass.")
        _require_both(place, column)
        late()
        return Target(column, "binary", why, {**base, "meaning": f"{column.name} is true"})
    if column.distinct > MOST_COUNTED:
        raise _too_many(place, column, kind if is_asked else None)
    # the text of a number with decimals depends on who writes it, so that of the file is kept
    declared = replace(column, type="text", low=None, high=None) if column.type == "number" else column
    if kind == "binary" and column.distinct > 2:
        raise SpecificationError(
            f"{place} cannot be binary: it has {column.distinct} different values, {_some(column.counts)}. Leave out --kind "
            "binary, or add a column of two values to the file."
        )
    if column.distinct == 2:
        if kind == "multiclass":
            raise SpecificationError(f"{place} cannot be multiclass: it has two values. Leave out --kind multiclass.")
        _require_both(place, column)
        late()
        return _binary(declared, sorted(column.counts), why, {})
    said = kind if is_asked else None
    classes, block, notes, merged = _sorted_out(place, column, column.counts, said)
    if too_late := late():
        in_time = {value: count for value, count in column.counts.items() if value not in too_late}
        classes, block, notes, merged = _sorted_out(place, column, in_time, said)
        block["leave_out"] = sorted({*block.get("leave_out", ()), *too_late})
        told = _some({value: column.counts[value] for value in too_late})
        notes = (*notes, f"rows of classes that come only after the training rows are predicted, and judge nothing: {told}")
    left_out = tuple(block.get("leave_out", ()))
    if len(classes) == 2:
        found = _binary(declared, classes, f"{why}; two have enough rows", block)
    else:
        named = {**base, "kind": "multiclass", "classes": classes, **block, "meaning": column.name}
        found = Target(declared, "multiclass", why, named)
    return replace(found, notes=notes, merged=merged, left_out=left_out)


def _sorted_out(
    place: str, column: ColumnProfile, counts: Mapping[str, int], said: Kind | None
) -> tuple[list[str], dict[str, Any], tuple[str, ...], dict[str, str]]:
    """The classes that are declared, and what becomes of those of too few rows.

    Raises
    ------
    UnlearnableError
        If there are fewer than two, or too many.
    """
    rare = {value: count for value, count in counts.items() if count < FEWEST_OF_A_CLASS}
    classes = sorted(value for value in counts if value not in rare)
    block, notes, merged = _without_rare(rare, classes)
    classes = [*classes, *block.get("merge", {})]
    if len(classes) < 2:
        raise UnlearnableError(
            f"{place} has {column.distinct} classes, and fewer than two of them have {FEWEST_OF_A_CLASS} rows: "
            f"{_some(column.counts)}. Bring more rows, or merge classes in the file."
        )
    if len(classes) > MOST_CLASSES:
        raise _too_many(place, column, said)
    return classes, block, notes, merged


def _without_rare(rare: Mapping[str, int], classes: list[str]) -> tuple[dict[str, Any], tuple[str, ...], dict[str, str]]:
    """What is declared of classes of too few rows, what is told of it, and what they are merged into."""
    if not rare:
        return {}, (), {}
    rows, told = sum(rare.values()), _some(rare)
    if len(rare) >= 2 and rows >= FEWEST_OF_A_CLASS:
        name, number = "other", 2
        while name in classes:
            name, number = f"other_{number}", number + 1
        note = f"classes of fewer than {FEWEST_OF_A_CLASS} rows count as one class, '{name}' ({rows} rows): {told}"
        return {"merge": {name: sorted(rare)}}, (note,), dict.fromkeys(rare, name)
    note = f"rows of classes of fewer than {FEWEST_OF_A_CLASS} rows are predicted, and train nothing: {told}"
    return {"leave_out": sorted(rare)}, (note,), {}


def _binary(column: ColumnProfile, values: list[str], why: str, block: dict[str, Any]) -> Target:
    merged = {name: sum(column.counts.get(value, 0) for value in values) for name, values in block.get("merge", {}).items()}
    counts = {value: merged.get(value, column.counts.get(value, 0)) for value in values}
    positive = _positive(counts)
    told = f"{why}; {shown(positive)!r} counts as yes ({counts[positive]:,} rows)"
    meaning = f"{column.name} is {positive}"
    return Target(
        column, "binary", told, {"column": column.name, "kind": "binary", "positive": positive, **block, "meaning": meaning}
    )


def _positive(counts: Mapping[str, int]) -> str:
    """The value that means yes: by its word, else the rarer one."""
    named = [value for value in counts if value.lower() in YES]
    return named[0] if len(named) == 1 else min(counts, key=lambda value: (counts[value], value))


def _require_both(place: str, column: ColumnProfile) -> None:
    rare = {value: count for value, count in column.counts.items() if count < FEWEST_OF_A_CLASS}
    if rare:
        raise UnlearnableError(
            f"{place} has two values, and too few rows of one: {_some(rare)}. Each needs at least {FEWEST_OF_A_CLASS} to be "
            "trained, validated and tested on. Bring more rows."
        )


def _too_many(place: str, column: ColumnProfile, said: Kind | None) -> UnlearnableError:
    """What to do about more values than can be classes; `said` is the kind that was asked for."""
    what = "texts" if column.type == "text" else "values"
    told = "Group them in the file, or name another column."
    if column.mixed is not None:
        share, example = column.mixed
        told = f"{share:.0%} of them are numbers: say --null {shown(example)!r} if that means 'no value', and they are one."
    elif said is not None and column.type != "text":
        told = f"Leave out --kind {said} for a regression."
    return UnlearnableError(
        f"{place} has {column.distinct:,} different {what} in {column.filled:,} rows, at most {MOST_CLASSES} can be classes. "
        f"{told}"
    )


def _some(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{shown(value)!r} ({count:,})" for value, count in list(counts.items())[:5])
    return listed + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")

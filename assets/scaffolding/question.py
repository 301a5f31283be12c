"""The question that a user asks of a file, and how its columns are named in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from assets.errors import SpecificationError
from assets.scaffolding.file_profile import ColumnProfile, FileProfile
from assets.spec.features import Kind

SHOWN = 40

Answer = Literal["keep", "without", "known-after"]
"""What a user says of a column that may be a feature; each is an option of the command."""


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
    without, keep, known_after : collection of str
        Columns that must not become features, that must, and that are known only after the event.
    kind : {"binary", "multiclass", "regression"}, optional
        The kind of target, where it is not to be guessed.
    """

    name: str
    target: str
    time: str | None = None
    entity: str | None = None
    group: str | None = None
    without: Collection[str] = ()
    keep: Collection[str] = ()
    known_after: Collection[str] = ()
    kind: Kind | None = None


def column_named(profile: FileProfile, asked: str, option: str) -> ColumnProfile:
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
    told = f" Did you mean --{option} {near[0]!r}?" if near else ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    listed = ", ".join(shown(name) for name in names[:SHOWN])
    if not told and any(re.fullmatch(r"column_\d+", name) for name in names):
        # made up for a blank cell: a title fills one cell of its line
        told = " The first line seems to be a title and no header: delete the lines above the one that names the columns."
    raise SpecificationError(f"{profile.path}: has no column {asked!r} for --{option}. It has: {listed}{more}.{told}")


def answers(question: Question, profile: FileProfile) -> dict[str, Answer]:
    """What the user said of columns, by their names.

    Raises
    ------
    SpecificationError
        If two things were said of one.
    """
    lists: dict[Answer, tuple[str, ...]] = {
        "keep": tuple(question.keep),
        "without": tuple(question.without),
        "known-after": tuple(question.known_after),
    }
    said: dict[str, Answer] = {}
    parts = {
        column_named(profile, name, part).name: part
        for part, name in (
            ("target", question.target),
            ("time", question.time),
            ("entity", question.entity),
            ("group", question.group),
        )
        if name is not None
    }
    for answer, names in lists.items():
        for name in names:
            column = column_named(profile, name, answer)
            # a moment or an identifier is no feature anyway; the target is the one column that cannot be done without
            part = parts.get(column.name)
            other = said.get(column.name, part if answer == "keep" or part == "target" else None)
            if other is not None and other != answer:
                raise SpecificationError(f"{column.raw!r} is given by --{other} and by --{answer}. Leave one of them out.")
            said[column.name] = answer
    return said


def shown(text: str, most: int = SHOWN) -> str:
    """A name or value of a file on one line: cut where it is long, without what cannot be printed.

    Examples
    --------
    >>> shown("two" + chr(10) + "lines"), shown("x" * 50, 5)
    ('two lines', 'xxxx…')
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable if len(printable) <= most else f"{printable[: most - 1]}…"


def option(name: str, column: ColumnProfile) -> str:
    """What to say on the command line about a column, quoted where the shell needs it."""
    import shlex

    spelled = column.raw if shown(column.raw) == column.raw else column.name
    return f"--{name} {shlex.quote(spelled)}"

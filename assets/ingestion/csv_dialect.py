"""CSV dialects: the delimiter of a text table, the lines before its header, and the names in it.

What stands here is decided by the file alone, so that whoever reads it finds the same columns.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import SourceError
from assets.spec.csv_dialect import CsvSpec

DELIMITERS = (",", ";", "\t", "|")
RECORDS = 200
CONSISTENT = 0.8
LONGEST_CELL = 1 << 24


@dataclass(frozen=True)
class Header:
    """The names of the columns, each once, and how many lines stand before the first row.

    `notes` tells which names were made up.
    """

    names: tuple[str, ...]
    lines: int
    notes: tuple[str, ...] = ()


def detected(path: Path) -> tuple[str, int]:
    """The delimiter of a text table in UTF-8, and the lines before its header: comments, blank lines, Excel's ``sep=;``.

    The delimiter is the one by which nearly all records have as many fields as the header, more than one; among several the
    one by which most fit, then the one with most fields. Without any the table has one column.
    """
    skip, named, above = 0, None, ""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        for line in itertools.islice(stream, RECORDS):
            text = line.strip()
            if text and not text.startswith("#") and not text.lower().startswith("sep="):
                # a header may begin with a number sign, too: it has as many fields as the row below
                skip -= above.startswith("#") and _splits_alike(above, text)
                break
            if text.lower().startswith("sep="):
                named = text[4:5] or "\t"
            skip, above = skip + 1, text
    if named is not None:
        return named, skip
    scored = []
    for order, delimiter in enumerate(DELIMITERS):
        records = _sample(path, CsvSpec(delimiter=delimiter, skip=skip))
        if not records:
            continue
        width = len(records[0])
        widths = (width, width + 1) if width > 1 else (1,)
        fits = sum(len(record) in widths for record in records[1:]) / max(1, len(records) - 1)
        scored.append((width > 1 and fits >= CONSISTENT, fits, width if width > 1 else 0, -order, delimiter))
    # one column: a delimiter that splits no row
    return (max(scored)[-1] if scored else ","), skip


def _splits_alike(above: str, below: str) -> bool:
    """Whether some delimiter cuts both lines into as many fields, more than one."""
    cut = [[len(next(csv.reader([line], delimiter=delimiter), [])) for line in (above, below)] for delimiter in DELIMITERS]
    return any(first == second > 1 for first, second in cut)


def header(path: Path, written: CsvSpec, told: Path) -> Header:
    """The header of a text table in UTF-8.

    A name that is blank or comes again is made up from its place or by a number. Where each row has one field more than the
    header, as R writes row names, the first column is ``rownames``; where that field is empty, it ends the row.

    Raises
    ------
    SourceError
        If there is none.
    """
    try:
        with _opened(path, written) as rows:
            names: list[str] = next((row for row in rows if row), [])
            lines = written.skip + rows.line_num
    except csv.Error as error:
        raise SourceError(f"{told}: its header cannot be read ({error}). Mend the file.") from error
    if any("\ud800" <= letter <= "\udfff" for name in names for letter in name):
        raise SourceError(f"{told}: line {lines} is not UTF-8. Give its encoding as 'csv.encoding'.")
    if not names:
        raise SourceError(f"{told}: has no header. Bring a file whose first line names the columns.")
    notes = []
    records = _sample(path, written)[1:]
    if len(names) > 1 and records and all(len(record) == len(names) + 1 for record in records):
        if any(record[-1].strip() for record in records):
            names = ["rownames", *names]
            notes.append("each row has one field more than the header: the first column is called 'rownames'")
        else:
            names = [*names, ""]
    distinct = distinct_names(names)
    made_up = [f"{new!r}" for old, new in zip(names, distinct, strict=True) if old != new]
    if made_up:
        notes.append(f"names that are blank or come again in the header were made up: {', '.join(made_up[:5])}")
    return Header(tuple(distinct), lines, tuple(notes))


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names that differ, capitals aside, as databases want them.

    Examples
    --------
    >>> distinct_names(["x", "X", "", "x_2"])
    ['x', 'X_3', 'column_3', 'x_2']
    """
    counted = Counter(name.casefold() for name in names if name.strip())
    taken: set[str] = set(counted)
    found, seen = [], set()
    for position, name in enumerate(names, start=1):
        base = name if name.strip() else f"column_{position}"
        new, number = base, 2
        while new.casefold() in seen or (new != name and new.casefold() in taken):
            new, number = f"{base}_{number}", number + 1
        seen.add(new.casefold())
        found.append(new)
    return found


@dataclass(frozen=True)
class Body:
    """A text table and how many of its lines stand before the first row."""

    path: Path
    skip: int


def body(path: Path, found: Header, target: Path) -> Body:
    """The table itself if its header is the first line; otherwise a copy of its rows."""
    with path.open("rb") as stream:
        marked = stream.read(3) == codecs.BOM_UTF8
    if found.lines == 1 and not marked:
        return Body(path, 1)
    kept: Any = {"errors": "surrogateescape", "newline": ""}
    with path.open(encoding="utf-8-sig", **kept) as stream, target.open("w", encoding="utf-8", **kept) as copy:
        for _ in range(found.lines):
            next(stream, None)
        shutil.copyfileobj(stream, copy)
    return Body(target, 0)


def with_plain_line_ends(path: Path, found: Header, target: Path) -> Body:
    """A copy of the rows whose lines end in one way."""
    with path.open(encoding="utf-8-sig", errors="replace") as stream, target.open("w", encoding="utf-8", newline="\n") as copy:
        for _ in range(found.lines):
            next(stream, None)
        shutil.copyfileobj(stream, copy)
    return Body(target, 0)


@contextmanager
def _opened(path: Path, written: CsvSpec) -> Iterator[Any]:
    """The records of a text table from its header on."""
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        for _ in range(written.skip):
            next(stream, None)
        yield csv.reader(stream, delimiter=written.delimiter)


def _sample(path: Path, written: CsvSpec) -> list[list[str]]:
    """The first records, as far as they can be split."""
    found: list[list[str]] = []
    try:
        with _opened(path, written) as records:
            found.extend(itertools.islice(records, RECORDS))
    except csv.Error:
        pass  # what was split so far tells enough; the rows that cannot be are for the landing
    return [record for record in found if record]

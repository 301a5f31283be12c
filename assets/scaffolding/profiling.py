"""Profiling: what a file holds, column by column, counted by DuckDB over all rows.

Files are read as the landing reads them. Types are told apart by what parses (`column_types`). What follows from a
profile stands in `draft`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SourceError, SpecificationError
from assets.ingestion import packed_files, raw_files, row_validation, text_encoding, value_parsing
from assets.ingestion.column_names import names_for
from assets.ingestion.file_formats import FILE_FORMATS, format_of
from assets.scaffolding import column_types, row_sample
from assets.scaffolding.column_queries import Ask, Tally
from assets.scaffolding.column_types import NEARLY_ALL, ColumnType
from assets.scaffolding.exclusions import may_be_feature
from assets.scaffolding.file_profile import ColumnProfile, Csv, FileProfile
from assets.scaffolding.surrogate_keys import is_compared
from assets.spec import TableSpec
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier

if TYPE_CHECKING:
    import duckdb

MOSTLY, MOST_MALFORMED = 0.5, 0.05


def profile(
    home: Home, path: Path, relation: str | None = None, *, encoding: str | None = None, nulls: Sequence[str] = ()
) -> FileProfile:
    """Look at all rows of a file.

    Parameters
    ----------
    home : Home
        Where to keep what is only needed meanwhile.
    path : Path
        A file of a known format, also packed; a folder of such files, or a pattern.
    relation : str, optional
        The table of a database, or the sheet of an Excel file.
    encoding : str, optional
        The encoding of a text file; detected unless said.
    nulls : sequence of str
        Texts that mean 'no value', beside the usual ones.

    Raises
    ------
    SourceError
        If there is no file, or it cannot be read as a table.
    """
    _require_files(path, relation)
    if encoding is not None and not text_encoding.is_known(encoding):
        raise SpecificationError(f"--encoding {encoding}: is none that Python knows. Give one such as cp1252 or utf-16.")
    written = raw_files.dialect(path, home, encoding)
    shape = {"description": "", "file": path.name, "relation": relation, "csv": written, "columns": {"x": {"type": "text"}}}
    table = TableSpec.model_validate(shape)
    with raw_files.readable(path, table, home) as read, draft_folder(home) as scratch, scratch_database(scratch) as connection:
        row_validation.load(connection, read, str(path))
        notes = _require_rows(connection, path, relation)
        if written.get("encoding", "utf-8") != "utf-8" and encoding is None:
            notes.append(f"the text is read as {written['encoding']}; give --encoding to say otherwise")
        notes += dict.fromkeys(note for file in read for note in file.rows.notes)
        return _profile(Ask.of(connection), path, relation, csv=written, nulls=nulls, notes=notes)


def _require_files(path: Path, relation: str | None) -> None:
    found = raw_files.files(path)
    if not found:
        if path.is_dir():
            known = ", ".join(suffix for known in FILE_FORMATS.values() for suffix in known.suffixes)
            raise SourceError(f"{path}: holds no file that ends in one of {known}. Correct --data.")
        raise SourceError(f"{path}: there is no such file. Correct --data.")
    for file in found:
        known_format = format_of(file)
        if known_format.needs_relation and relation is None:
            raise SourceError(f"{file}: is a database; say which table as --data {file}::TABLE.")
        if known_format.relations is None and relation is not None:
            raise SourceError(f"{file}: has no tables or sheets to choose from. Leave '::{relation}' out of --data.")


def _require_rows(connection: duckdb.DuckDBPyConnection, path: Path, relation: str | None) -> list[str]:
    """What there is to say of lines that are no rows, if they are few enough.

    Raises
    ------
    SourceError
        If there are no rows, or more lines than can be set aside.
    """
    rows = row_validation.count(connection, "select count(*) from raw")
    number, first, remedy = row_validation.malformed_lines(connection)
    if number == 0:
        if rows == 0:
            raise SourceError(_no_rows(path, relation))
        return []
    if number > MOST_MALFORMED * (rows + number):
        raise SourceError(f"{path}: {number:,} of {rows + number:,} lines {first}. {remedy}.")
    return [f"{number:,} line(s) {first}; they go to quarantine. {remedy}"]


def _no_rows(path: Path, relation: str | None) -> str:
    """That there are no rows; where a file may hold several tables, in which of them, and which others there are."""
    found = raw_files.files(path)
    relations = format_of(found[0]).relations
    if len(found) > 1 or relations is None or packed_files.inner_name(found[0]) != found[0].name:
        return f"{path}: has a header and no rows. Bring rows."
    known = list(relations(found[0]))
    read = relation or known[0]
    others = ", ".join(name for name in known if name != read)
    told = f"Name another one as --data FILE::NAME (there are: {others})" if others else "Bring rows"
    return f"{path}: {read!r} has a header and no rows. {told}."


def _profile(ask: Ask, path: Path, relation: str | None, *, csv: Csv, nulls: Sequence[str], notes: list[str]) -> FileProfile:
    found = ask.found
    used = ask.find_nulls(nulls)
    tallies = ask.tallies()
    counts = ask.counts(found)
    types = {raw: column_types.without_sample(kind, tallies[raw], counts[raw]) for raw, kind in found.items()}
    samples = {
        raw: list(dict.fromkeys((*counts[raw], *sample, *filter(None, [tallies[raw].grouped]))))
        for raw, sample in ask.samples([raw for raw, known in types.items() if known is None]).items()
    }
    pointed = any(
        decided is not None and decided.type == "number" and bool(tallies[raw].decimals or tallies[raw].grouped)
        for raw, decided in types.items()
    )
    told = column_types.with_samples(ask, samples, tallies, european=csv.get("delimiter") == ";", pointed=pointed)
    known = {raw: told[raw] if decided is None else decided for raw, decided in types.items()}
    styled = {
        raw: item
        for raw, item in known.items()
        if item.style is not None or (item.type in ("integer", "number") and any(text != text.strip() for text in counts[raw]))
    }
    _counted_anew(ask, styled, tallies, counts)
    ranges = {
        raw: (tally.low, tally.high, known[raw].type == "integer")
        for raw, tally in tallies.items()
        if known[raw].type in ("integer", "number")
        and known[raw].style is None
        and tally.low is not None
        and tally.high is not None
    }
    moments = column_types.moments_of_numbers(ask, ranges, tallies)
    csv = {"encoding": "utf-8", "delimiter": ",", "decimal": ".", **csv}
    if csv["delimiter"] != "," and any(item.style and item.style.decimal == "," for item in known.values()):
        csv["decimal"] = ","
    # whole numbers such as 90.0, in a file whose other numbers have decimal commas
    whole = [raw for raw, item in known.items() if item.type == "integer" and item.style is None and csv["decimal"] == ","]
    dotted = {raw for raw, (count,) in ask.columns(whole, ["count(*) filter (contains(v, '.'))"]).items() if count}
    columns = tuple(
        _column(
            ask, raw, known[raw], tallies[raw], counts[raw], name=name, csv=csv, used=used, moment=moments.get(raw),
            has_points=raw in dotted,
        )
        for raw, name in zip(found, names_for(list(found)), strict=True)
    )  # fmt: skip
    read = [_expressions(ask, column, known[column.raw], used) for column in columns]
    sample = row_sample.taken(ask.connection, ask.rows, read)
    file = FileProfile(path, relation, csv, used, ask.rows, columns, tuple(notes), sample)
    compared = [item for item, column in zip(read, columns, strict=True) if is_compared(file, column)]
    sample = replace(sample, duplicates=row_sample.duplicates(ask.connection, compared))
    usable = [item for item, column in zip(read, columns, strict=True) if may_be_feature(file, column)]
    if len(usable) > row_sample.MOST_COMPARED or row_sample.duplicates(ask.connection, usable):
        sample = replace(sample, cells=row_sample.cells(ask.connection, ask.rows, read))
    return replace(file, sample=sample)


def _expressions(ask: Ask, column: ColumnProfile, known: ColumnType, used: tuple[str, ...]) -> row_sample.Expressions:
    """How a column's text and its number are read in SQL."""
    text = value_parsing.present(f"{identifier(column.raw)}::varchar", ask.nulls.get(column.raw, ("", *used)))
    number = value_parsing.number(text, known.style or value_parsing.NumberStyle())
    return row_sample.Expressions(column.name, column.type, column.distinct == ask.rows, text, number)


def _parser(item: ColumnType) -> Callable[[str], str]:
    style = item.style or value_parsing.NumberStyle()
    parse = value_parsing.integer if item.type == "integer" else value_parsing.number
    return lambda value: parse(value, style)


def _counted_anew(
    ask: Ask, styled: Mapping[str, ColumnType], tallies: dict[str, Tally], counts: dict[str, dict[str, int]]
) -> None:
    """Count numbers that are not written plainly once they are read."""
    alike: dict[tuple[str, Any], list[str]] = {}
    for raw, item in styled.items():
        alike.setdefault((item.type, item.style), []).append(raw)
    for columns in alike.values():
        parse = _parser(styled[columns[0]])
        number = parse("v")
        asked = ["count(v)", f"count(distinct {number})", f"count({number})", f"min({number})", f"max({number})"]
        for raw, (filled, distinct, fits, low, high) in ask.columns(columns, asked).items():
            tallies[raw] = Tally(filled, distinct, fits, 0, low, high)
        counts |= ask.counts(columns, parse)


def _column(
    ask: Ask,
    raw: str,
    known: ColumnType,
    tally: Tally,
    counted: Mapping[str, int],
    *,
    name: str,
    csv: Csv,
    used: tuple[str, ...],
    moment: str | None,
    has_points: bool,
) -> ColumnProfile:
    counts: dict[str, int] = {}
    for text, count in counted.items():
        # to an integer, 1 and 1.0 are the same; to a truth value, Yes and yes
        key = re.sub(r"^\+|\.0*$", "", text) if known.type == "integer" else str(text)
        key = key.strip(value_parsing.BLANKS).lower() if known.type == "boolean" else key
        counts[key] = counts.get(key, 0) + count
    is_numeric = known.type in ("integer", "number")
    reading, notes = dict(known.reading), list(known.notes)
    if is_numeric and ask.found[raw] == "VARCHAR":
        decimal = known.style.decimal if known.style else "."
        if decimal != csv["decimal"] and (known.type == "number" or known.style is not None or has_points):
            reading = {"decimal": decimal, **reading}
    own = ask.nulls.get(raw, ("", *used))
    if own != ("", *used):
        reading["null_values"] = list(own)
        notes.append(f"{', '.join(map(repr, sorted(set(used).difference(own))))} is a value here, as other signs are")
    mixed = None
    if known.type == "text" and tally.filled and MOSTLY <= tally.numbers / tally.filled < NEARLY_ALL:
        mixed = (tally.numbers / tally.filled, ask.commonest_text(raw))
    return ColumnProfile(
        raw,
        name,
        known.type,
        tally.filled,
        ask.rows - tally.filled,
        len(counts) if known.type == "boolean" else tally.distinct,
        tally.low if is_numeric else None,
        tally.high if is_numeric else None,
        counts,
        tuple(counts)[:5],
        known.format,
        mixed,
        moment,
        reading,
        tuple(notes),
    )

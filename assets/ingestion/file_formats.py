"""File formats: one registry of what a raw file may be, and how each becomes Parquet that DuckDB scans.

A new format is one reader here and one entry in `FILE_FORMATS`. Nothing is guessed about values: they stay as written, as
text where the format has no types of its own.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from assets.errors import ExtensionError, SourceError
from assets.ingestion import csv_dialect, packed_files, rejected_lines, text_encoding
from assets.ingestion.file_format import FileFormat, Rows, write_texts
from assets.registries import Registry
from assets.spec import TableSpec
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal

BATCH = 50_000
LONGEST_LINE = 1 << 26
AS_GIVEN = "auto_detect = false, header = false, hive_partitioning = false"
"""Nothing is guessed of a text file, and a folder such as ``year=2013`` on its way adds no column."""


@cache
def _by_suffix() -> dict[str, FileFormat]:
    """The format that a file's name ends for.

    Raises
    ------
    ExtensionError
        If two formats have the same suffix.
    """
    found: dict[str, FileFormat] = {}
    for known in FILE_FORMATS.values():
        for suffix in known.suffixes:
            if suffix in found:
                raise ExtensionError(
                    f"files that end in {suffix} are of format {found[suffix].name} already, not {known.name}."
                )
            found[suffix] = known
    return found


def format_of(path: Path) -> FileFormat:
    """The format of a file, by the end of its name, packing aside; what ends otherwise is taken for a text table.

    Examples
    --------
    >>> format_of(Path("shop.JSONL.gz")).name
    'JSON'
    """
    suffix = Path(packed_files.inner_name(path)).suffix.lower()
    if suffix == ".db" and path.is_file():
        with path.open("rb") as stream:
            suffix = ".sqlite" if stream.read(16).startswith(b"SQLite format 3") else ".duckdb"
    return _by_suffix().get(suffix, TEXT)


def is_known(path: Path) -> bool:
    """Whether a file's name ends as one of a known format, or as a zip, which may hold a table by another name."""
    suffix = Path(packed_files.inner_name(path)).suffix.lower()
    return path.suffix.lower() == ".zip" or suffix in _by_suffix()


def _text(path: Path, table: TableSpec, scratch: Path, told: Path) -> Rows:
    """A text table: every field as text, nothing guessed, and what cannot be split kept aside."""
    import duckdb

    with path.open("rb") as stream:
        text_encoding.require_text(stream.read(text_encoding.SAMPLE), told)
    if not text_encoding.is_utf8(table.csv.encoding):
        path = text_encoding.recoded(path, table.csv.encoding, scratch / "recoded.csv", told)
    header = csv_dialect.header(path, table.csv, told)
    body = csv_dialect.body(path, header, scratch / "body.csv")
    try:
        return _split(body, table, header, scratch)
    except duckdb.InvalidInputException as error:
        if "invalid state" not in str(error):
            raise
        # lines that end in two ways
        return _split(csv_dialect.with_plain_line_ends(path, header, scratch / "plain.csv"), table, header, scratch)


def _split(body: csv_dialect.Body, table: TableSpec, header: csv_dialect.Header, scratch: Path) -> Rows:
    rows, malformed = scratch / "rows.parquet", scratch / "malformed.parquet"
    names = ", ".join(f"{literal(name)}: 'varchar'" for name in header.names)
    reader = (
        f"read_csv({literal(str(body.path))}, {AS_GIVEN}, skip = {body.skip}, columns = {{{names}}}, "
        f"delim = {literal(table.csv.delimiter)}, quote = '\"', escape = '\"', store_rejects = true, "
        f"max_line_size = {LONGEST_LINE})"
    )
    with scratch_database(scratch) as connection:
        connection.execute(f"copy (from {reader}) to {literal(str(rows))} (format parquet)")
        rejected_lines.write(connection, body.path, header.lines - body.skip, malformed)
    return Rows(rows, malformed, header.notes)


def _json(path: Path, table: TableSpec, scratch: Path, told: Path) -> Rows:
    """Records as an array or as lines: every value as text, lists and structures as JSON text."""
    with path.open("rb") as stream:
        text_encoding.require_text(stream.read(text_encoding.SAMPLE), told)
    if not text_encoding.is_utf8(table.csv.encoding):
        path = text_encoding.recoded(path, table.csv.encoding, scratch / "recoded.json", told)
    with path.open("rb") as stream:
        begin = stream.read(1 << 12).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if begin != b"[":
        # lines may end in two ways
        path = csv_dialect.with_plain_line_ends(path, csv_dialect.Header((), 0), scratch / "plain.json").path
    place = literal(str(path))
    size = f"maximum_object_size = {LONGEST_LINE}"
    records = (
        f"select json::varchar as text from read_json_objects({place}, hive_partitioning = false, format = 'array', {size})"
        if begin == b"["
        else f"select text from read_csv({place}, {AS_GIVEN}, columns = {{'text': 'varchar'}}, "
        f"delim = '\x01', quote = '', escape = '', max_line_size = {LONGEST_LINE})"
    )
    rows, malformed = scratch / "rows.parquet", scratch / "malformed.parquet"
    with scratch_database(scratch) as connection:
        connection.execute(
            "create table records as select row_number() over () as line, text, coalesce(case when json_valid(text) then "
            f"json_type(text) = 'OBJECT' end, false) as is_record from ({records})"
        )
        keys = connection.execute(
            "select key from (select line, unnest(keys) as key, unnest(range(len(keys))) as place from (select line, "
            "case when is_record then json_keys(text) end as keys from records)) group by 1 order by min(line * 100000 + place)"
        ).fetchall()
        if not keys:
            raise SourceError(f"{told}: holds no records. Give an array of JSON objects, or one object a line.")
        # one object of several columns' values is no row; a file that is named for lines may have one line
        is_lines = Path(packed_files.inner_name(told)).suffix.lower() in (".jsonl", ".ndjson")
        if begin == b"{" and not is_lines and connection.execute("select count(*) from records").fetchall() == [(1,)]:
            raise SourceError(f"{told}: holds one JSON object. Save the records as an array of objects, or one object a line.")
        names = csv_dialect.distinct_names([str(key) for (key,) in keys])
        values = ", ".join(
            f"json_extract_string(text, {literal(_pointer(str(key)))}) as {identifier(name)}"
            for (key,), name in zip(keys, names, strict=True)
        )
        connection.execute(
            f"copy (select {values} from records where is_record order by line) to {literal(str(rows))} (format parquet)"
        )
        connection.execute(
            "copy (select line, text, null::bigint as opened from records where not is_record and trim(text) <> '') "
            f"to {literal(str(malformed))} (format parquet)"
        )
    return Rows(rows, malformed)


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _parquet(path: Path, table: TableSpec, scratch: Path, told: Path) -> Rows:  # noqa: ARG001 - a reader's signature
    return Rows(path)


def _excel(path: Path, table: TableSpec, scratch: Path, told: Path) -> Rows:
    """A sheet, below its first row that is not blank; rows without any value are none."""
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        known = book.sheet_names
        wanted = table.relation or next(iter(known), "")
        _require_relation(told, "sheet", wanted, known)
        cells = [[_shown(cell) for cell in row] for row in book.get_sheet_by_name(wanted).to_python(skip_empty_area=True)]
    except (python_calamine.CalamineError, OSError) as error:
        raise SourceError(f"{told}: cannot be opened ({error}). It is corrupt or protected: save it again.") from error
    filled = [row for row in cells if any(cell is not None for cell in row)]
    if not filled:
        raise SourceError(f"{told}: the sheet {wanted!r} is empty. Name another one as FILE::SHEET ({', '.join(known)}).")
    header, *rows = filled
    names = csv_dialect.distinct_names([cell or "" for cell in header])
    return Rows(write_texts(scratch / "rows.parquet", names, iter([rows])))


def _shown(cell: Any) -> str | None:
    """A cell as text: whole numbers without decimals, moments in ISO 8601."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return str(cell)


def _sheets(path: Path) -> list[str]:
    import python_calamine

    try:
        return list(python_calamine.CalamineWorkbook.from_path(str(path)).sheet_names)
    except (python_calamine.CalamineError, OSError) as error:
        raise SourceError(f"{path}: cannot be opened ({error}). It is corrupt or protected: save it again.") from error


def _sqlite(path: Path, table: TableSpec, scratch: Path, told: Path) -> Rows:
    """One table of a SQLite database, which has no column types to rely on, as text."""
    try:
        _require_relation(told, "table", table.relation, _sqlite_relations(path))
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source:
            cursor = source.execute(f"select * from {identifier(str(table.relation))}")
            names = csv_dialect.distinct_names([column[0] for column in cursor.description])
            return Rows(write_texts(scratch / "rows.parquet", names, iter(lambda: cursor.fetchmany(BATCH), [])))
    except sqlite3.Error as error:
        raise SourceError(_unopened(told, error)) from error


def _duckdb(path: Path, table: TableSpec, scratch: Path, told: Path) -> Rows:
    import duckdb

    target = scratch / "rows.parquet"
    try:
        known = _duckdb_relations(path)
        _require_relation(told, "table", table.relation, known)
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute(f"copy (from {known[str(table.relation)]}) to {literal(str(target))} (format parquet)")
    except duckdb.Error as error:
        raise SourceError(_unopened(told, error)) from error
    return Rows(target)


def _sqlite_relations(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return [
            row[0] for row in connection.execute("select name from sqlite_master where type in ('table', 'view') order by 1")
        ]


def _duckdb_relations(path: Path) -> dict[str, str]:
    """Tables and views as they are named, with their schema where it is not the main one, and as SQL asks for them."""
    import duckdb

    asked = "select table_schema, table_name from information_schema.tables order by table_schema = 'main', 1, 2"
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(asked).fetchall()
    # the main schema last: a dot in the name of one of its tables hides what another schema calls so
    return {".".join([schema, name][schema == "main" :]): f"{identifier(schema)}.{identifier(name)}" for schema, name in rows}


def _require_relation(told: Path, kind: str, relation: str | None, known: Collection[str]) -> None:
    if relation not in known:
        remedy = "Correct what follows '::' in --data, or 'relation' in the declaration"
        raise SourceError(f"{told}: has no {kind} {relation!r}. It has: {', '.join(known) or 'none'}. {remedy}.")


def _unopened(told: Path, error: Exception) -> str:
    return f"{told}: cannot be opened ({error}). It is corrupt, or another process holds it."


TEXT = FileFormat("text", (".csv", ".tsv", ".tab", ".txt", ".psv"), _text, is_text=True)
FILE_FORMATS = Registry(
    "FILE_FORMATS",
    (
        TEXT,
        FileFormat("JSON", (".json", ".jsonl", ".ndjson"), _json, is_text=True),
        FileFormat("Parquet", (".parquet", ".pq"), _parquet),
        FileFormat("Excel", (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), _excel, _sheets),
        FileFormat("SQLite", (".sqlite", ".sqlite3", ".db"), _sqlite, _sqlite_relations, needs_relation=True),
        FileFormat("DuckDB", (".duckdb",), _duckdb, _duckdb_relations, needs_relation=True),
    ),
)

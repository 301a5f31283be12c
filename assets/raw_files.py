"""Raw files: where a source's files are, and how each becomes something DuckDB can scan. Rows are for the landing.

Packed, recoded or database files are unpacked, recoded or exported beside; nothing is ever written to the file itself.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from assets.errors import SourceError
from assets.row_checks import identifier, literal
from assets.spec import SourceSpec, TableSpec
from assets.spec.source import CsvSpec
from assets.storage import Home

SQLITE, DUCKDB = (".sqlite", ".sqlite3", ".db"), (".duckdb",)
BATCH = 50_000


def locate(source: SourceSpec, table: TableSpec, declared_in: Path) -> Path:
    """Find a table's raw file without importing the distribution that carries it.

    Raises
    ------
    SourceError
        If the distribution is not installed or the file is not there.
    """
    if source.distribution is not None:
        try:
            path = Path(str(distribution(source.distribution).locate_file(table.file)))
        except PackageNotFoundError as error:
            raise SourceError(
                f"{source.name}: the distribution '{source.distribution}' is not installed. Run `make setup`, or correct "
                "'distribution' in its defs.yaml."
            ) from error
    else:
        path = (declared_in / str(source.folder) / table.file).resolve()
    if not path.is_file():
        raise SourceError(f"{source.name}: the raw file {path} is missing. Put it there, or correct 'file' in its defs.yaml.")
    return path


@contextmanager
def readable(path: Path, table: TableSpec, home: Home, *, headed: bool = True) -> Iterator[Path]:
    """Yield a path that DuckDB can scan: CSV in UTF-8, or Parquet.

    Parameters
    ----------
    path : Path
        The raw file.
    table : TableSpec
        How it is written.
    home : Home
        Where to unpack, recode or export to.
    headed : bool
        Whether the header can be checked already, because the delimiter is known.

    Raises
    ------
    SourceError
        If the file is empty, corrupt, not in its declared encoding, or lacks the declared relation.
    """
    home.temporary.mkdir(parents=True, exist_ok=True)
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: is empty. Fetch it again, or point 'file' at one with a header and rows.")
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        found = _unpacked(path, Path(scratch)) if path.suffix == ".zip" else path
        if found.suffix in (*SQLITE, *DUCKDB):
            yield _exported(found, table.relation, Path(scratch) / "exported.parquet")
        elif found.suffix == ".parquet":
            yield found
        else:
            text = found if _is_utf8(table.csv) else _recoded(found, table.csv.encoding, Path(scratch) / "recoded.csv")
            if headed:
                require_distinct_names(text, table.csv, path)
            yield text


def csv_reader(path: Path, delimiter: str) -> str:
    """How DuckDB reads a CSV file: every field as text, nothing guessed, and what cannot be split kept aside."""
    return (
        f"read_csv({literal(str(path))}, header = true, all_varchar = true, delim = {literal(delimiter)}, quote = '\"', "
        "escape = '\"', store_rejects = true)"
    )


def columns(file: Path, table: TableSpec) -> list[str]:
    """The columns of a file that DuckDB can scan, in the file's spelling."""
    import duckdb

    reader = f"read_parquet({literal(str(file))})" if file.suffix == ".parquet" else csv_reader(file, table.csv.delimiter)
    with duckdb.connect() as connection:
        return [str(row[0]) for row in connection.execute(f"describe from {reader}").fetchall()]


def require_columns(table: TableSpec, found: Sequence[str], told: str) -> None:
    """Refuse a file whose columns are not those that are declared.

    Raises
    ------
    SourceError
        With what lacks and what is not declared.
    """
    missing = [column for column in table.columns if column not in found]
    unknown = [column for column in found if column not in table.columns]
    if missing or unknown:
        wrong = [f"lacks {missing}"] * bool(missing) + [f"has undeclared {unknown}"] * bool(unknown)
        raise SourceError(
            f"{told}: the file {' and '.join(wrong)}. Declared are {', '.join(table.columns)}: declare the columns as the "
            "file has them, or mend the file."
        )


def relations(path: Path) -> list[str]:
    """The tables and views of a database file."""
    import duckdb

    if path.suffix in SQLITE:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute("select name from sqlite_master where type in ('table', 'view') order by 1").fetchall()
    else:
        with duckdb.connect(str(path), read_only=True) as connection:
            rows = connection.execute("select table_name from information_schema.tables order by 1").fetchall()
    return [row[0] for row in rows]


def require_encoding(path: Path, encoding: str) -> None:
    """Refuse a text file that holds bytes of another encoding.

    Raises
    ------
    SourceError
        With the line and the byte.
    """
    with _opened(path) as stream:
        decoder = codecs.getincrementaldecoder(encoding)()
        line = 1
        while block := stream.read(1 << 20):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line += block[: error.start].count(b"\n")
                shown = error.object[error.start : error.start + 1].hex()
                raise SourceError(
                    f"{path}: line {line} holds the byte 0x{shown}, which is not {encoding}. Say how it is written, such as "
                    "--encoding cp1252 (Western), cp1251 (Cyrillic) or utf-16."
                ) from error
            line += block.count(b"\n")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if path.suffix == ".gz":
        with gzip.open(path) as stream:
            yield stream
    elif path.suffix == ".zip":
        yield io.BytesIO(b"")
    else:
        with path.open("rb") as plain:
            yield plain


def _unpacked(path: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
            if len(names) != 1:
                raise SourceError(f"{path}: holds {len(names)} files, one is needed. Repack it with the one table.")
            target = folder / Path(names[0]).name
            with archive.open(names[0]) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise SourceError(f"{path}: cannot be unpacked ({error}). The file is corrupt: fetch it again.") from error
    return target


def _is_utf8(written: CsvSpec) -> bool:
    return codecs.lookup(written.encoding).name == "utf-8"


def _recoded(path: Path, encoding: str, target: Path) -> Path:
    """The file in UTF-8."""
    done = 0
    try:
        with path.open(encoding=encoding, newline="") as source, target.open("w", encoding="utf-8", newline="") as copy:
            for line in source:
                copy.write(line)
                done += 1
    except UnicodeError as error:
        raise SourceError(
            f"{path}: line {done + 1} or soon after is not {encoding} ({error}). Give the right 'csv.encoding'."
        ) from error
    return target


def require_distinct_names(path: Path, written: CsvSpec, told: Path) -> None:
    """Refuse a header that names a column twice: DuckDB would rename it in silence.

    Raises
    ------
    SourceError
        With the name; `told` is the file that the user knows.
    """
    if path.suffix == ".gz":
        return
    with path.open("rb") as stream:
        first = stream.readline()
    try:
        names = next(csv.reader(io.StringIO(first.decode("utf-8-sig")), delimiter=written.delimiter), [])
    except csv.Error as error:
        raise SourceError(
            f"{told}: line 1 cannot be split into names ({error}). Put names with line breaks in quotes."
        ) from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{told}: line 1 is not UTF-8 ({error}). Give its encoding as 'csv.encoding'.") from error
    folded = [name.casefold() for name in names]
    twice = [name for name in names if folded.count(name.casefold()) > 1]
    if twice:
        raise SourceError(
            f"{told}: names the column {twice[0]!r} more than once in line 1 (capitals do not tell names apart). Rename one of "
            "them in the file."
        )


def _exported(path: Path, relation: str | None, target: Path) -> Path:
    """One table of a database as Parquet; SQLite's, which has no column types to rely on, as text."""
    import duckdb

    try:
        known = relations(path)
    except (sqlite3.Error, duckdb.Error) as error:
        raise SourceError(f"{path}: cannot be opened ({error}). It is corrupt, or another process holds it.") from error
    if relation not in known:
        raise SourceError(f"{path}: has no table {relation!r}. It has: {', '.join(known) or 'none'}. Correct 'relation'.")
    if path.suffix in DUCKDB:
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute(f"copy (from {identifier(relation)}) to {literal(str(target))} (format parquet)")
        return target
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source:
        cursor = source.execute(f"select * from {identifier(relation)}")
        schema = pa.schema([(column[0], pa.string()) for column in cursor.description])
        with pq.ParquetWriter(target, schema) as writer:
            while rows := cursor.fetchmany(BATCH):
                columns = [
                    pa.array([None if value is None else str(value) for value in column]) for column in zip(*rows, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays([column.cast(pa.string()) for column in columns], schema=schema))
    return target

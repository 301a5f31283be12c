"""Raw files: where a source's files are, and each as Parquet that DuckDB can scan. Rows are for the landing.

How a format is read stands in `file_formats`. Packed, recoded or converted files are written beside; nothing is ever
written to the file itself.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from assets.errors import SourceError
from assets.ingestion import csv_dialect, dvc_files, file_formats, packed_files, text_encoding
from assets.ingestion.file_format import Rows
from assets.ingestion.file_formats import TEXT
from assets.spec import SourceSpec, TableSpec
from assets.storage.digests import file_digest, value_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.sql import parquet

PATTERN = "*?["


@dataclass(frozen=True)
class ReadFile:
    """A file that the user knows, and its rows."""

    told: Path
    rows: Rows
    columns: tuple[str, ...]


def locate(source: SourceSpec, table: TableSpec, declared_in: Path) -> Path:
    """Find a table's raw file, folder or pattern.

    Raises
    ------
    SourceError
        If the distribution is not installed or there is no file.
    """
    path = place(source, table, declared_in)
    if not files(path):
        raise SourceError(f"{source.name}: the raw file {path} is missing. Put it there, or correct 'file' in its defs.yaml.")
    return path


def place(source: SourceSpec, table: TableSpec, declared_in: Path) -> Path:
    """Where a table's raw file, folder or pattern is or will be, without importing the distribution that carries it.

    Inside `taken_from`, that is where it is taken from.

    Raises
    ------
    SourceError
        If the distribution is not installed.
    """
    if source.distribution is not None:
        try:
            found = Path(str(distribution(source.distribution).locate_file(str(table.file))))
        except PackageNotFoundError as error:
            raise SourceError(
                f"{source.name}: the distribution '{source.distribution}' is not installed. Run `make setup`, or correct "
                "'distribution' in its defs.yaml."
            ) from error
    else:
        found = (base(source, declared_in) / str(table.file)).resolve()
    return _ELSEWHERE.get(found, found)


def base(source: SourceSpec, declared_in: Path) -> Path:
    """The folder from which relative paths of a source count."""
    return declared_in / (source.folder or ".")


_ELSEWHERE: dict[Path, Path] = {}
"""Where files are read from in place of where they are declared to be."""


@contextmanager
def taken_from(places: Mapping[Path, Path]) -> Iterator[None]:
    """Let raw files be read from elsewhere, such as a revision of a data repository; the declarations stay as they are.

    Parameters
    ----------
    places : mapping of Path to Path
        The path that `place` gives otherwise, and the one that it gives then.
    """
    before = dict(_ELSEWHERE)
    _ELSEWHERE.update(places)
    try:
        yield
    finally:
        _ELSEWHERE.clear()
        _ELSEWHERE.update(before)


def files(path: Path) -> list[Path]:
    """The files that a path stands for, in the order of their names: itself, a folder's tables, or those that fit a pattern.

    Hidden files, and those that start with an underscore, are left out of a folder or pattern, as are files of no known format
    out of a folder.
    """
    if dvc_files.is_pointer(path):
        return files(dvc_files.require_tracked(path))
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.iterdir() if file_formats.is_known(file)]
    elif any(letter in str(path) for letter in PATTERN):
        found = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - the pattern may be absolute
    else:
        return []
    return sorted(file for file in found if file.is_file() and not file.name.startswith((".", "_")))


def digest(path: Path) -> str:
    """The digest of all that a path stands for; empty if that is nothing."""
    found = files(path)
    if not found:
        return ""
    alone = dvc_files.tracked(path) if dvc_files.is_pointer(path) else path
    return file_digest(alone) if found == [alone] else value_digest([[file.name, file_digest(file)] for file in found])


@contextmanager
def readable(path: Path, table: TableSpec, home: Home) -> Iterator[list[ReadFile]]:
    """Yield the files that a path stands for, each as rows that DuckDB can scan.

    Parameters
    ----------
    path : Path
        The raw file, folder or pattern.
    table : TableSpec
        How it is written.
    home : Home
        Where to unpack, recode or convert to.

    Raises
    ------
    SourceError
        If a file is empty, corrupt, not in its declared encoding, lacks the declared relation, or has other columns than the
        first.
    """
    import duckdb

    with draft_folder(home) as scratch, duckdb.connect() as connection:
        read = []
        for number, file in enumerate(files(path)):
            folder = scratch / str(number)
            folder.mkdir()
            try:
                rows = _rows(file, table, folder)
                described = connection.execute(f"describe from {parquet(str(rows.path))}").fetchall()
            except duckdb.Error as error:
                raise SourceError(_no_table(file, error)) from error
            read.append(ReadFile(file, rows, tuple(str(row[0]) for row in described)))
        for other in read[1:]:
            _require_same_columns(read[0], other)
        yield read


def dialect(path: Path, home: Home, encoding: str | None = None) -> dict[str, str | int]:
    """How a text file is written: its encoding, delimiter, and the lines before its header; nothing for other formats.

    Raises
    ------
    SourceError
        If it is no text, or not in the encoding that is given, or in none that can be told.
    """
    with draft_folder(home) as scratch:
        opened = []
        for number, file in enumerate(files(path)):
            _require_filled(file)
            plain = packed_files.unpacked(file, scratch / str(number))
            if not file_formats.format_of(plain).is_text:
                return {}
            _require_filled(plain, file)
            if encoding is not None:
                text_encoding.require_encoding(plain, encoding, file)
            opened.append((file, plain))
        found = [text_encoding.detected(plain, file) for file, plain in opened] if encoding is None else [encoding]
        spoken = next((name for name in found if not text_encoding.is_utf8(name)), "utf-8")
        for name, (told, read) in zip(found, opened, strict=False):
            # a file of plain ASCII is in the encoding of the others, too
            if name != spoken and not text_encoding.is_ascii(read):
                raise SourceError(
                    f"{told}: is {name}, and other files are {spoken}. Files that are read together need one encoding: save "
                    "them all as UTF-8."
                )
        (file, plain), table = opened[0], file_formats.format_of(opened[0][1])
        if table is not TEXT:
            return {"encoding": spoken}
        if not text_encoding.is_utf8(spoken):
            plain = text_encoding.recoded(plain, spoken, scratch / "recoded", file)
        delimiter, skip = csv_dialect.detected(plain)
        return {"encoding": spoken, "delimiter": delimiter, "skip": skip}


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


def _rows(file: Path, table: TableSpec, scratch: Path) -> Rows:
    _require_filled(file)
    plain = packed_files.unpacked(file, scratch / "unpacked")
    _require_filled(plain, file)
    return file_formats.format_of(plain).read(plain, table, scratch, file)


def _require_filled(file: Path, told: Path | None = None) -> None:
    if file.stat().st_size == 0:
        raise SourceError(f"{told or file}: is empty. Fetch it again, or point 'file' at one with a header and rows.")


def _no_table(file: Path, error: Exception) -> str:
    first = str(error).splitlines()[0]
    return f"{file}: cannot be read as a table ({first}). The file is corrupt or no table: fetch it again, or save it as CSV."


def _require_same_columns(first: ReadFile, other: ReadFile) -> None:
    missing = [name for name in first.columns if name not in other.columns]
    strange = [name for name in other.columns if name not in first.columns]
    if missing or strange:
        wrong = [f"lacks {missing}"] * bool(missing) + [f"has {strange} beside"] * bool(strange)
        raise SourceError(
            f"{other.told}: {' and '.join(wrong)}, unlike {first.told.name}. Files that are read together need the same "
            "columns: mend the file, or give a pattern that leaves it out."
        )

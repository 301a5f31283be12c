"""Streaming: rows that arrive one by one or in small files, checked by the rules of their table, each exactly once.

An embedded consumer: no service, one SQLite file a table. What a piece of rows gave and how far it was read are written in
one transaction, so a consumer that is killed goes on where it was, without loss or doubling. Rates of broken rules are kept
by windows of arrival, in the same transaction.
"""

from __future__ import annotations

import csv
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.errors import SourceError
from assets.ingestion import csv_dialect, row_validation, text_encoding
from assets.ingestion.forgotten import Forgotten
from assets.spec import SourceSpec, TableSpec
from assets.spec.csv_dialect import CsvSpec
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.sql import identifier

PIECE = 2_000
"""Rows that are judged and written together."""
SUFFIXES = (".jsonl", ".csv", ".parquet")
"""A `.jsonl` file may grow while it is read; the others are complete when they appear (rename them into the folder)."""
SCHEMA = """
create table if not exists positions (file text primary key, position integer not null) strict;
create table if not exists good (number integer primary key, arrived_at text not null, row text not null) strict;
create table if not exists bad (
    number integer primary key, arrived_at text not null, reasons text not null, row text not null
) strict;
create table if not exists keys (key text primary key) strict;
create table if not exists windows (
    begins text not null, reason text not null, rows integer not null, primary key (begins, reason)
) strict;
"""
ALL, TWICE = "(all rows)", "duplicate of an earlier row"
"""What stands for the reason where all rows of a window are counted, and the reason against a key that came before."""


@dataclass(frozen=True)
class Window:
    """What arrived in a window: all rows, and how many broke each rule."""

    begins: str
    rows: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class Piece:
    """Some rows of a file: what could be read, what could not, and how far the file is read after them."""

    file: Path
    rows: list[dict[str, str | None]]
    unreadable: list[str]
    position: int


@dataclass(frozen=True)
class Judged:
    """A row, the reasons against it, and its key as text, if it has a whole one."""

    row: dict[str, Any]
    reasons: tuple[str, ...]
    key: str | None


class Consumer:
    """Reads the files of a folder into a table's database.

    Parameters
    ----------
    home : Home
        Where the database lies.
    source : SourceSpec
        The declaration; `table` is one of its tables.
    table : str
        Whose rules are kept.
    window_seconds : int
        The length of a window.
    clock : callable, optional
        The present (UTC, aware).
    """

    def __init__(
        self,
        home: Home,
        source: SourceSpec,
        table: str,
        window_seconds: int = 60,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.spec, self.window_seconds, self.clock = source.tables[table], window_seconds, clock
        self.home, self.name = home, (source.name, table)
        self.database = home.streams / source.name / f"{table}.db"
        self.database.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as connection:
            connection.executescript(SCHEMA)

    def consume(self, folder: Path) -> int:
        """Read all that is there and was not read yet; how many rows that were. Another consumer of the table is waited for.

        Raises
        ------
        SourceError
            If a file is shorter than it was, or cannot be read at all.
        """
        read = 0
        with exclusive(self.database.with_suffix(".lock")):
            for file in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES):
                for piece in _pieces(file, self._position(file), self.spec.csv):
                    self._take(_remembered(piece, Forgotten.of(self.home, *self.name, self.spec)))
                    read += len(piece.rows) + len(piece.unreadable)
        return read

    def windows(self) -> list[Window]:
        """What arrived, window by window, the newest last."""
        with self._open() as connection:
            counted = connection.execute("select begins, reason, rows from windows order by begins, reason").fetchall()
        found: dict[str, Window] = {}
        for begins, reason, rows in counted:
            window = found.setdefault(begins, Window(begins, 0, {}))
            if reason == ALL:
                found[begins] = Window(begins, rows, window.reasons)
            else:
                window.reasons[reason] = rows
        return list(found.values())

    def counts(self) -> tuple[int, int]:
        """Good and bad rows so far."""
        with self._open() as connection:
            good, bad = (connection.execute(f"select count(*) from {name}").fetchone()[0] for name in ("good", "bad"))
        return int(good), int(bad)

    def _open(self) -> closing[sqlite3.Connection]:
        connection = sqlite3.connect(self.database, timeout=60, isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        return closing(connection)

    def _position(self, file: Path) -> int:
        with self._open() as connection:
            row = connection.execute("select position from positions where file = ?", (file.name,)).fetchone()
        return int(row[0]) if row else 0

    def _take(self, piece: Piece) -> None:
        """Judge a piece, and write what came of it and how far the file is read, together or not at all."""
        now = self.clock()
        begins = datetime.fromtimestamp(now.timestamp() // self.window_seconds * self.window_seconds, UTC).isoformat()
        judged = _judged(self.spec, piece)
        tally: Counter[str] = Counter({ALL: len(judged)})
        with self._open() as connection:
            connection.execute("begin immediate")
            for item in judged:
                told = [*item.reasons, *([TWICE] if _came_before(connection, item) and TWICE not in item.reasons else [])]
                tally.update(told)
                given = (now.isoformat(), json.dumps(item.row, default=str))
                if told:
                    bad = (*given, json.dumps(told))
                    connection.execute("insert into bad (arrived_at, row, reasons) values (?, ?, ?)", bad)
                else:
                    connection.execute("insert into good (arrived_at, row) values (?, ?)", given)
            connection.executemany(
                "insert into windows values (?, ?, ?) on conflict do update set rows = rows + excluded.rows",
                [(begins, reason, rows) for reason, rows in tally.items()],
            )
            connection.execute(
                "insert into positions values (?, ?) on conflict do update set position = excluded.position",
                (piece.file.name, piece.position),
            )
            connection.execute("commit")


def _remembered(piece: Piece, forgotten: Forgotten) -> Piece:
    """A piece without the rows of forgotten entities."""
    if not forgotten.columns:
        return piece
    rows = [row for row in piece.rows if not forgotten.has_row(row)]
    return replace(piece, rows=rows, unreadable=[text for text in piece.unreadable if not forgotten.has_line(text)])


def _came_before(connection: sqlite3.Connection, item: Judged) -> bool:
    """Whether a row had this key already, good or bad; from now on one has."""
    if item.key is None:
        return False
    return not connection.execute("insert or ignore into keys values (?)", (item.key,)).rowcount


def _judged(table: TableSpec, piece: Piece) -> list[Judged]:
    """Each row, typed, with every reason against it; a bad row is kept as it came, what could not be read as its text."""
    import duckdb
    import pyarrow as pa

    found = [Judged({"line": line}, ("cannot be split into fields",), None) for line in piece.unreadable]
    if not piece.rows:
        return found
    rows = [{row_validation.named(name): value for name, value in row.items()} for row in piece.rows]
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in table.columns}
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("raw", pa.table({"source_row": pa.array(range(len(piece.rows)), pa.int64()), **columns}))
        connection.execute(row_validation.MALFORMED)
        row_validation.judge(connection, table)
        against = dict(connection.execute(f"select source_row, {row_validation.REASONS} from bad").fetchall())
        listed = ", ".join(map(identifier, table.names))
        typed = connection.execute(f"select {listed} from judged order by source_row").fetchall()
    for number, values in enumerate(typed):
        row, reasons = dict(zip(table.names, values, strict=True)), against.get(number, [])
        key = [row[name] for name in table.key]
        named = json.dumps(key, default=str) if key and None not in key else None
        found.append(Judged(piece.rows[number] if reasons else row, tuple(reasons), named))
    return found


def _pieces(file: Path, position: int, written: CsvSpec) -> Iterator[Piece]:
    """What a file holds after a position, in pieces."""
    size = file.stat().st_size
    if file.suffix == ".jsonl":
        if size < position:
            raise SourceError(
                f"{file} is shorter than what was read of it. A stream only grows: put the file back, or rename it."
            )
        yield from _lines(file, position)
        return
    try:
        rows = _whole(file, written)
    except (ValueError, OSError, csv.Error) as error:
        raise SourceError(f"{file} cannot be read ({error}). Rename complete files into the folder.") from error
    if len(rows) < position:
        raise SourceError(f"{file} has {len(rows)} rows, but {position} were read of it. Give other rows another file name.")
    for begin in range(position, len(rows), PIECE):
        part = rows[begin : begin + PIECE]
        yield Piece(file, part, [], begin + len(part))


def _lines(file: Path, position: int) -> Iterator[Piece]:
    """Complete lines of a growing file; its position is in bytes."""
    with file.open("rb") as stream:
        stream.seek(position)
        while True:
            rows, unreadable = [], []
            for line in stream:
                if not line.endswith(b"\n"):
                    break  # it is still being written
                position += len(line)
                given = _object(line)
                if given is not None:
                    rows.append(given)
                elif line.strip():
                    unreadable.append(line.decode("utf-8", "replace").rstrip("\n"))
                if len(rows) + len(unreadable) >= PIECE:
                    break
            if not rows and not unreadable:
                return
            yield Piece(file, rows, unreadable, position)
            stream.seek(position)


def _object(line: bytes) -> dict[str, str | None] | None:
    """A line's JSON object with its values as text, as in a raw file; None if it is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    return {name: value if value is None or isinstance(value, str) else json.dumps(value) for name, value in found.items()}


def _whole(file: Path, written: CsvSpec) -> list[dict[str, str | None]]:
    """All rows of a complete file, as text; a text table as its declaration says that it is written."""
    if file.suffix == ".csv":
        encoding = "utf-8-sig" if text_encoding.is_utf8(written.encoding) else written.encoding
        with file.open(encoding=encoding, newline="") as stream:
            for _ in range(written.skip):
                next(stream, None)
            records = csv.reader(stream, delimiter=written.delimiter)
            names = csv_dialect.distinct_names(next(records, []))
            return [dict(itertools.zip_longest(names, record[: len(names)])) for record in records if record]
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    given = table.cast(_texts(table)).to_pylist()
    return [dict(row) for row in given]


def _texts(table: Any) -> Any:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in table.column_names])

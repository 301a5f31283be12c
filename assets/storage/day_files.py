"""Day files: what services wrote line by line, a file a day: SQLite while it may be written to, Parquet once the day is over.

A day has one file, or several parts, each of one writer: ``DAY-PART.sqlite`` of a service that publishes its log, or
``DAY-DIGEST.parquet``, which was published whole. Both kinds hold the same columns. Where both are there the Parquet file
holds: the step from one to the other was cut off, and the next one ends it. Data keys of encrypted lines lie in the SQLite
file, or beside the Parquet file, where they can be sealed anew without it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import publishing, read_json, write_json

if TYPE_CHECKING:
    import pyarrow as pa

SQLITE, PARQUET, KEYS = ".sqlite", ".parquet", ".parquet.keys"
DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
LATE_WRITERS = timedelta(days=1)
"""How long after its end a day may still be written to."""
BATCH = 1 << 17
"""Lines of a row group."""
MOMENT = "_utc"
POSITION = b"loopline.position"
"""The metadata of a Parquet file that says how far the SQLite file had come."""


@dataclass(frozen=True)
class Table:
    """What the files of a folder hold.

    Parameters
    ----------
    name, ddl : str
        The table's name in SQLite, and the statement that makes it.
    unique : tuple of str
        The columns by which a line is told from others.
    """

    name: str
    ddl: str
    unique: tuple[str, ...]

    def schema(self) -> pa.Schema:
        """Its columns in Parquet, in their order: moments, whose names end so, are no texts there."""
        import pyarrow as pa

        types = {"TEXT": pa.string(), "INTEGER": pa.int64(), "REAL": pa.float64()}
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(self.ddl)
            columns = connection.execute(f"pragma table_info({self.name})").fetchall()
        moment = pa.timestamp("ms", "UTC")
        return pa.schema([(name, moment if name.endswith(MOMENT) else types[kind.upper()]) for _, name, kind, *_ in columns])


def files(folder: Path) -> list[Path]:
    """The files of all days with all their parts, the earliest day first."""
    found = {path.stem: path for suffix in (SQLITE, PARQUET) for path in folder.glob(f"{DAY}*{suffix}")}
    return [found[name] for name in sorted(found)]


def every(folder: Path) -> list[Path]:
    """As `files`, with the SQLite files beside Parquet files, whose lines the next step to Parquet adds where they lack."""
    return sorted(path for suffix in (SQLITE, PARQUET) for path in folder.glob(f"{DAY}*{suffix}"))


def day_of(file: Path) -> str:
    """The day (UTC) whose lines a file holds.

    Examples
    --------
    >>> day_of(Path("2026-03-01-3f0a91c2.sqlite"))
    '2026-03-01'
    """
    return file.name[: len("2026-03-01")]


def before_last_day(folder: Path) -> list[Path]:
    """The files of all days but the last one."""
    found = files(folder)
    return [file for file in found if day_of(file) < day_of(found[-1])]


def beside(file: Path) -> list[Path]:
    """A file of a day, and what belongs to it."""
    return sorted(file.parent.glob(f"{file.stem}.*"))


@contextmanager
def held(home: Home, product: str) -> Iterator[None]:
    """Let nobody else rewrite the day files of a product; services write on."""
    with exclusive(home.served / f"{product}.lock"):
        yield


@contextmanager
def shared(home: Home, product: str) -> Iterator[None]:
    """Let nobody rewrite the day files of a product, while others may read them too."""
    path = home.served / f"{product}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        yield


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite file, to be read."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
        yield connection


def holds(connection: sqlite3.Connection, table: str) -> bool:
    """Whether a file holds a table: who begins a file may not have come so far, or was killed."""
    return connection.execute("select 1 from sqlite_master where name = ?", [table]).fetchone() is not None


def position(file: Path, table: str) -> int | None:
    """How far the lines of a day have come, the same before and after it became Parquet; None if it has none."""
    if file.suffix == SQLITE:
        with reading(file) as connection:
            return connection.execute(f"select max(rowid) from {table}").fetchone()[0] if holds(connection, table) else None
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).metadata[POSITION])


def data_keys(file: Path) -> dict[int, tuple[str, str]]:
    """The sealed data keys of a day by their numbers: with which key each is sealed, and the sealed key."""
    if file.suffix == PARQUET:
        keys = file.with_suffix(KEYS)
        return {int(number): (item[0], item[1]) for number, item in read_json(keys).items()} if keys.exists() else {}
    with reading(file) as connection:
        if not holds(connection, "data_keys"):
            return {}
        return {number: (key, sealed) for number, key, sealed in connection.execute("select * from data_keys")}


def write_data_keys(file: Path, keys: Mapping[int, tuple[str, str]]) -> None:
    """Put these sealed data keys in the place of those of a day."""
    if file.suffix == PARQUET:
        write_json(file.with_suffix(KEYS), {str(number): item for number, item in keys.items()})
        return
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        connection.execute("pragma secure_delete = on")
        given = [(*item, number) for number, item in keys.items()]
        connection.executemany("update data_keys set key_id = ?, sealed = ? where number = ?", given)


def archive(folder: Path, table: Table, now: datetime) -> list[Path]:
    """Make Parquet of the days of a folder that nobody writes to any more; who calls holds the product's day files.

    The Parquet file is complete before it has its name, and the SQLite file goes only then: whenever this is killed, the next
    call ends it, and no line is lost or there twice.

    Parameters
    ----------
    folder : Path
        Where the files of the days lie.
    table : Table
        What they hold.
    now : datetime
        The present moment (aware).

    Returns
    -------
    list of Path
        The SQLite files in whose place there is Parquet now.
    """
    done = []
    for file in sorted(folder.glob(f"{DAY}*{SQLITE}")):
        if is_over(date.fromisoformat(day_of(file)), now):
            _archive(file, table)
            done.append(file)
    for path in folder.glob(f"{DAY}*{SQLITE}-*"):  # of a file that a killed call has removed
        if not path.with_name(path.name.partition(SQLITE)[0] + SQLITE).exists():
            path.unlink(missing_ok=True)
    return done


def is_over(day: date, now: datetime) -> bool:
    """Whether nobody writes to the file of a day any more.

    Examples
    --------
    >>> [is_over(date(2026, 3, 1), datetime(2026, 3, day, 1, tzinfo=UTC)) for day in (2, 3)]
    [False, True]
    """
    return now >= datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + LATE_WRITERS


def rewrite(file: Path, keep: Callable[[pa.RecordBatch], list[bool]]) -> int:
    """Rewrite a Parquet day without the lines that are not to be kept; how many went."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    left = 0
    with pq.ParquetFile(file) as source, publishing(file) as draft:
        with pq.ParquetWriter(draft, source.schema_arrow, compression="zstd") as writer:
            for batch in source.iter_batches(BATCH):
                kept = batch.filter(pa.array(keep(batch), pa.bool_()))
                left += kept.num_rows
                writer.write_batch(kept)
            writer.add_key_value_metadata({POSITION.decode(): str(left)})
        os.utime(draft, (file.stat().st_mtime,) * 2)  # by which its age is told
        return int(source.metadata.num_rows) - left


def _archive(file: Path, table: Table) -> None:
    target = file.with_suffix(PARQUET)
    known = data_keys(target) if target.exists() else {}
    # numbers are a file's own: those of lines that came late follow those that are there
    later = max(known, default=0)
    with reading(file) as connection:
        batches = _batches(connection, table, _names(target, table), later)
        if (first := next(batches, None)) is not None:
            if keys := {number + later: item for number, item in data_keys(file).items()}:
                write_data_keys(target, known | keys)
            _write(target, table, chain([first], batches), file)
    for path in (file, *(file.with_name(f"{file.name}-{end}") for end in ("wal", "shm"))):
        path.unlink(missing_ok=True)


def _write(target: Path, table: Table, batches: Iterable[pa.RecordBatch], file: Path) -> None:
    """Publish lines, after those that the Parquet file has already."""
    import pyarrow.parquet as pq

    is_late = target.exists()
    place = position(target if is_late else file, table.name) or 0
    with publishing(target) as draft:
        with pq.ParquetWriter(draft, table.schema(), compression="zstd") as writer:
            for batch in pq.ParquetFile(target).iter_batches(BATCH) if is_late else ():
                writer.write_batch(batch)
            for batch in batches:
                writer.write_batch(batch)
                place += batch.num_rows if is_late else 0
            writer.add_key_value_metadata({POSITION.decode(): str(place)})
        os.utime(draft, (file.stat().st_mtime,) * 2)


def as_written(line: dict[str, Any]) -> dict[str, Any]:
    """A line of a Parquet file as SQLite holds it: moments are texts, to the millisecond."""
    return {
        name: value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value for name, value in line.items()
    }


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.string()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)


def _names(target: Path, table: Table) -> set[tuple[Any, ...]]:
    """By what the lines of a Parquet file are known; none if there is no such file."""
    import pyarrow.parquet as pq

    if not target.exists():
        return set()
    lines = pq.read_table(target, columns=list(table.unique)).to_pylist()
    return {tuple(as_written(line)[name] for name in table.unique) for line in lines}


def _batches(
    connection: sqlite3.Connection, table: Table, known: Collection[tuple[Any, ...]], later: int
) -> Iterator[pa.RecordBatch]:
    """The lines of a SQLite file in their order, but those that are known."""
    import pyarrow as pa

    schema = table.schema()
    present = {column[1] for column in connection.execute(f"pragma table_info({table.name})")}
    if not present:
        return
    columns = ", ".join(name if name in present else f"null as {name}" for name in schema.names)
    places = [schema.names.index(name) for name in table.unique]
    number = schema.names.index("data_key") if "data_key" in schema.names else None
    cursor = connection.execute(f"select {columns} from {table.name} order by rowid")
    while lines := cursor.fetchmany(BATCH):
        if known:
            lines = [line for line in lines if tuple(line[place] for place in places) not in known]
        if lines:
            values = [list(column) for column in zip(*lines, strict=True)]
            if number is not None:
                values[number] = [None if item is None else item + later for item in values[number]]
            yield pa.RecordBatch.from_arrays(
                [_array(column, field.type) for column, field in zip(values, schema, strict=True)], schema=schema
            )

"""Log blocks: entries of the prediction log that lie in the file of their day as they came, and become lines later.

A line takes ten times the processor time of its entry, and the database's index most of it. While a service is busy, what it
answered is kept in blocks, of which nothing is private any more; each becomes lines, in its order, when the service is quiet,
when it ends, or when the log is read: within one transaction, so that whoever is killed, a row is there once.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bentos.log_entries import array, decoded
from bentos.log_lines import INSERT, Answering, begin, lines_of
from bentos.log_treatment import Kept

TABLE = """
create table if not exists blocks (
    number integer primary key, answering text not null, hidden text, rows integer not null, entries blob not null
) strict
"""
THERE = "select 1 from sqlite_master where type = 'table' and name = 'blocks'"
MOST_BYTES = 1_000_000
"""From how many bytes on a block is full."""
SOME, TOGETHER, ALL = 500, 10_000, sys.maxsize
"""About how many rows of blocks become lines within a transaction: of a quiet service, of who wants all, and at once."""
PATIENCE = 30.0
"""How many seconds others may hold the file."""
PAUSE = 0.12
"""How many seconds who wants all leaves the file to others between transactions; those who wait look every 0.1 s."""


@contextmanager
def writing(file: Path, mode: str = "rwc") -> Iterator[sqlite3.Connection]:
    """The file of a day, to be written to in one transaction, which waits for those of others."""
    with closing(_opened(file, mode)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma secure_delete = on")  # of a block not all becomes lines: an id may be repeated
        connection.execute("begin immediate")
        yield connection
        connection.execute("commit")


def waiting(connection: sqlite3.Connection) -> bool:
    """Whether there are blocks that have not become lines."""
    return (
        connection.execute(THERE).fetchone() is not None
        and connection.execute("select 1 from blocks limit 1").fetchone() is not None
    )


def add(connection: sqlite3.Connection, kept: Sequence[Kept]) -> None:
    """Add blocks after those that are there."""
    connection.execute(TABLE)
    start = 0
    for end in _ends(kept):
        first, part = kept[start], kept[start:end]
        content = array(sum(item.size for item in part), [item.entries for item in part])
        found = first.answering.text, first.hidden, sum(item.rows for item in part), content
        connection.execute("insert into blocks (answering, hidden, rows, entries) values (?, ?, ?, ?)", found)
        start = end


def become_lines(connection: sqlite3.Connection, rows: int) -> bool:
    """Make lines of the earliest blocks, until these are so many; whether there is none left."""
    if not waiting(connection):
        return True
    begin(connection)
    made = 0
    query = "select number, answering, hidden, rows, entries from blocks order by number limit 1"
    while made < rows and (block := connection.execute(query).fetchone()) is not None:
        number, answering, hidden, held, entries = block
        connection.executemany(INSERT, lines_of(Answering.read(answering), hidden, decoded(entries)))
        connection.execute("delete from blocks where number = ?", (number,))
        made += held
    return not waiting(connection)


def complete(file: Path, most: int = ALL) -> None:
    """Make lines of the blocks of a day, of all or of about so many rows; others may write to it meanwhile.

    The file's time of change, by which its age is told, stays that of the last answer.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no more.
    """
    found = file.stat()
    try:
        with closing(_opened(file, "ro")) as connection:
            is_done = not waiting(connection)
        if is_done:
            return
        while not is_done and most > 0:
            with writing(file, "rw") as connection:
                is_done = become_lines(connection, TOGETHER)
            most -= TOGETHER
            if not is_done and most > 0:
                time.sleep(PAUSE)
    except sqlite3.OperationalError:
        if not file.exists():  # it became Parquet meanwhile
            raise FileNotFoundError(file) from None
        raise
    with suppress(PermissionError):  # only who owns a file sets its times
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))


def _opened(file: Path, mode: str) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)


def _ends(kept: Sequence[Kept]) -> Iterator[int]:
    """Where blocks end that are not too long, and each of one model's rows that were treated alike."""
    size = 0
    for place, item in enumerate(kept, 1):
        size += len(item.entries)
        after = kept[place] if place < len(kept) else None
        if after is None or size >= MOST_BYTES or (after.answering, after.hidden) != (item.answering, item.hidden):
            yield place
            size = 0

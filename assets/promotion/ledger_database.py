"""The ledger's database: a SQLite file that only takes new entries, and remembers how many it has held."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import get_args

from assets.errors import DigestError
from assets.promotion.ledger_state import Entry, Event
from assets.storage.home import Home

COLUMNS = [field.name for field in fields(Entry)]
EVENTS = ", ".join(f"'{event}'" for event in get_args(Event))
SCHEMA = f"""
create table if not exists entries (
    number integer primary key,
    recorded_at text not null,
    product text not null,
    event text not null check (event in ({EVENTS})),
    version integer not null,
    model_digest text not null,
    snapshot_digest text not null,
    replaced integer,
    verdict text,
    actor text not null,
    reason text not null,
    by_hand integer not null,
    overridden integer not null,
    previous text not null unique,
    digest text not null unique,
    finding text
);
create trigger if not exists entries_are_kept before delete on entries
begin select raise(abort, 'the ledger is append-only'); end;
create trigger if not exists entries_stay_as_they_are before update on entries
begin select raise(abort, 'the ledger is append-only'); end;
"""


@dataclass(frozen=True)
class Recorded:
    """What the file holds.

    Parameters
    ----------
    entries : tuple of Entry
        All entries in order.
    most : int
        How many entries it held when the last one was recorded; 0 if an earlier version of Loopline recorded that.
    """

    entries: tuple[Entry, ...] = ()
    most: int = 0


def database(home: Home) -> Path:
    """The ledger's file."""
    return home.ledger / "ledger.db"


def recorded(home: Home) -> Recorded:
    """What the ledger holds; nothing where there is none."""
    if not database(home).exists():
        return Recorded()
    with opened(home) as connection:
        return read(connection)


@contextlib.contextmanager
def opened(home: Home) -> Iterator[sqlite3.Connection]:
    """The ledger's file, made if need be.

    Raises
    ------
    DigestError
        If it is no SQLite database any more.
    """
    database(home).parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(database(home), timeout=60, isolation_level=None)
    try:
        connection.execute("pragma synchronous = full")
        if connection.execute("select count(*) from sqlite_master where type = 'trigger'").fetchone()[0] < 2:
            connection.executescript(SCHEMA)
        _bring_up_to_date(connection)
        yield connection
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # a lock or a broken rule has a class of its own
            raise
        raise DigestError(f"{database(home)} is damaged ({error}). Restore the file from a backup.") from error
    finally:
        connection.close()


def read(connection: sqlite3.Connection) -> Recorded:
    """What an open ledger holds."""
    # the number first: who records an entry meanwhile must not let one seem to be missing
    most = connection.execute("pragma user_version").fetchone()[0]
    rows = connection.execute(f"select {', '.join(COLUMNS)} from entries order by number")
    return Recorded(tuple(Entry(*row) for row in rows), most)


def append(connection: sqlite3.Connection, entry: Entry) -> None:
    """Add an entry, and remember in the file's header how many there are: one that is cut off later is missed there."""
    connection.execute(f"insert into entries values ({', '.join('?' * len(COLUMNS))})", astuple(entry))
    connection.execute(f"pragma user_version = {entry.number}")


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Copy the entries of a ledger that an earlier version wrote into a table that can hold all that this one records."""
    ((written,),) = connection.execute("select sql from sqlite_master where type = 'table' and name = 'entries'")
    if EVENTS in written:
        return
    held = {row[1] for row in connection.execute("pragma table_info(entries)")}
    before = ", ".join(name for name in COLUMNS if name in held)
    connection.executescript(
        f"begin immediate; alter table entries rename to entries_before; drop trigger entries_are_kept; "
        f"drop trigger entries_stay_as_they_are; {SCHEMA} "
        f"insert into entries ({before}) select {before} from entries_before order by number; "
        "drop table entries_before; commit;"
    )

"""Whose a PostgreSQL database is, and where a home's metadata lies: each names the other, so that neither is taken for another.

The home's record says that its metadata is in PostgreSQL, not where: the address comes from the environment alone.
"""

from __future__ import annotations

import json
from typing import Any

from assets.errors import DatabaseError, HomeError
from assets.storage import postgresql
from assets.storage.home import Home
from assets.storage.home_identity import identity_of
from assets.storage.metadata import Part
from assets.storage.postgresql import VARIABLE
from assets.storage.publishing import read_json, write_json

FIELD, KIND = "database", "postgresql"
"""What the home's record says once its metadata is there."""
FORMAT = 1
"""The version of our own tables in the database."""
TABLES = """
create table if not exists home (id text primary key, format integer not null);
create table if not exists entries (
    number integer primary key, recorded_at timestamptz not null, product text not null, event text not null,
    version integer not null, model_digest text not null, snapshot_digest text not null, replaced integer, verdict text,
    actor text not null, reason text not null, by_hand boolean not null, overridden boolean not null,
    previous text not null unique, digest text not null unique, finding text
);
create table if not exists heads (number integer primary key, note text not null);
"""


def is_declared(home: Home) -> bool:
    """Whether the home's record says that its metadata is in PostgreSQL."""
    try:
        return bool(json.loads(home.record.read_bytes()).get(FIELD) == KIND)
    except (OSError, ValueError, AttributeError):  # a record that cannot be read is told when the home is prepared
        return False


def declare(home: Home) -> None:
    """Let the home's record say so."""
    record: dict[str, Any] = read_json(home.record)
    if record.get(FIELD) != KIND:
        write_json(home.record, {**record, FIELD: KIND})


def require_agreement(home: Home) -> None:
    """Refuse a home whose metadata is elsewhere than the environment says; one that is new begins where that says.

    Raises
    ------
    HomeError
        If the home's metadata is in PostgreSQL and no address is given.
    DatabaseError
        If an address is given and is malformed, or the home's metadata is in its files.
    """
    declared = is_declared(home)
    if home.database is None:
        if declared:
            raise HomeError(
                f"LOOPLINE_HOME={home.root} keeps its metadata in a PostgreSQL database, and {VARIABLE} is not set. Set it to "
                f"the database's address: {postgresql.EXAMPLE}."
            )
        return
    postgresql.require_address(home.database)
    if not declared and ((home.dagster / "history").exists() or Part.REGISTRY.file(home).exists()):
        raise DatabaseError(
            f"{VARIABLE} is set, and LOOPLINE_HOME={home.root} has its metadata in SQLite files. Move it: `loopline database "
            f"migrate`. Or leave {VARIABLE} out."
        )


def claim(home: Home, *, declares: bool = True) -> None:
    """Make the schemas in a new database and write the home's id there, or see that the database is this home's.

    Who opens the instance or the registry calls it.

    Parameters
    ----------
    home : Home
        The home.
    declares : bool
        Let the home's record say that its metadata is there.

    Raises
    ------
    DatabaseError
        If it is another home's, or of another version of Loopline.
    """
    url = home.database
    if url is None:
        return
    with postgresql.alone(url) as server:
        identity = identity_of(home)
        if server.execute("select to_regclass('loopline.heads')").fetchone() == (None,):
            for schema in postgresql.SCHEMAS:
                server.execute(f"create schema if not exists {schema}".encode())
            server.execute(TABLES.encode())
        server.execute("insert into home select %s, %s where not exists (select from home)", (identity, FORMAT))
        row = server.execute("select id, format from home").fetchone()
        if declares and row == (identity, FORMAT):
            declare(home)
    found, written = row or ("", 0)
    if found != identity:
        raise DatabaseError(
            f"{VARIABLE}: {postgresql.place(url)} holds the metadata of another home (id {found[:12]}, this one has "
            f"{identity[:12]}). Point LOOPLINE_HOME at that home, or {VARIABLE} at a database of its own."
        )
    if written != FORMAT:
        raise DatabaseError(
            f"{VARIABLE}: {postgresql.place(url)} was written by another version of Loopline (tables of format {written}, this "
            f"one reads {FORMAT}). Use that version."
        )


def require_revision(home: Home, part: str, found: str, expected: str) -> None:
    """See that the tables of a part are those that the installed library reads.

    Parameters
    ----------
    home : Home
        Whose metadata.
    part : str
        The library, with its version.
    found, expected : str
        The revisions of the tables and of the library.

    Raises
    ------
    DatabaseError
        If they differ.
    """
    if home.database is not None and found != expected:
        raise DatabaseError(
            f"{VARIABLE}: {postgresql.place(home.database)} has tables of schema revision {found}, and {part} reads "
            f"{expected}. Use the version of Loopline that wrote them; or take a backup and run `loopline database upgrade`."
        )

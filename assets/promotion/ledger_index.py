"""Ledger index: the ledger's entries as a table in PostgreSQL, to be asked by SQL, and its heads, kept where the ledger is not.

The ledger itself stays a file of the home; the table follows it. A ledger that was cut off or rewritten is found out by the
heads that are kept here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, fields

from assets.errors import LedgerError
from assets.promotion import signing_key
from assets.promotion.checkpoint import checkpoint_of
from assets.promotion.ledger_database import recorded
from assets.promotion.ledger_state import Entry
from assets.storage import postgresql
from assets.storage.home import Home

COLUMNS = [field.name for field in fields(Entry)]
TRUTHS = ("by_hand", "overridden")


def follow(home: Home) -> int:
    """Add to the table what the ledger has and it lacks, and the ledger's present head.

    Returns
    -------
    int
        How many entries were added; 0 where the home's metadata is not in PostgreSQL.

    Raises
    ------
    DatabaseError
        If the database cannot be used; the ledger has its entry then, and the next decision or run adds it here.
    """
    found = recorded(home).entries if home.database is not None else ()
    if home.database is None or not found:
        return 0
    with postgresql.connected(home.database, postgresql.HOME) as server:
        server.execute("lock table entries in exclusive mode")  # one at a time
        known = dict(server.execute("select number, digest from entries").fetchall())
        same = next((item.number for item in found if known.get(item.number) != item.digest), len(found) + 1)
        server.execute("delete from entries where number >= %s", (same,))  # where a person took another ledger as it is
        statement = f"insert into entries ({', '.join(COLUMNS)}) values ({', '.join(['%s'] * len(COLUMNS))})"
        with server.cursor() as cursor:
            cursor.executemany(statement.encode(), [_row(item) for item in found[same - 1 :]])
        server.execute(
            "insert into heads values (%s, %s) on conflict (number) do update set note = excluded.note",
            (len(found), _head(home, found)),
        )
    return len(found) - same + 1


def heads(home: Home) -> Iterator[tuple[str, str]]:
    """The heads that are kept, each with where."""
    if home.database is None:
        return
    with postgresql.connected(home.database, postgresql.HOME) as server:
        found = server.execute("select number, note from heads order by number").fetchall()
    for number, note in found:
        yield f"{postgresql.place(home.database)}, loopline.heads {number}", note


def _head(home: Home, entries: tuple[Entry, ...]) -> str:
    head = checkpoint_of(entries)
    with suppress(LedgerError):  # where the key that signs it is not at hand
        if (key := signing_key.registered(home)) is not None:
            head = key.sign(head)
    return head.note


def _row(entry: Entry) -> tuple[object, ...]:
    values = dict(zip(COLUMNS, astuple(entry), strict=True))
    return tuple(bool(value) if name in TRUTHS else value for name, value in values.items())

"""Writing the ledger: entries are appended to what is trusted, each with the digest of the one before it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime

from assets.promotion import ledger_database, ledger_index, ledger_verification, signing_key
from assets.promotion.ledger_database import Recorded, opened, read, recorded
from assets.promotion.ledger_state import Decision, Entry, Event, Standing
from assets.storage.digests import value_digest
from assets.storage.home import Home


@contextlib.contextmanager
def appending(
    home: Home, product: str, *, is_trusted: bool = True
) -> Iterator[tuple[Standing, Callable[[Event, Decision], Entry]]]:
    """The present standing, and a function that appends an entry. All that is appended is committed together, or nothing is.

    Nothing is appended to a ledger that was changed or shortened, except by who takes it as it is, nor without the key that
    signs what follows from it.
    """
    if (key := signing_key.registered(home)) is not None:
        key.private()
    if is_trusted and not recorded(home).entries:
        ledger_verification.require_trusted(home)  # before a file is made where one is missing
    with opened(home) as connection:
        connection.execute("begin immediate")
        try:
            found = read(connection)
            if is_trusted:
                ledger_verification.require_trusted(home, found)
            yield _append_to(connection, found, product)
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")
    ledger_index.follow(home)


def _append_to(
    connection: sqlite3.Connection, found: Recorded, product: str
) -> tuple[Standing, Callable[[Event, Decision], Entry]]:
    held = list(found.entries)
    now = Standing.after(entry for entry in held if entry.product == product)

    def record(event: Event, decision: Decision) -> Entry:
        told = {**asdict(decision), "by_hand": int(decision.by_hand), "overridden": int(decision.overridden)}
        at = told.pop("at")
        draft = Entry(
            number=len(held) + 1,
            recorded_at=(at or datetime.now(UTC)).isoformat(timespec="milliseconds"),
            product=product,
            event=event,
            replaced=now.champion.version if now.champion else None,
            previous=held[-1].digest if held else ledger_verification.FIRST,
            digest="",
            **told,
        )
        entry = replace(draft, digest=value_digest(draft.content))
        ledger_database.append(connection, entry)
        held.append(entry)
        return entry

    return now, record

"""Writing the ledger: entries are appended to what is trusted, each with the digest of the one before it."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import import_module
from itertools import count
from typing import Any, TypeVar

from assets.promotion import ledger_database, ledger_index, ledger_verification, signing_key
from assets.promotion.ledger_database import Recorded, opened, read, recorded
from assets.promotion.ledger_state import Decision, Entry, Event, Standing
from assets.storage.digests import value_digest
from assets.storage.home import Home

Made = TypeVar("Made")


Append = Callable[[Event, Decision], Entry]
"""Appends an entry."""
Decide = Callable[[Standing, Append], Made]
"""Given the present standing and a function that appends an entry, records what is decided; it may be asked again."""
PAUSE_SECONDS = 0.02
"""How long is waited at most after another machine was faster; longer each time."""


def appended(home: Home, product: str, decide: Decide[Made], *, is_trusted: bool = True) -> Made:
    """Record what is decided on the present standing. All that is appended is committed together, or nothing is.

    Nothing is appended to a ledger that was changed or shortened, except by who takes it as it is, nor without the key that
    signs what follows from it. Where the home is published, what the entries rest on is published first, then the entries, and
    the home's own ledger follows. If another machine appends meanwhile, its entries are taken and it is decided anew.

    Parameters
    ----------
    home, product
        Whose ledger, and whose standing.
    decide : callable
        Given the standing and a function that appends, decides.
    is_trusted : bool
        Whether the ledger must be whole and extend its known heads.
    """
    if (key := signing_key.registered(home)) is not None:
        key.private()
    if is_trusted and not recorded(home).entries:
        ledger_verification.require_trusted(home)  # before a file is made where one is missing
    shared = _shared(home)
    if shared is not None:
        shared.publish_evidence()
    for attempt in count(1):
        with opened(home) as connection:
            connection.execute("begin immediate")
            try:
                found = read(connection)
                if is_trusted:
                    ledger_verification.require_trusted(home, found)
                now, record, made = _append_to(connection, found, product)
                decided = decide(now, record)
                is_first, taken = (True, None) if shared is None or not made else shared.append(made)
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit" if is_first else "rollback")
        if shared is not None and taken is not None:
            shared.took(taken)
        if is_first:
            ledger_index.follow(home)
            return decided
        time.sleep(random.uniform(0, PAUSE_SECONDS * min(attempt, 10)))  # noqa: S311 - so that machines do not keep step
    raise AssertionError  # it is counted without end


def _shared(home: Home) -> Any:
    """The ledger that a published home shares with other machines, loaded by its name: see there; None if there is none."""
    if not home.is_published:
        return None
    return import_module("assets.promotion.published_ledger").shared(home)


def _append_to(
    connection: sqlite3.Connection, found: Recorded, product: str
) -> tuple[Standing, Callable[[Event, Decision], Entry], list[Entry]]:
    held, made = list(found.entries), list[Entry]()
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
        made.append(entry)
        return entry

    return now, record, made

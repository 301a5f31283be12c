"""Ledger: who served when, and why. Append-only; what is served follows from it, and MLflow's alias follows what is served.

Each entry carries the digest of the one before it, so that no entry can be changed or taken out unseen. Whether a model
deserves an entry is for the gate.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from assets.errors import DigestError, LedgerError
from assets.promotion.ledger_state import Decision, Entry, Event, Standing
from assets.storage.digests import value_digest
from assets.storage.home import Home

FIRST = "0" * 64
"""What the first entry names as the digest of the entry before it."""

COLUMNS = [field.name for field in fields(Entry)]
SCHEMA = """
create table if not exists entries (
    number integer primary key,
    recorded_at text not null,
    product text not null,
    event text not null check (event in ('promotion', 'refusal', 'rollback', 'invalidation', 'acceptance')),
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


def database(home: Home) -> Path:
    """The ledger's file."""
    return home.ledger / "ledger.db"


def entries(home: Home, product: str | None = None) -> list[Entry]:
    """All entries in order, of one product or of all."""
    if not database(home).exists():
        return []
    with _open(home) as connection:
        return [entry for entry in _entries(connection) if product in (None, entry.product)]


def standing(home: Home, product: str) -> Standing:
    """Who is champion, withdrawn and invalid now."""
    return Standing.after(entries(home, product))


def decisions_digest(home: Home, product: str) -> str:
    """The version of what people decided by hand about a product: it changes with each such entry."""
    return value_digest([entry.digest for entry in entries(home, product) if entry.by_hand])


def verify(home: Home) -> int:
    """Recompute the chain of digests.

    Returns
    -------
    int
        The number of entries.

    Raises
    ------
    DigestError
        Naming the first entry that was changed, or that follows one that was taken out.
    """
    before, found = FIRST, entries(home)
    for place, entry in enumerate(found, start=1):
        if entry.number != place or entry.previous != before or entry.digest != _digest(entry):
            raise DigestError(
                f"{database(home)}: entry {place} is not as it was recorded, or one before it was taken out. Restore the file "
                "from a backup; until then nobody can say who should be served."
            )
        before = entry.digest
    return len(found)


def promote(home: Home, product: str, decision: Decision, *, instead_of: str | None) -> Entry:
    """Record a promotion.

    Parameters
    ----------
    home, product, decision
        What to record.
    instead_of : str or None
        The digest of the champion that the verdict was against.

    Raises
    ------
    LedgerError
        If another is champion by now, or the model is invalid.
    """
    with _appending(home, product) as (now, append):
        _require_valid(product, now, decision)
        if now.champion_digest != instead_of:
            raise LedgerError(
                f"{product}: version {decision.version} was judged against {_named(instead_of)}, but by now "
                f"{_named(now.champion_digest)} serves. Run again, so that it is judged against that one."
            )
        return append("promotion", decision)


def refuse(home: Home, product: str, decision: Decision) -> Entry:
    """Record a refusal; the same refusal by the same verdict is recorded once."""
    with _appending(home, product) as (now, append):
        return now.refused_by(decision.version, decision.verdict) or append("refusal", decision)


def rollback(home: Home, product: str, decision: Decision) -> Entry:
    """Record that an earlier champion serves again; the present one is withdrawn.

    Raises
    ------
    LedgerError
        If the version never served, serves already, or is invalid.
    """
    with _appending(home, product) as (now, append):
        _require_valid(product, now, decision)
        if now.champion_digest == decision.model_digest:
            raise LedgerError(f"{product}: version {decision.version} serves already, so there is nothing to roll back.")
        if decision.model_digest not in {entry.model_digest for entry in now.served}:
            raise LedgerError(
                f"{product}: version {decision.version} never served, so there is no going back to it. "
                f"Use `loopline promote {product} {decision.version} --reason …`."
            )
        return append("rollback", decision)


def invalidate(home: Home, product: str, decision: Decision) -> list[Entry]:
    """Record that a model may never be served again; if it is the champion, the one before it serves from now on.

    Returns
    -------
    list of Entry
        The invalidation, and the rollback that follows from it, if any; both are recorded or neither.

    Raises
    ------
    LedgerError
        If it is invalid already.
    """
    with _appending(home, product) as (now, append):
        _require_valid(product, now, decision)
        before = now.fallback if now.champion_digest == decision.model_digest else None
        made = [append("invalidation", decision)]
        if before is not None:
            reason = f"version {decision.version} is invalid: {decision.reason}"
            earlier = Decision(
                before.version,
                before.model_digest,
                before.snapshot_digest,
                decision.actor,
                reason,
                before.verdict,
                by_hand=True,
            )
            made.append(append("rollback", earlier))
        return made


def accept(home: Home, product: str, decision: Decision) -> Entry:
    """Record that a person accepts one finding of the gate; who serves does not change by it."""
    with _appending(home, product) as (_, append):
        return append("acceptance", decision)


def _require_valid(product: str, now: Standing, decision: Decision) -> None:
    if (entry := now.invalid.get(decision.model_digest)) is not None:
        raise LedgerError(
            f"{product}: version {decision.version} holds model {decision.model_digest[:12]}, which was declared invalid "
            f"{entry.told} and can never be served. Train another."
        )


def _named(digest: str | None) -> str:
    return "nobody" if digest is None else f"model {digest[:12]}"


@contextlib.contextmanager
def _open(home: Home) -> Iterator[sqlite3.Connection]:
    database(home).parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(database(home), timeout=60, isolation_level=None)
    try:
        connection.execute("pragma synchronous = full")
        if connection.execute("select count(*) from sqlite_master where type = 'trigger'").fetchone()[0] < 2:
            connection.executescript(SCHEMA)
        _bring_up_to_date(connection)
        yield connection
    finally:
        connection.close()


def _entries(connection: sqlite3.Connection) -> list[Entry]:
    return [Entry(*row) for row in connection.execute(f"select {', '.join(COLUMNS)} from entries order by number")]


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Copy the entries of a ledger that was written before findings could be accepted into a table that can hold those."""
    if "finding" in {row[1] for row in connection.execute("pragma table_info(entries)")}:
        return
    before = ", ".join(name for name in COLUMNS if name != "finding")
    connection.executescript(
        f"begin immediate; alter table entries rename to entries_before; drop trigger entries_are_kept; "
        f"drop trigger entries_stay_as_they_are; {SCHEMA} "
        f"insert into entries ({before}) select {before} from entries_before order by number; "
        "drop table entries_before; commit;"
    )


def _digest(entry: Entry) -> str:
    """Over all that is recorded; an entry that accepts no finding has the digest it had before findings could be accepted."""
    left_out = {"digest"} if entry.finding else {"digest", "finding"}
    return value_digest({name: value for name, value in asdict(entry).items() if name not in left_out})


@contextlib.contextmanager
def _appending(home: Home, product: str) -> Iterator[tuple[Standing, Callable[[Event, Decision], Entry]]]:
    """The present standing, and a function that appends an entry. All that is appended is committed together, or nothing is."""
    with _open(home) as connection:
        connection.execute("begin immediate")
        found = _entries(connection)
        now = Standing.after(entry for entry in found if entry.product == product)

        def append(event: Event, decision: Decision) -> Entry:
            told = {**asdict(decision), "by_hand": int(decision.by_hand), "overridden": int(decision.overridden)}
            at = told.pop("at")
            draft = Entry(
                number=len(found) + 1,
                recorded_at=(at or datetime.now(UTC)).isoformat(timespec="milliseconds"),
                product=product,
                event=event,
                replaced=now.champion.version if now.champion else None,
                previous=found[-1].digest if found else FIRST,
                digest="",
                **told,
            )
            entry = replace(draft, digest=_digest(draft))
            connection.execute(f"insert into entries values ({', '.join('?' * len(COLUMNS))})", list(asdict(entry).values()))
            found.append(entry)
            return entry

        try:
            yield now, append
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")


def require_champion(home: Home, product: str) -> Entry:
    """The entry by which the present champion serves.

    Raises
    ------
    LedgerError
        If nobody is served, with what to do.
    """
    found = standing(home, product)
    if found.champion is None:
        raise LedgerError(f"{product}: {found.vacancy}")
    return found.champion

"""Retraining decisions: whether what has happened starts a training.

An event is decided once. Every decision is recorded before anything starts; who starts it asks for `open_requests`, so a
process that dies in between loses nothing. Nothing is trained when there is nothing new to learn from, and what is trained
goes through the gate like any other.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from assets.monitoring.retraining_triggers import Event
from assets.spec import ProductSpec
from assets.storage.home import Home

Outcome = Literal["requested", "dry run", "cooldown", "budget", "nothing new"]
SETTLED = ("requested", "dry run")
"""Outcomes after which an event is not decided again; of the others the event waits."""
COLUMNS = "decided_at, product, trigger, event, outcome, told"
SCHEMA = """
create table if not exists decisions (
    number integer primary key,
    decided_at text not null,
    product text not null,
    trigger text not null,
    event text not null,
    outcome text not null,
    told text not null,
    unique (product, event, outcome)
);
create trigger if not exists decisions_are_kept before delete on decisions
begin select raise(abort, 'decisions are append-only'); end;
create trigger if not exists decisions_stay_as_they_are before update on decisions
begin select raise(abort, 'decisions are append-only'); end;
"""


@dataclass(frozen=True)
class Decision:
    """What was decided of an event."""

    number: int
    decided_at: str
    product: str
    trigger: str
    event: str
    outcome: Outcome
    told: str


def decide(home: Home, spec: ProductSpec, happened: Sequence[Event], now: datetime, *, something_new: bool) -> list[Decision]:
    """Decide the events that are not settled; at most one starts a training.

    Parameters
    ----------
    home : Home
        Where decisions are recorded.
    spec : ProductSpec
        Its ``retrain`` declares cooldown, budget and dry run.
    happened : sequence of Event
        From `retraining_triggers.events`.
    now : datetime
        The moment of the decision (UTC, aware).
    something_new : bool
        Whether a training would give anything but the model there is.

    Returns
    -------
    list of Decision
        What was decided now; an event that waits for the same reason as before is not told again.
    """
    rule, made = spec.retrain, []
    with _open(home) as connection:
        connection.execute("begin immediate")
        before = _decisions(connection, spec.name)
        settled = {decision.event for decision in before if decision.outcome in SETTLED}
        starts = [datetime.fromisoformat(item.decided_at) for item in before if item.outcome in SETTLED]
        for event in happened:
            if event.name in settled:
                continue
            free = max((start + timedelta(days=rule.cooldown_days) for start in starts), default=now)
            spent = sum(start > now - timedelta(days=365) for start in starts)
            outcome: Outcome
            if not something_new:
                outcome, because = "nothing new", "a training would give the model that there is"
            elif free > now and event.trigger != "manual":
                outcome, because = (
                    "cooldown",
                    f"the last was less than {rule.cooldown_days:g} days before; free from {free:%Y-%m-%d %H:%M}",
                )
            elif spent >= rule.budget_per_year and event.trigger != "manual":
                outcome, because = "budget", f"{spent} were started in 365 days, {rule.budget_per_year} may be"
            else:
                outcome, because = (
                    ("dry run", "nothing is started") if rule.dry_run and event.trigger != "manual" else ("requested", "")
                )
                starts.append(now)
            told = event.told + (f" ({because})" if because else "")
            row = (now.isoformat(), spec.name, event.trigger, event.name, outcome, told)
            done = connection.execute(f"insert or ignore into decisions ({COLUMNS}) values (?, ?, ?, ?, ?, ?)", row)
            if done.rowcount:
                made.append(Decision(int(done.lastrowid or 0), *row))
            if outcome in SETTLED:
                break
        connection.execute("commit")
    return made


def decisions(home: Home, product: str) -> list[Decision]:
    """All decisions about a product, in order."""
    if not database(home).exists():
        return []
    with _open(home) as connection:
        return _decisions(connection, product)


def open_requests(
    home: Home, product: str, started: Sequence[str], now: datetime, within: timedelta = timedelta(days=7)
) -> list[Decision]:
    """Requests for which nothing was started yet; one that is older than `within` is given up.

    Parameters
    ----------
    home, product
        Whose decisions.
    started : sequence of str
        The events for which a run was started, as its tag says.
    now : datetime
        The present (UTC, aware).
    within : timedelta
        How old a request may be.
    """
    return [
        decision
        for decision in decisions(home, product)
        if decision.outcome == "requested"
        and decision.trigger != "manual"
        and decision.event not in started
        and datetime.fromisoformat(decision.decided_at) > now - within
    ]


def database(home: Home) -> Path:
    """The file of all decisions."""
    return home.ledger / "retraining.db"


@contextlib.contextmanager
def _open(home: Home) -> Iterator[sqlite3.Connection]:
    home.ledger.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(database(home), timeout=60, isolation_level=None)
    try:
        connection.executescript(SCHEMA)
        yield connection
    finally:
        connection.close()


def _decisions(connection: sqlite3.Connection, product: str) -> list[Decision]:
    query = f"select number, {COLUMNS} from decisions where product = ? order by number"
    return [Decision(*row) for row in connection.execute(query, (product,))]

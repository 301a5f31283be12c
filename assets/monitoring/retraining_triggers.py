"""Retraining: what has happened that may start a training, and whether it does.

An event is decided once: it is named by what happened, so the same news twice is one event. Every decision is recorded
before anything starts; who starts it asks for `open_requests`, so a process that dies in between loses nothing. Nothing is
trained when there is nothing new to learn from, and what is trained goes through the gate like any other.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from assets.errors import DigestError
from assets.features import snapshots
from assets.spec import ProductSpec
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import published, read_json

Outcome = Literal["requested", "dry run", "cooldown", "budget", "nothing new"]
SETTLED = ("requested", "dry run")
"""Outcomes after which an event is not decided again; of the others the event waits."""
DRIFT, QUALITY = ("data", "model", "concept", "volume"), ("quality", "expected_quality")
"""The kinds of alarm that are events of drift, and of quality."""
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
class Event:
    """What may start a training.

    Parameters
    ----------
    trigger : str
        Its kind, as it is declared in ``retrain.triggers``; or ``manual``.
    name : str
        What happened, as a digest: the same news has the same name.
    told : str
        What happened, for people; it is carried to the model version and the ledger.
    """

    trigger: str
    name: str
    told: str


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


def events(home: Home, spec: ProductSpec, now: datetime) -> list[Event]:
    """What has happened, of all that is declared, in the order of the declaration.

    Parameters
    ----------
    home : Home
        Holds the snapshot, the model and what the monitoring said.
    spec : ProductSpec
        The declaration.
    now : datetime
        The moment (UTC, aware) up to which a schedule may have come due.
    """
    found = {
        "drift": lambda: _alarms(home, spec, "drift", DRIFT),
        "quality": lambda: _alarms(home, spec, "quality", QUALITY),
        "new_data": lambda: _new_data(home, spec),
        "labels": lambda: _labels(home, spec),
        "schedule": lambda: _due(spec, now),
    }
    return [event for trigger in spec.retrain.triggers if (event := found[trigger]()) is not None]


def decide(home: Home, spec: ProductSpec, happened: Sequence[Event], now: datetime, *, something_new: bool) -> list[Decision]:
    """Decide the events that are not settled; at most one starts a training.

    Parameters
    ----------
    home : Home
        Where decisions are recorded.
    spec : ProductSpec
        Its ``retrain`` declares cooldown, budget and dry run.
    happened : sequence of Event
        From `events`.
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


def manual(reason: str, now: datetime) -> Event:
    """What a person asks for."""
    return Event("manual", value_digest([reason, now.isoformat()])[:16], reason)


def database(home: Home) -> Path:
    """The file of all decisions."""
    return home.ledger / "retraining.db"


def _alarms(home: Home, spec: ProductSpec, trigger: str, kinds: Sequence[str]) -> Event | None:
    """The alarms of these kinds that stand in the last period."""
    place = home.monitoring / spec.name / "current.json"
    if not place.exists():
        return None
    record = read_json(place.parent / read_json(place)["file"])
    standing = [alarm for alarm in record["alarms"] if alarm["kind"] in kinds]
    if not standing:
        return None
    last = record["periods"][-1]["name"]
    told = "; ".join(f"{alarm['what']}: {alarm['told']}" for alarm in standing[:3])
    more = f", and {len(standing) - 3} more" if len(standing) > 3 else ""
    return _event(trigger, [record["model_digest"], last], f"{trigger} in {last}: {told}{more}")


def _new_data(home: Home, spec: ProductSpec) -> Event | None:
    """A snapshot that no model was trained on."""
    snapshot, taught = snapshots.current(home, spec.name), _taught_on(home, spec)
    if taught in (None, snapshot.digest):
        return None
    return _event("new_data", [snapshot.digest], f"new data: snapshot {snapshot.digest[:12]} of {snapshot.rows:,} rows")


def _labels(home: Home, spec: ProductSpec) -> Event | None:
    """Enough labels that the last model did not know of."""
    snapshot, taught = snapshots.current(home, spec.name), _taught_on(home, spec)
    if taught in (None, snapshot.digest):
        return None
    try:
        before = _labelled(spec, snapshots.opened(home, spec.name, str(taught)))
    except DigestError:
        return None  # the earlier snapshot is gone: nobody can say how many are new
    new = _labelled(spec, snapshot) - before
    if new < spec.retrain.min_new_labels:
        return None
    return _event("labels", [snapshot.digest], f"labels: {new:,} more are known than when the last model was trained")


def _labelled(spec: ProductSpec, snapshot: snapshots.Snapshot) -> int:
    import pyarrow.parquet as pq

    column = pq.read_table(snapshot.path, columns=[spec.target.column]).column(0)
    return len(column) - int(column.null_count)


def _due(spec: ProductSpec, now: datetime) -> Event | None:
    """The last moment at which the schedule was due; those that nobody looked at before it are one with it."""
    from zoneinfo import ZoneInfo

    from croniter import croniter

    local = now.astimezone(ZoneInfo(spec.schedule.time_zone))
    due = croniter(spec.schedule.cron, local).get_prev(datetime)
    return _event(
        "schedule", [due.astimezone(UTC).isoformat()], f"schedule: due {due:%Y-%m-%d %H:%M} {spec.schedule.time_zone}"
    )


def _taught_on(home: Home, spec: ProductSpec) -> str | None:
    """The snapshot that the last model was trained on."""
    path = home.models / spec.name / "current.json"
    return str(published(path, "")["snapshot_digest"]) if path.exists() else None


def _event(trigger: str, named: list[str], told: str) -> Event:
    return Event(trigger, value_digest([trigger, *named])[:16], told)


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

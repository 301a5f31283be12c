"""The incidents of a home: one folder each, with a record to which events are only ever appended.

A subject (a product, or a source) has at most one open incident: what is raised about it meanwhile is an event of that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.errors import IncidentError
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json

RECORD, PAGE, LOCK = "record.json", "incident.html", "incidents.lock"
OPENED, RAISED, QUIET, ROOT_CAUSE, MITIGATED, CLOSED = "opened", "raised", "quiet", "root_cause", "mitigated", "closed"
"""What may happen: it is opened; something is raised again, or another alarm; no alarm stands any more; and so on."""
WATCH = "loopline"
"""Who opens incidents."""


@dataclass(frozen=True)
class Incident:
    """One incident.

    Parameters
    ----------
    name : str
        The subject and a number, such as ``flight_delay-1``.
    subject : str
        The product, source or other asset that it is about.
    events : tuple of mapping
        In order: ``at``, ``event``, ``by``, ``told``, and what belongs to the event.
    """

    name: str
    subject: str
    events: tuple[Mapping[str, Any], ...]

    @property
    def opened_at(self) -> str:
        """When (UTC, ISO 8601)."""
        return str(self.events[0]["at"])

    @property
    def is_open(self) -> bool:
        """Whether nobody closed it."""
        return bool(self.events[-1]["event"] != CLOSED)

    @property
    def told(self) -> str:
        """What opened it."""
        return str(self.events[0]["told"])

    @property
    def root_cause(self) -> Mapping[str, Any] | None:
        """What the last search found, if there was one."""
        return next((item["found"] for item in reversed(self.events) if item["event"] == ROOT_CAUSE), None)

    def knows(self, identity: str) -> bool:
        """Whether an event of it is about just this."""
        return any(item.get("identity") == identity for item in self.events)


def incidents(home: Home, subject: str | None = None) -> list[Incident]:
    """All incidents, or those of a subject, in the order in which they were opened."""
    found = [_read(path) for path in home.incidents.glob(f"*/{RECORD}")]
    return sorted((item for item in found if subject in (None, item.subject)), key=lambda item: (item.opened_at, item.name))


def incident(home: Home, name: str) -> Incident:
    """An incident by its name.

    Raises
    ------
    IncidentError
        If there is none.
    """
    known = {item.name: item for item in incidents(home)}
    if name not in known:
        listed = ", ".join(known) or "none"
        raise IncidentError(f"there is no incident '{name}'. There are: {listed}. See `loopline incidents`.")
    return known[name]


def require_open(home: Home, name: str) -> Incident:
    """An incident to which something may still be added.

    Raises
    ------
    IncidentError
        If there is no such incident, or it is closed.
    """
    found = incident(home, name)
    if not found.is_open:
        raise IncidentError(f"incident '{name}' was closed: {found.events[-1]['told']}. What is new opens another.")
    return found


def open_of(home: Home, subject: str) -> Incident | None:
    """The open incident of a subject."""
    return next((item for item in incidents(home, subject) if item.is_open), None)


def raise_about(
    home: Home, subject: str, identity: str, told: str, now: datetime | None = None, **more: Any
) -> Incident | None:
    """Open an incident, or add to the open one; None if just this is known already, also of one that was closed.

    Parameters
    ----------
    home, subject
        What it is about.
    identity : str
        What is raised, as a digest: the same twice is one event.
    told : str
        What is raised, for people.
    now : datetime, optional
        When (aware).
    **more
        What belongs to the event.
    """
    with _alone(home):
        known = incidents(home, subject)
        if any(item.knows(identity) for item in known):
            return None
        standing = next((item for item in known if item.is_open), None)
        name = f"{subject}-{_next_number(known)}" if standing is None else standing.name
        event = _event(OPENED if standing is None else RAISED, WATCH, told, now, identity=identity, **more)
        return _write(home, Incident(name, subject, (*(() if standing is None else standing.events), event)))


def calm(home: Home, subject: str, told: str, now: datetime | None = None) -> Incident | None:
    """Say in the open incident of a subject, once, that no alarm stands any more; a person closes it.

    None if there is none, if it is about no alarm, or if that is said already.
    """
    with _alone(home):
        standing = open_of(home, subject)
        said = [] if standing is None else [item for item in standing.events if "alarms" in item or item["event"] == QUIET]
        if standing is None or not said or said[-1]["event"] == QUIET:
            return None
        return _write(home, Incident(standing.name, subject, (*standing.events, _event(QUIET, WATCH, told, now))))


def _next_number(known: Sequence[Incident]) -> int:
    """One more than any has: a folder may have been taken away, and another must not be written over."""
    return max((int(item.name.rpartition("-")[2]) for item in known), default=0) + 1


def add(home: Home, name: str, event: str, *, by: str, told: str, now: datetime | None = None, **more: Any) -> Incident:
    """Append an event.

    Raises
    ------
    IncidentError
        If there is no such incident, or it is closed.
    """
    with _alone(home):
        found = require_open(home, name)
        return _write(home, Incident(name, found.subject, (*found.events, _event(event, by, told, now, **more))))


def folder(home: Home, name: str) -> Path:
    """Where an incident lies."""
    return home.incidents / name


def _event(event: str, by: str, told: str, now: datetime | None, **more: Any) -> dict[str, Any]:
    at = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
    return {"at": at, "event": event, "by": by, "told": told, **more}


def _alone(home: Home) -> Any:
    home.incidents.mkdir(parents=True, exist_ok=True)
    return exclusive(home.incidents / LOCK)


def _read(path: Path) -> Incident:
    record = read_json(path)
    events: Sequence[Mapping[str, Any]] = record["events"]
    return Incident(record["incident"], record["subject"], tuple(events))


def _write(home: Home, found: Incident) -> Incident:
    record = {"incident": found.name, "subject": found.subject, "events": list(found.events)}
    write_json(folder(home, found.name) / RECORD, record)
    return found

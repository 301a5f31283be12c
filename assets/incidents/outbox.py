"""The outbox: which events were sent to whom. What is not recorded as sent is sent again, so a crash loses none.

A receiver hears of all that happens since it was first declared, and of incidents that are open then, in order. Whether an
event was sent stands beside the incident; what is to be sent follows from that and the record, so there is no moment at which
an event is recorded and its message is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.incidents.incident_log import Incident, folder, incidents
from assets.incidents.webhook_message import Receiver, body, headers, key_of
from assets.incidents.webhook_request import Answer, post
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json

DELIVERIES, RECEIVERS, LOCK = "deliveries.json", "receivers.json", "outbox.lock"
PAUSES = (0.5, 1.0, 2.0)
"""Seconds between the attempts of one call, where the receiver names none."""
LATER = (60.0, 3600.0)
"""What is waited at least, doubled at each call that fails, and at most, before another call tries again."""
DOUBLED = 16
"""How often it is doubled at most: a receiver may be down for thousands of calls."""
SENT, WAITING, REFUSED = "sent", "waiting", "refused"


@dataclass(frozen=True)
class Message:
    """A message that was not sent yet, or not taken."""

    incident: Incident
    number: int
    receiver: str
    state: str
    attempts: int
    told: str
    not_before: float


def pending(home: Home, receivers: Sequence[str]) -> list[Message]:
    """What is to be sent to these receivers, in order of the events; and what they refused."""
    since = _known(home)
    found = []
    for item in incidents(home):
        told = _deliveries(home, item)
        for number, event in enumerate(item.events):
            for name in receivers:
                state: dict[str, Any] = told.get(name, {}).get(str(number), {})
                if state.get("state") != SENT and (item.is_open or event["at"] >= since.get(name, "9999")):
                    found.append(
                        Message(
                            item,
                            number,
                            name,
                            state.get("state", WAITING),
                            state.get("attempts", 0),
                            state.get("told", ""),
                            state.get("not_before", 0.0),
                        )
                    )
    return sorted(found, key=lambda message: (message.incident.events[message.number]["at"], message.number))


def declare(home: Home, receivers: Sequence[str], now: datetime) -> None:
    """Note from when on receivers are told, where they are new: not of what was before them."""
    known = _known(home)
    if new := [name for name in receivers if name not in known]:
        at = now.astimezone(UTC).isoformat(timespec="seconds")
        write_json(home.incidents / RECEIVERS, {**known, **dict.fromkeys(new, at)})


def deliver(
    home: Home,
    receivers: Sequence[Receiver],
    *,
    is_forced: bool = False,
    pauses: Sequence[float] = PAUSES,
    clock: Callable[[], float] = time.time,
) -> list[Message]:
    """Send what is waiting, each to its receiver; only one process sends at a time.

    Parameters
    ----------
    home : Home
        Holds the incidents.
    receivers : sequence of Receiver
        All that are declared.
    is_forced : bool
        Also what was tried lately, and what was refused.
    pauses : sequence of float
        Seconds between attempts.
    clock : callable
        The time (seconds since 1970).

    Returns
    -------
    list of Message
        What is left.
    """
    named = {item.name: item for item in receivers}
    home.incidents.mkdir(parents=True, exist_ok=True)
    with exclusive(home.incidents / LOCK):
        declare(home, list(named), datetime.fromtimestamp(clock(), UTC))
        down: set[str] = set()
        for message in pending(home, list(named)):
            if message.receiver in down or (message.state == REFUSED and not is_forced):
                continue
            if message.not_before > clock() and not is_forced:
                down.add(message.receiver)
                continue
            answer = _attempted(named[message.receiver], message, pauses, clock)
            _record(home, message, answer, clock())
            if answer.is_worth_retrying:
                down.add(message.receiver)  # what comes after it must not arrive before it
    return pending(home, list(named))


def _attempted(receiver: Receiver, message: Message, pauses: Sequence[float], clock: Callable[[], float]) -> Answer:
    content = body(receiver, message.incident, message.number)
    key = key_of(receiver.name, message.incident, message.number)
    for pause in (*pauses, None):
        answer = post(receiver.url, content, headers(receiver, key, content, int(clock())), receiver.timeout_seconds)
        if not answer.is_worth_retrying or pause is None:
            break
        time.sleep(pause if answer.retry_after is None else min(answer.retry_after, 10 * pause))
    return answer


def _record(home: Home, message: Message, answer: Answer, now: float) -> None:
    """Keep what became of a message."""
    told = _deliveries(home, message.incident)
    state: dict[str, Any] = {"attempts": message.attempts + 1, "told": answer.told}
    if answer.is_taken:
        state |= {"state": SENT, "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")}
    elif answer.is_worth_retrying:
        least, most = LATER
        state |= {"state": WAITING, "not_before": now + min(least * 2 ** min(message.attempts, DOUBLED), most)}
    else:
        state["state"] = REFUSED
    own = {**told.get(message.receiver, {}), str(message.number): state}
    write_json(_file(home, message.incident), {**told, message.receiver: own})


def _known(home: Home) -> dict[str, str]:
    path = home.incidents / RECEIVERS
    return dict(read_json(path)) if path.exists() else {}


def _deliveries(home: Home, incident: Incident) -> dict[str, Any]:
    path = _file(home, incident)
    return dict(read_json(path)) if path.exists() else {}


def _file(home: Home, incident: Incident) -> Path:
    return folder(home, incident.name) / DELIVERIES


def sent(home: Home, incident: Incident) -> Iterator[tuple[str, int]]:
    """To which receivers which events were sent."""
    for receiver, events in _deliveries(home, incident).items():
        yield from ((receiver, int(number)) for number, state in events.items() if state["state"] == SENT)

"""Webhook messages: an event of an incident as bytes, with a key that is the same at each attempt, and a signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from assets.incidents.incident_log import Incident

KEY, TIMESTAMP, SIGNATURE = "Idempotency-Key", "X-Loopline-Timestamp", "X-Loopline-Signature"
TOLD = ("at", "event", "by", "told", "alarms", "suspects", "how")
"""What of an event is sent; what a search found is told by its sentence."""


@dataclass(frozen=True)
class Receiver:
    """Who is told.

    Parameters
    ----------
    name, form
        As it is declared: ``generic`` or ``slack``.
    url : str
        The address, which is a secret.
    secret : bytes or None
        The key of signatures.
    timeout_seconds : float
        How long an answer is waited for.
    """

    name: str
    form: Literal["generic", "slack"]
    url: str
    secret: bytes | None
    timeout_seconds: float


def key_of(receiver: str, incident: Incident, number: int) -> str:
    """By which a receiver knows a message again, as it may come more than once."""
    named = [receiver, incident.name, number, incident.events[number]["at"], incident.opened_at]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]


def body(receiver: Receiver, incident: Incident, number: int) -> bytes:
    """The message."""
    event = incident.events[number]
    if receiver.form == "slack":
        return json.dumps({"text": _text(incident, event)}).encode()
    told = {name: event[name] for name in TOLD if name in event}
    return json.dumps({"schema": 1, "incident": incident.name, "subject": incident.subject, "number": number, **told}).encode()


def headers(receiver: Receiver, key: str, content: bytes, timestamp: int) -> dict[str, str]:
    """What is sent beside it; the signature is of the moment of this attempt and the bytes, so that neither can be used again.

    Examples
    --------
    >>> signed = headers(Receiver("ops", "generic", "", b"secret", 1.0), "k", b"{}", 1700000000)
    >>> signed["X-Loopline-Signature"][:19]
    'v1=b8569b78799ff9e3'
    """
    found = {"Content-Type": "application/json", "User-Agent": "loopline", KEY: key, TIMESTAMP: str(timestamp)}
    if receiver.secret is not None:
        found[SIGNATURE] = f"v1={signature(receiver.secret, timestamp, content)}"
    return found


def signature(secret: bytes, timestamp: int, content: bytes) -> str:
    """HMAC-SHA-256 over ``timestamp.content``, in hexadecimal (RFC 2104)."""
    return hmac.new(secret, f"{timestamp}.".encode() + content, hashlib.sha256).hexdigest()


def _text(incident: Incident, event: Mapping[str, Any]) -> str:
    lines = [f"*{incident.name}* {event['event'].replace('_', ' ')} by {event['by']}: {event['told']}"]
    lines += [f"• {item['kind'].replace('_', ' ')} of {item['what']}: {item['told']}" for item in event.get("alarms", [])[:5]]
    # Slack reads these three as markup (https://docs.slack.dev/messaging/formatting-message-text)
    return "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

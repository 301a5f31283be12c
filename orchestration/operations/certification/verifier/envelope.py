"""The envelope (DSSE) of a certificate's statement (in-toto), and the key that signs it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from typing import Any

from orchestration.operations.certification.verifier.archive import Problem, walked
from orchestration.operations.certification.verifier.signature import verifies

ENVELOPE, STATEMENT = "statement.dsse.json", "statement.json"
ANOTHER_KEY = "another key signed it"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, struct.error)
"""What reading a record raises whose form is none of ours."""
KEY = re.compile(r"(?P<name>[^\s+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]{44})(?![A-Za-z0-9+/=])")


class Key:
    """A public key with the name of who signs by it."""

    def __init__(self, told: str) -> None:
        found = KEY.search(told)
        raw = base64.b64decode(found["key"]) if found else b""
        self.name, self.public = (found["name"], raw[1:]) if found else ("", b"")
        if found is None or raw[:1] != b"\1" or found["id"] != self.id_of(self.name):
            raise ValueError("no public key of the form NAME+ID+BASE64 stands there")

    def id_of(self, name: str) -> str:
        """By which four bytes a signature of this name is known (c2sp.org/signed-note)."""
        return hashlib.sha256(name.encode() + b"\n\1" + self.public).hexdigest()[:8]

    @property
    def keyid(self) -> str:
        """How the envelope names it."""
        return f"{self.name}+{self.id_of(self.name)}"


def encoded(payload: bytes) -> bytes:
    """What is signed of a payload: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload)) + payload


def canonical(value: Any) -> bytes:
    """JSON in one form: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def statement_of(raw: bytes, copy: bytes | None, key: Key) -> tuple[bytes | None, list[Problem]]:
    """The statement that the key signed, from the envelope or its readable copy; if it signed neither, one to compare with."""
    try:
        envelope = json.loads(raw)
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signed,) = envelope["signatures"]
        signature = base64.b64decode(signed["sig"], validate=True)
        told = envelope["payloadType"], signed["keyid"]
        form = {
            "payload": _base64(payload),
            "payloadType": told[0],
            "signatures": [{"keyid": told[1], "sig": _base64(signature)}],
        }
    except UNREADABLE:
        return copy, [(ENVELOPE, "it is no envelope any more: its JSON or base64 was changed")]
    problems = [] if canonical(form) == raw else [(ENVELOPE, "it is written otherwise than it was signed")]
    if told[0] != PAYLOAD_TYPE:
        problems.append((ENVELOPE, f"its payload's type was changed: it must be {PAYLOAD_TYPE}"))
    if verifies(key.public, encoded(payload), signature):
        if told[1] != key.keyid:
            problems.append((ENVELOPE, f"its key id was changed: {key.keyid} signed it"))
        return payload, problems
    if copy is not None and copy != payload and verifies(key.public, encoded(copy), signature):
        return copy, [*problems, (ENVELOPE, f"its payload was changed{_difference(payload, copy)}")]
    if told[1] != key.keyid:
        return copy or payload, [*problems, (ENVELOPE, f"{ANOTHER_KEY}: {told[1]}, not {key.keyid}")]
    told_twice = "its signature was changed" if copy == payload else "its signature is of another statement"
    return copy or payload, [*problems, (ENVELOPE, told_twice)]


def _difference(found: bytes, signed: bytes) -> str:
    lines = zip(found.splitlines(), signed.splitlines(), strict=False)
    return next((f", where it says {a.decode(errors='replace').strip()}" for a, b in lines if a != b), "")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def envelope_of(data: bytes) -> bytes:
    """The envelope's bytes: where it should be, if that is JSON; else as the archive's headers say."""
    start = 30 + len(ENVELOPE)
    try:
        envelope, size = json.JSONDecoder().raw_decode(data[start:].decode("latin-1"))
        is_found = isinstance(envelope, dict) and "payload" in envelope
    except UNREADABLE:
        size, is_found = struct.unpack("<I", data[22:26].ljust(4, b"\0"))[0], False
    return dict(walked(data)).get(ENVELOPE, data[start : start + size]) if not is_found else data[start : start + size]

"""One attempt to tell a receiver: what it answered, and whether another attempt may help."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

TRY_AGAIN = frozenset({408, 425, 429})
"""Answers of 4xx after which another attempt may be taken; of 5xx all."""


@dataclass(frozen=True)
class Answer:
    """What came of an attempt.

    Parameters
    ----------
    status : int or None
        The answer's status; None where there was none.
    told : str
        What happened, without the address, which is a secret.
    retry_after : float or None
        For how many seconds the receiver asks to be left alone.
    """

    status: int | None
    told: str
    retry_after: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_worth_retrying(self) -> bool:
        """Whether another attempt may help: it was not reached, was too slow, or says that it is busy."""
        return self.status is None or self.status >= 500 or self.status in TRY_AGAIN


def post(url: str, content: bytes, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
    """Send one message; a redirect is not followed, as it would hand a signed message to somebody else."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    kind: Any = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    connection = None
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_seconds)
        connection.request("POST", path, body=content, headers=dict(headers))
        answered = connection.getresponse()
        with suppress(OSError, HTTPException):  # the status says all; a body may drip for hours
            answered.read1(1024)
    except (OSError, HTTPException, ValueError) as error:
        return Answer(None, f"no answer ({type(error).__name__})")
    finally:
        if connection is not None:
            connection.close()
    wait = answered.getheader("Retry-After", "")
    return Answer(answered.status, f"answered {answered.status}", float(wait) if wait.isascii() and wait.isdigit() else None)

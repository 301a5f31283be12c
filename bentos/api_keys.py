"""API keys as the service knows them: their hashes, in a file or a variable, looked at again while it runs.

A key is ``loopline_<id>_<secret>``: the id finds the key and may be shown, the secret is 256 random bits. Nobody can guess such
a secret, however fast the hash, so that one SHA-256 stores it as safely as a slow hash would, and costs a request nothing.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from bentos.clock_mark import FILE, ClockMark

SCOPES = ("predict", "admin")
"""What a key may do: predict; or that and ask for the model's description and the metrics."""
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
TOKEN = re.compile(r"loopline_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
PREFIX = "loopline_"
SECONDS = 0.5
"""How often the file is looked at, while there are requests."""
NOBODY = "0" * 64
MOST = 10_000
"""How many headers are recalled; one key can stand in several, by blanks and capitals."""


class KeyFileError(ValueError):
    """A list of keys that cannot be used: what is wrong with it."""


@dataclass(frozen=True)
class Caller:
    """Who asks, as logs name it, and what it may do."""

    name: str
    scope: str


@dataclass(frozen=True)
class ApiKey:
    """One key, without its secret.

    Parameters
    ----------
    id, name : str
        What the key is called: by the program, and by people.
    scope : str
        One of `SCOPES`.
    sha256 : str
        Of the whole key, hexadecimal.
    created_at_utc, expires_at_utc, revoked_at_utc : str or None
        ISO 8601 with an offset.
    """

    id: str
    name: str
    scope: str
    sha256: str
    created_at_utc: str
    expires_at_utc: str | None = None
    revoked_at_utc: str | None = None

    def __post_init__(self) -> None:
        found = asdict(self)
        if not all(isinstance(found[name], str) for name in ("id", "name", "scope", "sha256", "created_at_utc")):
            raise KeyFileError("a field of a key is no text")
        if not re.fullmatch(r"[0-9a-f]{12}", self.id) or not NAME.fullmatch(self.name) or self.scope not in SCOPES:
            raise KeyFileError(f"key '{self.id[:12]}' has an id, a name or a scope that no key has")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise KeyFileError(f"key {self.id} has no SHA-256")
        for moment in (self.created_at_utc, self.expires_at_utc, self.revoked_at_utc):
            if moment is not None and datetime.fromisoformat(moment).tzinfo is None:
                raise KeyFileError(f"key {self.id} has a moment without an offset")

    @cached_property
    def caller(self) -> Caller:
        """Who asks with it."""
        return Caller(f"key:{self.id}:{self.name}", self.scope)

    @cached_property
    def ends(self) -> float:
        """From when on it is refused, in seconds since 1970."""
        if self.revoked_at_utc is not None:
            return 0.0
        return float("inf") if self.expires_at_utc is None else datetime.fromisoformat(self.expires_at_utc).timestamp()

    def state(self, now: float) -> str:
        """Whether it is valid, expired or revoked."""
        if self.revoked_at_utc is not None:
            return "revoked"
        return "valid" if now < self.ends else "expired"


def make(name: str | None, scope: str, now: datetime, expires: datetime | None = None) -> tuple[str, ApiKey]:
    """A new key: the token for who is to use it, and what is stored of it."""
    number = secrets.token_hex(6)
    token = f"{PREFIX}{number}_{secrets.token_urlsafe(32)}"
    until = None if expires is None else expires.astimezone(UTC).isoformat(timespec="seconds")
    moment = now.astimezone(UTC).isoformat(timespec="seconds")
    return token, ApiKey(number, name or number, scope, sha256(token.encode()).hexdigest(), moment, until)


def read(content: str, product: str) -> dict[str, ApiKey]:
    """The keys of a list, by id.

    Raises
    ------
    KeyFileError
        If it is not a list of this product's keys.
    """
    try:
        told = json.loads(content)
        keys = [ApiKey(**item) for item in told["keys"]]
        owner = told["product"]
    except (ValueError, TypeError, KeyError) as error:
        raise KeyFileError(f"it is no list of keys as `loopline key` writes it ({type(error).__name__}: {error})") from error
    if owner != product:
        raise KeyFileError(f"its keys are those of '{owner}', not of '{product}'")
    return {key.id: key for key in keys}


def write(product: str, keys: Mapping[str, ApiKey]) -> str:
    """The list that `read` reads."""
    return json.dumps({"product": product, "keys": [asdict(key) for key in keys.values()]}, indent=2) + "\n"


def newest(keys: Iterable[ApiKey]) -> float:
    """The newest moment at which one of these keys was made or revoked, in seconds since 1970; 0 without keys."""
    moments = (moment for key in keys for moment in (key.created_at_utc, key.revoked_at_utc) if moment is not None)
    return max((datetime.fromisoformat(moment).timestamp() for moment in moments), default=0.0)


class ApiKeys:
    """The keys of one product, as they stand now, by a clock that never goes back.

    Parameters
    ----------
    product : str
        Keys of another product are refused.
    file : Path, optional
        A list of keys that may change, appear and disappear; where it cannot be read, no key of it is valid.
    content : str, optional
        A list of keys that stays.
    problem : callable
        Told what is wrong with the file.

    Raises
    ------
    KeyFileError
        If `content` is not a list of this product's keys.
    """

    def __init__(
        self,
        product: str,
        file: Path | None = None,
        content: str | None = None,
        problem: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.product, self.file, self.problem = product, file, problem
        self.given = {} if content is None else read(content, product)
        self.keys: dict[str, ApiKey] = self.given
        self.seen: Any = ()
        self.due = 0.0
        self.clock = ClockMark(None if file is None else file.with_name(FILE))
        self.clock.raise_to(newest(self.given.values()))
        self.known: dict[bytes, ApiKey] = {}
        self.exist = bool(self.given)
        self.look()

    def look(self) -> None:
        """Read the file again if it is another than before."""
        if self.file is None:
            return
        try:
            found = os.stat(self.file)  # noqa: PTH116 - on the way of each request
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            state = None
        if state == self.seen:
            return
        self.seen = state
        self.known.clear()
        try:
            self.keys = {**({} if state is None else read(self.file.read_text(encoding="utf-8"), self.product)), **self.given}
        except (OSError, ValueError) as error:
            # who cannot be told from a stranger is one
            self.keys = self.given
            self.exist = True
            self.problem(f"{self.file}: {error}. No key of it is valid until it can be read.")
        self.clock.raise_to(newest(self.keys.values()))
        # a service that had keys once never opens by itself: a lost file makes no strangers welcome
        self.exist = self.exist or bool(self.keys)

    def refresh(self) -> None:
        """Look at the file if that is due."""
        now = time.monotonic()
        if now >= self.due:
            self.due = now + SECONDS
            self.look()
            self.clock.now()
            self.clock.keep()

    def caller(self, token: str, credential: bytes = b"") -> Caller | None:
        """Who has this token; None if nobody does, or no longer. The header it came in, if given, is `recalled` then."""
        if not (found := TOKEN.fullmatch(token)):
            return None
        key = self.keys.get(found[1])
        # an unknown id takes as long as a wrong secret
        same = hmac.compare_digest(sha256(token.encode()).hexdigest(), NOBODY if key is None else key.sha256)
        if not same or key is None or self.clock.now() >= key.ends:
            return None
        if credential and len(self.known) < MOST:
            self.known[sha256(credential).digest()] = key
        return key.caller

    def recalled(self, credential: bytes) -> Caller | None:
        """Who sent this header, if it was checked before, and the key has not ended since.

        Headers are told by their SHA-256: how long a look-up takes says nothing of a secret, as nobody can choose a hash.
        """
        key = self.known.get(digest := sha256(credential).digest())
        if key is None:
            return None
        if self.clock.now() < key.ends:
            return key.caller
        del self.known[digest]
        return None

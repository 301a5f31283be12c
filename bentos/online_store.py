"""Online store: features by key, as a home filled it: a SQLite file, or a hash in Redis.

Both are replaced whole, so a reader meets what one filling wrote, and nothing half. Nobody writes a file that is read: it needs
no write-ahead log, and can lie on a disk that is mounted read-only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
from pydantic_core import from_json, to_json

from bentos.refusals import RefusedError

VARIABLE, USER, PASSWORD = "LOOPLINE_ONLINE_STORE", "LOOPLINE_REDIS_USER", "LOOPLINE_REDIS_PASSWORD"
"""The variables that name the SQLite file, and by which Redis lets the service in."""
FILLING = ""
"""The key under which a store says what it holds."""
DDL = "create table features (key text primary key, row text not null) strict, without rowid"
KNOWN_AT, ENTITY, VALUES = 0, 1, 2
"""Where a row holds the moment since which it is known, in microseconds since 1970 (UTC); the entity that it is of, where
that is not its key; and its features from there on."""
SECONDS = 2.0
"""How long Redis may take to answer."""


class Filling(NamedTuple):
    """What a store holds, and since when.

    Parameters
    ----------
    product, snapshot : str
        Whose features, and the digest of the snapshot that they are of.
    filled_at : str
        When: rows that were not known by then are not in it.
    key, features : list of str
        The columns of a key, and of a row, in their order.
    rows : int
        How many keys it holds.
    """

    product: str
    snapshot: str
    filled_at: str
    key: list[str]
    features: list[str]
    rows: int

    def text(self) -> str:
        """As JSON."""
        return to_json(self._asdict()).decode()


def key_text(values: Sequence[Any]) -> str:
    """A key as a store writes it: a JSON list; a whole number is the same number whether it came as 3, 3.0 or a decimal.

    Examples
    --------
    >>> key_text(["JFK", 3.0]), key_text(["JFK", "3"])
    ('["JFK",3]', '["JFK","3"]')
    """
    numbers = (float, Decimal)
    return to_json([int(item) if isinstance(item, numbers) and item % 1 == 0 else item for item in values]).decode()


class OnlineStore(Protocol):
    """Where features are looked up."""

    async def read(self, key: str) -> tuple[Filling, Sequence[Any] | None]:
        """What the store holds, and the row of a key (see `VALUES`); None if it has none."""

    async def close(self) -> None:
        """Let go of it."""


class SqliteStore:
    """A store in a SQLite file; where another file took its place, that one is read from the next request on.

    Parameters
    ----------
    path : Path or None
        The file. It need not be there yet: until then, requests are refused. None where nobody named it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.seen: tuple[int, int] | None = None
        self.connection: sqlite3.Connection | None = None
        self.filling: Filling | None = None

    async def read(self, key: str) -> tuple[Filling, Sequence[Any] | None]:
        """See `OnlineStore`; in the event loop itself, as a read takes some microseconds."""
        return self.look(key)

    def look(self, key: str) -> tuple[Filling, Sequence[Any] | None]:
        """What `read` gives, without a wait.

        Raises
        ------
        RefusedError
            If there is no store, or it cannot be read (503).
        """
        if self.path is None:
            raise _unavailable(f"{VARIABLE} names no file")
        try:
            found = os.stat(self.path)  # noqa: PTH116 - at each request: a third of the time of a Path's
            if self.seen != (found.st_ino, found.st_mtime_ns):
                self._open(self.path)
                self.seen = found.st_ino, found.st_mtime_ns
            assert self.connection is not None  # noqa: S101 - for the type checker
            assert self.filling is not None  # noqa: S101
            row = self.connection.execute("select row from features where key = ?", (key,)).fetchone()
        except (OSError, sqlite3.Error, TypeError, ValueError) as error:
            self.seen = None
            raise _unavailable(f"{type(error).__name__}") from error
        return self.filling, None if row is None else msgspec.json.decode(row[0])

    async def close(self) -> None:
        """See `OnlineStore`."""
        if self.connection is not None:
            self.connection.close()
        self.connection = self.seen = None

    def _open(self, path: Path) -> None:
        if self.connection is not None:
            self.connection.close()
        # immutable: nobody writes this file, so no lock and no journal is looked for
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        self.connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        (told,) = self.connection.execute("select row from features where key = ?", (FILLING,)).fetchone()
        self.filling = Filling(**from_json(told))


class RedisStore:
    """A store in Redis: one hash a product.

    Parameters
    ----------
    address : str
        As redis://host:port/number.
    product : str
        Whose features.
    user, password : str, optional
        By which Redis lets the service in.
    """

    def __init__(self, address: str, product: str, user: str | None = None, password: str | None = None) -> None:
        import redis.asyncio

        given: dict[str, Any] = {"username": user, "password": password, "socket_timeout": SECONDS}
        self.name = hash_of(product)
        self.client = redis.asyncio.Redis.from_url(address, socket_connect_timeout=SECONDS, **given)
        self.told: bytes | str | None = None
        self.filling: Filling | None = None

    async def read(self, key: str) -> tuple[Filling, Sequence[Any] | None]:
        """See `OnlineStore`; what the store holds and the row come of one command, so of one filling.

        Raises
        ------
        RefusedError
            If Redis cannot be asked, or holds no store (503).
        """
        import redis

        try:
            told, row = await self.client.hmget(self.name, [FILLING, key])
        except (redis.RedisError, OSError) as error:
            raise _unavailable(type(error).__name__) from error
        if told is None:
            raise _unavailable("it is empty")
        if told != self.told or self.filling is None:
            self.told, self.filling = told, Filling(**from_json(told))
        return self.filling, None if row is None else msgspec.json.decode(row)

    async def close(self) -> None:
        """See `OnlineStore`."""
        await self.client.aclose()


def hash_of(product: str) -> str:
    """The name of a product's hash in Redis."""
    return f"loopline:features:{product}"


def opened(promised: dict[str, Any], product: str, environment: Mapping[str, str]) -> OnlineStore:
    """The store of a service: what its bento promises, and the environment names.

    Parameters
    ----------
    promised : dict
        What ``promoted.json`` says under ``online``.
    product : str
        Whose features.
    environment : mapping of str to str
        The variables.
    """
    if promised["store"] is not None:
        return RedisStore(promised["store"], product, environment.get(USER), environment.get(PASSWORD))
    file = environment.get(VARIABLE)
    return SqliteStore(Path(file) if file else None)


def _unavailable(why: str) -> RefusedError:
    return RefusedError(
        503,
        f"The online store of features cannot be read ({why}). Fill it with `loopline features fill PRODUCT`, and try again.",
    )

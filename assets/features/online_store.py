"""Filling the online store: the last row of each key that is known now, in a SQLite file or in Redis, replaced whole.

How a store is read stands in `bentos.online_store`, which the service imports.
"""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import from_json

from assets.errors import DataError, FeatureStoreError
from assets.features import offline_features, point_in_time, snapshots
from assets.features.point_in_time import KNOWN, Lookup, is_text
from assets.storage import manifest
from assets.storage.publishing import write_json
from assets.storage.sql import identifier
from bentos.online_store import DDL, FILLING, SECONDS, Filling, hash_of, key_text

if TYPE_CHECKING:
    import duckdb

    from assets.spec import ProductSpec
    from assets.storage.home import Home

BATCH = 20_000
"""Rows that are written together."""
DRAFT_SECONDS = 3600
"""How long after its last write Redis keeps what a killed filling left."""
FILE, RECORD = "features.sqlite", "current.json"


class Credentials(NamedTuple):
    """By which Redis lets us in; they come from the environment, and stand in no file, log or error."""

    user: str | None = None
    password: str | None = None


WITHOUT = Credentials()


@dataclass(frozen=True)
class Filled:
    """What a store holds now.

    Parameters
    ----------
    filling : Filling
        Of which snapshot, since when, and how many rows.
    digest : str
        SHA-256 over its rows: equal rows have an equal digest, whenever they were filled in.
    record : Path
        The record in the home.
    differing : list of str
        Keys of the sample that was read back of which the offline store says something else.
    sampled : int
        How many keys were read back.
    """

    filling: Filling
    digest: str
    record: Path
    differing: list[str]
    sampled: int


def folder(home: Home, product: str) -> Path:
    """Where a product's online store, or the record of it, lies."""
    return home.online / product


def path_of(home: Home, product: str) -> Path:
    """The SQLite file of a product's online store."""
    return folder(home, product) / FILE


def fill(
    home: Home,
    spec: ProductSpec,
    now: datetime,
    credentials: Credentials = WITHOUT,
    agrees: Callable[[Filled], None] = lambda _: None,
) -> Filled:
    """Fill a product's online store from its current snapshot with what is known now.

    Parameters
    ----------
    home, spec
        Where the snapshot lies, and the product, which declares `serving.online`.
    now : datetime
        The moment: rows that are known later are left out.
    credentials : Credentials
        Of Redis.
    agrees : callable
        Told what was filled and read back, before it takes the place of what is there; if it raises, nothing changes.

    Raises
    ------
    DataError
        If no row is known yet, a key is neither text nor a whole number, or rows of one key and moment differ.
    FeatureStoreError
        If Redis cannot be reached or refuses.
    """
    snapshot, lookup = snapshots.current(home, spec.name), Lookup.of(spec)
    online = spec.serving.online
    at = now.astimezone(UTC)
    moment = None if lookup.known_at is None else point_in_time.moment_literal(at.replace(tzinfo=None).isoformat(sep=" "))
    with offline_features.connected(home) as (connection, scratch):
        kinds = point_in_time.key_types(connection, lookup, snapshot.path)
        point_in_time.rows_by_key(connection, lookup, snapshot.path)
        rows, hashed = _rows(connection, spec, lookup, kinds, moment), hashlib.sha256()
        count = int((connection.execute(f"select count(*) from {point_in_time.latest(lookup, moment)}").fetchone() or (0,))[0])
        if not count:
            raise DataError(f"{spec.name}: no row of its snapshot is known by {at.isoformat()}. Land rows of the past.")
        filling = Filling(
            spec.name, snapshot.digest, at.isoformat(timespec="microseconds"), [*lookup.key], [*lookup.features], count
        )
        writer = (
            _sqlite(scratch / FILE, path_of(home, spec.name))
            if online is None or online.store is None
            else _redis(online.store, spec.name, credentials)
        )
        with writer as store:
            sample = _written(store, rows, hashed)
            store.write([(FILLING, filling.text())])
            differing = _differing(connection, spec, lookup, moment, store=store, sample=sample)
            record = folder(home, spec.name) / RECORD
            filled = Filled(filling, hashed.hexdigest(), record, differing, len(sample))
            agrees(filled)
    told = {**filling._asdict(), "digest": filled.digest, "store": None if online is None else online.store}
    write_json(record, told)
    return filled


class _Store(NamedTuple):
    """A store that is being filled."""

    write: Callable[[Sequence[tuple[str, str]]], None]
    read: Callable[[str], str | None]


@contextmanager
def _sqlite(draft: Path, target: Path) -> Iterator[_Store]:
    """A new file, which takes the place of the one before when the block succeeds."""
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("pragma journal_mode = off")
        connection.execute("pragma synchronous = off")
        connection.execute(DDL)

        def write(rows: Sequence[tuple[str, str]]) -> None:
            connection.executemany("insert into features values (?, ?)", rows)

        def read(key: str) -> str | None:
            row = connection.execute("select row from features where key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])

        yield _Store(write, read)
        connection.commit()
    manifest.publish(draft, target)


@contextmanager
def _redis(address: str, product: str, credentials: Credentials) -> Iterator[_Store]:
    """A new hash, which takes the place of the one before when the block succeeds; one that fails leaves nothing."""
    try:
        import redis
    except ImportError as error:
        raise FeatureStoreError(
            f"{product}: its online store is {address}, and redis is not installed. Run `make stores`."
        ) from error
    given: dict[str, Any] = {"username": credentials.user, "password": credentials.password, "decode_responses": True}
    name = hash_of(product)
    draft = f"{name}:draft:{uuid.uuid4().hex}"  # of this filling alone: another machine may fill at the same time
    try:
        with redis.Redis.from_url(address, socket_timeout=30, socket_connect_timeout=SECONDS, **given) as client:

            def write(rows: Sequence[tuple[str, str]]) -> None:
                client.hset(draft, mapping=dict(rows))
                client.expire(draft, DRAFT_SECONDS)

            def read(key: str) -> str | None:
                found: str | None = client.hget(draft, key)
                return found

            try:
                yield _Store(write, read)
                client.pipeline(transaction=True).persist(draft).rename(draft, name).execute()
            except BaseException:
                client.unlink(draft)
                raise
    except (redis.RedisError, OSError) as error:
        raise FeatureStoreError(
            f"{product}: the online store {address} cannot be filled ({type(error).__name__}: {error}). Start Redis, or mend "
            "serving.online.store and LOOPLINE_REDIS_USER and LOOPLINE_REDIS_PASSWORD; what it held before stays."
        ) from error


def _rows(
    connection: duckdb.DuckDBPyConnection, spec: ProductSpec, lookup: Lookup, kinds: dict[str, str], moment: str | None
) -> Iterator[list[tuple[str, str]]]:
    """The rows of a store by key, in the order of keys."""
    width = len(lookup.key)
    cursor = connection.execute(
        f"select {', '.join(map(identifier, lookup.key))}, {_row(spec, lookup, 'known_at', 'entity')} "
        f"from {point_in_time.latest(lookup, moment)} order by all"
    )
    odd = next((name for name, kind in kinds.items() if not is_text(kind) and not kind.endswith(("INT", "INTEGER"))), None)
    while batch := cursor.fetchmany(BATCH):
        if odd is not None and any(not float(row[lookup.key.index(odd)]).is_integer() for row in batch):
            raise DataError(
                f"{spec.name}: features cannot be asked by '{odd}', whose values are no whole numbers. Declare another key in "
                "serving.online.key, or cast it where the features are made."
            )
        yield [(key_text(row[:width]), row[width]) for row in batch]


def _row(spec: ProductSpec, lookup: Lookup, known_at: str, entity: str) -> str:
    """A row as SQL, in JSON: since when it is known, the entity that it is of, and its features."""
    # an infinite number is no JSON, and counts as no value
    values = [
        f"{column}::varchar"
        if spec.columns[name].type == "category"
        else f"case when isfinite({column}::double) then {column} end"
        for name in lookup.features
        for column in [identifier(name)]
    ]
    return f"json_array({', '.join([f'epoch_us({known_at})', entity, *values])})::varchar"


def _written(store: _Store, rows: Iterator[list[tuple[str, str]]], hashed: Any) -> dict[str, str]:
    """Write all rows; a sample of them, spread over all."""
    sample: dict[str, str] = {}
    for batch in rows:
        store.write(batch)
        for key, row in batch:
            hashed.update(key.encode() + b"\0" + row.encode() + b"\n")
        sample |= dict(batch[:: max(1, BATCH // 50)])
    return sample


def _differing(
    connection: duckdb.DuckDBPyConnection,
    spec: ProductSpec,
    lookup: Lookup,
    moment: str | None,
    *,
    store: _Store,
    sample: dict[str, str],
) -> list[str]:
    """Keys of which the store gives something else than the offline store says as of the same moment."""
    keys = [from_json(text) for text in sample]
    names = [identifier(name) for name in lookup.key]
    connection.execute(f"create or replace temp table sampled as select {', '.join(names)} from {KNOWN} limit 0")
    connection.executemany(f"insert into sampled values ({', '.join('?' * len(names))})", keys)
    ageless = Lookup(lookup.product, lookup.key, dict.fromkeys(lookup.features), lookup.known_at, lookup.entity)
    asked = "sampled" if moment is None else f"(select *, {moment} as moment from sampled)"
    query = point_in_time.joined(ageless, asked, None if moment is None else "asked.moment", is_column=moment is not None)
    row = _row(spec, lookup, identifier(point_in_time.KNOWN_AT), "null")
    expected = connection.execute(f"select {', '.join(names)}, {row} from ({query})").fetchall()
    differing = []
    for *key, told in expected:
        found, wanted = store.read(text := key_text(key)), from_json(told)
        if found is None or [*(held := from_json(found))[:1], *held[2:]] != [*wanted[:1], *wanted[2:]]:
            differing.append(text)
    return differing

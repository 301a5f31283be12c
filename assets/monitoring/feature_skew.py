"""Feature skew: holds what services looked up by key against what the offline store says as of the same moment, row by row.

The prediction log keeps the features of each answered row, and of a look-up its key, its moment, and the snapshot that the
online store was filled from. The offline store is asked the same of that snapshot, as of the moment of the filling: it reads
nothing that was known later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import DataError, DigestError
from assets.features import offline_features, point_in_time, snapshots
from assets.features.point_in_time import KNOWN, KNOWN_AT, Lookup, is_fresh
from assets.monitoring import log_views, logged_requests
from assets.storage import log_keys, pseudonym_key
from assets.storage.sql import identifier, literal
from bentos.pseudonyms import pseudonym

if TYPE_CHECKING:
    import duckdb

    from assets.spec import ProductSpec
    from assets.storage.home import Home

COLUMNS = ("request_id", "row_number", "features", "hidden", "looked_up")


@dataclass(frozen=True)
class FeatureSkew:
    """A feature that was served otherwise than it was known.

    Parameters
    ----------
    feature : str
        Which; `KNOWN_AT` stands for the row's own moment.
    rows : int
        Of how many answered rows.
    later : int
        Of how many of them the row that was served became known only after the moment that was asked for.
    largest : float or None
        The largest difference of a number; None of a category.
    request_id : str
        One of the requests.
    """

    feature: str
    rows: int
    later: int
    largest: float | None
    request_id: str


@dataclass(frozen=True)
class Skew:
    """What became of all logged rows whose features were looked up.

    Parameters
    ----------
    rows : int
        The rows.
    compared : int
        Those that were held against the offline store.
    pruned : int
        Those whose snapshot is not there any more.
    private : int
        Those whose key the log does not keep.
    hidden : dict of str to int
        By feature, the rows in which the log does not keep it as it was; it is not compared there.
    skews : list of FeatureSkew
        What differs, the commonest first.
    """

    rows: int
    compared: int
    pruned: int
    private: int
    hidden: dict[str, int] = field(default_factory=dict)
    skews: list[FeatureSkew] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As a record."""
        return asdict(self)


def compare(home: Home, spec: ProductSpec) -> Skew:
    """Hold all logged rows whose features were looked up against the offline store.

    Parameters
    ----------
    home, spec
        Whose log.

    Raises
    ------
    DataError
        If no logged row was asked by key.
    HomeError
        If the log is encrypted, and the private key cannot be had.
    """
    lookup = _ageless(Lookup.of(spec))
    with log_views.connected(home, spec.name) as connection:
        rows = _logged(connection, home, spec.name, lookup)
        if not rows:
            raise DataError(
                f"{spec.name}: no logged row was asked by key. Ask its service under /predict_by_key; serving.prediction_log "
                "says what is kept."
            )
        private = _count(connection, "is_private")
        skews: dict[str, FeatureSkew] = {}
        hidden: dict[str, int] = {}
        compared = pruned = 0
        for (digest,) in connection.execute("select distinct snapshot from logged where not is_private order by 1").fetchall():
            try:
                path = snapshots.opened(home, spec.name, digest).path
            except (DigestError, OSError):
                pruned += _count(connection, f"not is_private and snapshot = {literal(digest)}")
                continue
            compared += _count(connection, f"not is_private and snapshot = {literal(digest)}")
            for name, count, found in _of_snapshot(connection, home, spec, lookup, path):
                if count:
                    hidden[name] = hidden.get(name, 0) + count
                if found is not None:
                    skews[name] = _together(skews.get(name), found)
    ordered = sorted(skews.values(), key=lambda item: (-item.rows, item.feature))
    return Skew(rows, compared, pruned, private, dict(sorted(hidden.items())), ordered)


def _ageless(lookup: Lookup) -> Lookup:
    """The same look-up without hours: those that held are in the log."""
    return Lookup(lookup.product, lookup.key, dict.fromkeys(lookup.features), lookup.known_at, lookup.entity)


def _count(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    return int((connection.execute(f"select count(*) from logged where {condition}").fetchone() or (0,))[0])


def _logged(connection: duckdb.DuckDBPyConnection, home: Home, product: str, lookup: Lookup) -> int:
    """Make the table of logged look-ups; how many there are."""
    known = log_keys.keys(home)
    log_views.view(
        connection,
        "log",
        logged_requests.files(home, product),
        COLUMNS,
        table=logged_requests.table(),
        lines_of=lambda file: logged_requests.lines_of(file, known),
    )
    key = ", ".join(f"looked_up->>'$.key.\"{name}\"' as {identifier(_part(name))}" for name in lookup.key)
    lacking = " or ".join(f"looked_up->>'$.key.\"{name}\"' is null" for name in lookup.key)
    moments = ", ".join(
        f"(looked_up->>'$.{name}')::timestamptz::timestamp as {name}" for name in ("asked_at", "known_at", "filled_at")
    )
    connection.execute(
        f"create temp table logged as select request_id, row_number, features::json as features, hidden::json as hidden, "
        f"looked_up->>'$.snapshot' as snapshot, {moments}, {key}, {lacking} as is_private, "
        "looked_up->'$.hidden' as key_hidden, looked_up->'$.ttl_hours' as ttl_hours, looked_up->'$.request' as request "
        "from (select * replace (looked_up::json as looked_up) from log where looked_up is not null)"
    )
    return _count(connection, "true")


def _part(name: str) -> str:
    """The column of a part of the key, as it was logged."""
    return f"logged {name}"


def _of_snapshot(
    connection: duckdb.DuckDBPyConnection, home: Home, spec: ProductSpec, lookup: Lookup, path: Path
) -> Iterator[tuple[str, int, FeatureSkew | None]]:
    """By feature, the rows in which it is not logged as it was, and what differs, of the look-ups of one snapshot."""
    kinds = point_in_time.key_types(connection, lookup, path)
    point_in_time.rows_by_key(connection, lookup, path)
    plain, joins = [], []
    for place, (name, kind) in enumerate(kinds.items()):
        given = f"logged.{identifier(_part(name))}"
        if _hashes(connection, name):
            _pseudonyms(connection, home, name, table := f"pseudonyms_{place}")
            joins.append(f"left join {table} on {table}.pseudonym = {given}")
            given = f"coalesce({table}.value::varchar, {given})"
        typed = given if point_in_time.is_text(kind) else _numeric(given, kind)
        plain.append(f"{typed} as {identifier(name)}")
    digest = literal(path.stem)
    asked = (
        f"(select {', '.join(plain)}, request_id as r_request_id, logged.features as r_features, "
        "logged.hidden as r_hidden, filled_at as r_moment, asked_at as r_asked_at, logged.known_at as r_known_at, "
        f"logged.ttl_hours as r_ttl_hours, logged.request as r_request from logged {' '.join(joins)} "
        f"where not is_private and snapshot = {digest})"
    )
    is_timed = lookup.known_at is not None
    query = point_in_time.joined(lookup, asked, "asked.r_moment" if is_timed else None, is_column=is_timed)
    connection.execute(f"create or replace temp table served as {query}")
    for name in (KNOWN_AT, *lookup.features):
        yield name, *_of_feature(connection, spec, lookup, name)


def _numeric(text: str, kind: str) -> str:
    """A number that was logged as 3 or 3.0, in the type of the key."""
    return f"coalesce(try_cast({text} as {kind}), try_cast(try_cast({text} as double) as {kind}))"


def _of_feature(
    connection: duckdb.DuckDBPyConnection, spec: ProductSpec, lookup: Lookup, name: str
) -> tuple[int, FeatureSkew | None]:
    if name == KNOWN_AT:
        logged, expected, is_hidden, is_text = "r_known_at", identifier(KNOWN_AT), "false", True
    else:
        is_text = spec.columns[name].type == "category"
        logged, expected = f"r_features->>'$.\"{name}\"'", f"{identifier(name)}::{'varchar' if is_text else 'double'}"
        if not is_text:
            logged, expected = f"try_cast({logged} as double)", f"case when isfinite({expected}) then {expected} end"
        if lookup.known_at is not None:
            hours = f"coalesce(try_cast(r_ttl_hours as double), try_cast(r_ttl_hours->>'$.\"{name}\"' as double), 1e6)"
            expected = f"case when {is_fresh('r_asked_at', identifier(KNOWN_AT), hours)} then {expected} end"
        is_hidden = f"coalesce(r_hidden->>'$.\"{name}\"' is not null, false)"
    is_given = "false" if name == KNOWN_AT else f"coalesce(list_contains(r_request::varchar[], {literal(name)}), false)"
    compared = f"not {is_hidden} and not {is_given}"
    differs = f"{compared} and {logged} is distinct from {expected}"
    apart = "null" if is_text else f"max(abs({logged} - {expected})) filter ({differs})"
    counted = connection.execute(
        f"select count(*) filter ({is_hidden}), count(*) filter ({differs}), {apart}, min(r_request_id) filter ({differs}) "
        "from served"
    ).fetchone()
    hidden, rows, largest, request_id = counted or (0, 0, None, None)
    if not rows:
        return int(hidden), None
    later = _later(connection, lookup, name, logged, differs)
    return int(hidden), FeatureSkew(name, int(rows), later, None if largest is None else float(largest), str(request_id))


def _later(connection: duckdb.DuckDBPyConnection, lookup: Lookup, name: str, logged: str, differs: str) -> int:
    """Of how many rows that differ the value is that of a row of the same key that was known only later."""
    if lookup.known_at is None:
        return 0
    value = "later.known_at" if name == KNOWN_AT else f"later.{identifier(name)}"
    same = " and ".join(f"later.{identifier(part)} = served.{identifier(part)}" for part in lookup.key)
    kind = "::varchar" if "try_cast" not in logged and name != KNOWN_AT else ""
    found = connection.execute(
        f"select count(*) from (select * from served where {differs}) as served where exists (select 1 from {KNOWN} as later "
        f"where {same} and later.known_at > r_moment and {value}{kind} is not distinct from {logged})"
    ).fetchone()
    return int((found or (0,))[0])


def _hashes(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether some look-ups hold a pseudonym of a part of the key."""
    return bool(_count(connection, f"key_hidden->>'$.\"{name}\"' = 'hash'"))


def _pseudonyms(connection: duckdb.DuckDBPyConnection, home: Home, name: str, table: str) -> None:
    """Make the table of the pseudonyms of all values of a part of the key."""
    import pyarrow as pa

    secret = pseudonym_key.secret(home)
    connection.execute(
        f"create or replace temp table {table} as select null::varchar as pseudonym, null::varchar as value limit 0"
    )
    values = [row[0] for row in connection.execute(f"select distinct {identifier(name)} from {KNOWN}").fetchall()]
    for begin in range(0, len(values), offline_features.ROWS_TOGETHER):
        part: Sequence[Any] = values[begin : begin + offline_features.ROWS_TOGETHER]
        made = pa.table(
            {"pseudonym": [pseudonym(secret, name, value) for value in part], "value": [str(value) for value in part]}
        )
        connection.register("made", made)
        connection.execute(f"insert into {table} select pseudonym, value from made")
        connection.unregister("made")


def _together(before: FeatureSkew | None, found: FeatureSkew) -> FeatureSkew:
    """What was found of a feature in two snapshots."""
    if before is None:
        return found
    largest = max((item for item in (before.largest, found.largest) if item is not None), default=None)
    return FeatureSkew(found.feature, before.rows + found.rows, before.later + found.later, largest, before.request_id)

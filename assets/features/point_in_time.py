"""Point in time: joins entities with the last row of their key that was known at a moment, by DuckDB's ASOF join.

A row of a snapshot is known from `features.predicted_at` on, or from `features.event_time` where that is not declared. Nothing
of a later row is ever read into an earlier moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import DataError
from assets.spec import ProductSpec
from assets.spec.online import key_of, looked_up
from assets.storage.sql import identifier, literal, parquet

if TYPE_CHECKING:
    import duckdb

KNOWN = "known"
"""The view of all rows by key and moment."""
KNOWN_AT = "features_known_at"
"""The column with the moment (UTC) since which the features of a row were known; null where the key had none by then."""
HOUR = 3_600_000_000
"""Microseconds of an hour."""


@dataclass(frozen=True)
class Lookup:
    """What is looked up of a product, and by what.

    Parameters
    ----------
    product : str
        Whose features.
    key : tuple of str
        The columns by which they are asked.
    features : mapping of str to float or None
        The features, each with the hours after which it is too old.
    known_at : str or None
        The column with the moment since which a row is known (UTC); None where rows have no time.
    entity : str
        The column that identifies a row.
    """

    product: str
    key: tuple[str, ...]
    features: Mapping[str, float | None]
    known_at: str | None
    entity: str

    @classmethod
    def of(cls, spec: ProductSpec) -> Lookup:
        """What a product declares: all features but those of the request, by its entity or by `serving.online.key`."""
        features, key = spec.features, key_of(spec)
        wanted = {name: hours for name, hours in looked_up(spec).items() if name not in key}
        return cls(spec.name, key, wanted, features.predicted_at or features.event_time, features.entity)


def key_types(connection: duckdb.DuckDBPyConnection, lookup: Lookup, snapshot: Path) -> dict[str, str]:
    """The DuckDB type of each column of the key.

    Raises
    ------
    DataError
        If one is no text and no number.
    """
    described = connection.execute(f"describe from {parquet(str(snapshot))}").fetchall()
    found = {row[0]: row[1] for row in described if row[0] in lookup.key}
    for name, kind in found.items():
        if not is_text(kind) and not is_number(kind):
            raise DataError(
                f"{lookup.product}: features cannot be asked by '{name}', whose values are {kind.lower()}. A key is text or a "
                "whole number: declare another in serving.online.key, or cast it where the features are made."
            )
    return {name: found[name] for name in lookup.key}


def is_text(kind: str) -> bool:
    """Whether a DuckDB type holds text."""
    return kind == "VARCHAR" or kind.startswith("ENUM")


def is_number(kind: str) -> bool:
    """Whether a DuckDB type holds numbers that can be a key."""
    return kind.endswith("INT") or kind in ("INTEGER", "UINTEGER", "DOUBLE", "FLOAT") or kind.startswith("DECIMAL")


def rows_by_key(connection: duckdb.DuckDBPyConnection, lookup: Lookup, snapshot: Path, name: str = KNOWN) -> None:
    """Make the view of a snapshot's rows by key and moment: the key, ``known_at``, ``entity`` and the features.

    Rows without a key or a moment are left out: nobody can ask for them.

    Raises
    ------
    DataError
        If rows of one key and moment differ in a feature, so that none of them is the one that was known.
    """
    known_at = "null::timestamp" if lookup.known_at is None else f"{identifier(lookup.known_at)}::timestamp"
    given = [*lookup.key, *([] if lookup.known_at is None else [lookup.known_at])]
    whole = " and ".join(f"{identifier(column)} is not null" for column in given)
    columns = ", ".join(identifier(column) for column in (*lookup.key, *lookup.features))
    is_key = lookup.key == (lookup.entity,)
    entity = "null::varchar" if is_key else f"{identifier(lookup.entity)}::varchar"
    rows = f"from {parquet(str(snapshot))} where {whole}"
    by = ", ".join(identifier(column) for column in (*lookup.key, "known_at"))
    connection.execute(f"drop table if exists {name}_once")
    connection.execute(
        f"create or replace temp view {name} as select {columns}, {known_at} as known_at, {entity} as entity {rows}"
    )
    if is_key:  # the contract holds it to one row an entity
        return
    repeated = f"select {by}, count(*) from {{}} group by {by} having count(*) > 1 limit 1"
    if connection.execute(repeated.format(name)).fetchone() is None:
        return
    # rows that agree in what is looked up are one
    connection.execute(
        f"create temp table {name}_once as select * exclude (entity), max(entity) as entity from {name} group by all"
    )
    connection.execute(f"create or replace temp view {name} as from {name}_once")
    twice = connection.execute(repeated.format(name)).fetchone()
    if twice is not None:
        values = ", ".join(f"{column} {value}" for column, value in zip(lookup.key, twice, strict=False))
        moment = "" if lookup.known_at is None else f" and the moment {twice[-2]}"
        differing = _differing(connection, lookup, name, twice[:-1])
        raise DataError(
            f"{lookup.product}: {twice[-1]} rows of the key ({values}){moment} differ in {', '.join(differing)}, so none of "
            "them is the one that was known. List these features in serving.online.request, or declare a key that tells the "
            "rows apart."
        )


def _differing(
    connection: duckdb.DuckDBPyConnection, lookup: Lookup, name: str, values: Sequence[object], most: int = 3
) -> list[str]:
    """Features in which rows of one key and moment differ, the first few."""
    same = " and ".join(f"{identifier(column)} is not distinct from ?" for column in (*lookup.key, "known_at"))
    counts = ", ".join(
        f"count(distinct {identifier(column)}) + count(*) filter ({identifier(column)} is null)" for column in lookup.features
    )
    found = connection.execute(f"select {counts} from {name} where {same}", list(values)).fetchone() or ()
    differing = [column for column, count in zip(lookup.features, found, strict=True) if count > 1]
    return [*differing[:most], *([f"{len(differing) - most} more"] if len(differing) > most else [])]


def latest(lookup: Lookup, moment: str | None, known: str = KNOWN) -> str:
    """The relation of each key's last row that was known by one moment (an SQL literal); all rows where none has a time."""
    if moment is None:
        return known
    by = ", ".join(identifier(column) for column in lookup.key)
    last = f" qualify row_number() over (partition by {by} order by known_at desc) = 1"
    return f"(select * from {known} where known_at <= {moment}{last if lookup.key != (lookup.entity,) else ''})"


def joined(lookup: Lookup, asked: str, moment: str | None, *, is_column: bool, known: str = KNOWN) -> str:
    """The query that gives each row of a relation its features.

    Parameters
    ----------
    lookup : Lookup
        What is looked up; rows of the relation have the columns of its key, of the same types.
    asked : str
        The relation, as SQL.
    moment : str or None
        The moment (UTC, without zone) as of which its rows ask, as SQL; None where rows have no time.
    is_column : bool
        Whether that moment is an expression over each row, called ``asked``, instead of one for all rows.
    known : str
        The view from `rows_by_key`.

    Returns
    -------
    str
        A query of the relation's columns, the features, and `KNOWN_AT`. A feature that is older than its hours is null.
    """
    same = " and ".join(f"asked.{identifier(column)} = known.{identifier(column)}" for column in lookup.key)
    columns = []
    for name, hours in lookup.features.items():
        value = f"known.{identifier(name)}"
        fresh = None if hours is None or moment is None else is_fresh(moment, "known.known_at", hours)
        columns.append(value if fresh is None else f"case when {fresh} then {value} end as {identifier(name)}")
    listed = ", ".join(["asked.*", *columns, f"known.known_at as {identifier(KNOWN_AT)}"])
    if is_column:
        return f"select {listed} from {asked} as asked asof left join {known} as known on {same} and {moment} >= known.known_at"
    return f"select {listed} from {asked} as asked left join {latest(lookup, moment, known)} as known on {same}"


def is_fresh(moment: str, known_at: str, hours: float | str) -> str:
    """The SQL condition that what was known at one moment is not too old at another; the hours may be SQL."""
    length = f"cast({hours} * {HOUR} as bigint)" if isinstance(hours, str) else str(round(hours * HOUR))
    return f"{moment} <= {known_at} + to_microseconds({length})"


def moment_literal(text: str) -> str:
    """A moment (UTC, without zone) as SQL."""
    return f"{literal(text)}::timestamp"

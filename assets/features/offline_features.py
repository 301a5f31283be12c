"""Offline features: the features of given entities as they were known at a moment, for training sets and notebooks.

Everything runs in DuckDB, which spills what does not fit into its memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import DataError
from assets.features import point_in_time, snapshots
from assets.features.point_in_time import KNOWN, KNOWN_AT, Lookup, is_fresh, is_number, is_text
from assets.features.snapshots import Snapshot
from assets.storage.drafts import draft_folder
from assets.storage.publishing import publishing
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal, parquet

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from assets.spec import ProductSpec
    from assets.storage.home import Home

MEMORY = "2GB"
"""What DuckDB may take; beyond it, it spills to disk."""
ROWS_TOGETHER = 1 << 17
"""Rows that go through Python together."""
SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True)
class Retrieved:
    """What was found of the entities that were asked for.

    Parameters
    ----------
    path : Path
        The file with their rows and features.
    snapshot : str
        The digest of the snapshot that they come from.
    rows : int
        The rows that asked.
    unknown : int
        Rows whose key had no features by their moment.
    expired : dict of str to int
        By feature, the rows of which it was too old and is missing; those that age alike have the same number.
    """

    path: Path
    snapshot: str
    rows: int
    unknown: int
    expired: Mapping[str, int]


def retrieve(
    home: Home,
    spec: ProductSpec,
    entities: Path,
    out: Path,
    *,
    as_of: datetime | None = None,
    time_column: str | None = None,
    snapshot: Snapshot | None = None,
) -> Retrieved:
    """Write the features of entities, as they were known at a moment, beside what a file holds of them.

    Parameters
    ----------
    home, spec
        Where snapshots lie, and the product.
    entities : Path
        A Parquet or CSV file of shape (n_rows, n_columns) with the columns of the key; n_rows may be larger than the memory.
    out : Path
        A Parquet or CSV file to write: the columns of `entities`, the features, and since when they were known (UTC). Its rows
        are in no particular order.
    as_of : datetime, optional
        The moment as of which all rows ask; without an offset it is UTC.
    time_column : str, optional
        The column of `entities` with the moment as of which each row asks. Exactly one of the two is given, and neither where
        the product has no `features.event_time`.
    snapshot : Snapshot, optional
        Another snapshot than the current one.

    Raises
    ------
    DataError
        If a file or a column is missing or of another type, or nothing was known of any row.
    """
    lookup = Lookup.of(spec)
    _require_moment(lookup, as_of, time_column)
    if out.suffix not in SUFFIXES:
        raise DataError(f"{out} must end with {' or '.join(SUFFIXES)}. Give another name.")
    chosen = snapshot or snapshots.current(home, spec.name)
    with connected(home) as (connection, scratch):
        asked, kind = _asked(connection, lookup, chosen.path, entities, time_column)
        moment = _moment(lookup, as_of, time_column, kind)
        point_in_time.rows_by_key(connection, lookup, chosen.path)
        made = scratch / "features.parquet"
        try:
            query = point_in_time.joined(lookup, asked, moment, is_column=time_column is not None)
            connection.execute(f"copy ({query}) to {literal(str(made))} (format parquet, compression zstd)")
        except _refused() as error:
            raise DataError(_unreadable(entities, error)) from error
        counted = _counted(connection, lookup, made, moment)
        if counted["rows"] == counted["unknown"]:
            raise DataError(_nothing(connection, lookup, made, entities, moment))
        with publishing(out) as draft:
            if out.suffix == ".csv":
                connection.execute(f"copy (from {parquet(str(made))}) to {literal(str(draft))} (format csv, header)")
            else:
                shutil.move(made, draft)
    return Retrieved(out, chosen.digest, **counted)


def features_of(
    home: Home,
    spec: ProductSpec,
    entities: pd.DataFrame,
    *,
    as_of: datetime | None = None,
    time_column: str | None = None,
    snapshot: Snapshot | None = None,
) -> pd.DataFrame:
    """The features of entities as a frame, for notebooks; its rows are in the order of `entities`.

    Parameters
    ----------
    home, spec, as_of, time_column, snapshot
        As for `retrieve`.
    entities : DataFrame
        Of shape (n_rows, n_columns), with the columns of the key.

    Returns
    -------
    DataFrame
        Of n_rows rows: the columns of `entities`, the features, and `KNOWN_AT`.
    """
    import pandas as pd

    place = "row_of_entities"
    with draft_folder(home) as scratch:
        given, found = scratch / "entities.parquet", scratch / "features.parquet"
        entities.assign(**{place: range(len(entities))}).to_parquet(given, index=False)
        retrieve(home, spec, given, found, as_of=as_of, time_column=time_column, snapshot=snapshot)
        frame: pd.DataFrame = pd.read_parquet(found).sort_values(place).drop(columns=place)
    return frame.set_axis(entities.index)


@contextmanager
def connected(home: Home) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A connection of bounded memory that thinks in UTC, and a folder for drafts."""
    with draft_folder(home) as scratch, scratch_database(scratch, MEMORY) as connection:
        connection.execute("set preserve_insertion_order = false")
        yield connection, scratch


def _require_moment(lookup: Lookup, as_of: datetime | None, time_column: str | None) -> None:
    if lookup.known_at is None and (as_of is not None or time_column is not None):
        raise DataError(
            f"{lookup.product}: its rows have no time, so they cannot be asked as of a moment. Leave out --as-of and "
            "--time-column, or declare features.event_time."
        )
    if lookup.known_at is not None and (as_of is None) == (time_column is None):
        raise DataError(
            f"{lookup.product}: give --as-of, one moment for all entities, or --time-column, the column with that of each; "
            "exactly one of them."
        )


def _moment(lookup: Lookup, as_of: datetime | None, time_column: str | None, kind: str) -> str | None:
    """The SQL expression of the moment as of which a row asks; `kind` is the type of the column that says it."""
    if lookup.known_at is None:
        return None
    if as_of is not None:
        at = as_of if as_of.tzinfo is None else as_of.astimezone(UTC).replace(tzinfo=None)
        return point_in_time.moment_literal(at.isoformat(sep=" "))
    if kind == "TIMESTAMP":  # in UTC already; two casts by way of a zone take longer than the join's own comparison
        return f"asked.{identifier(str(time_column))}"
    # with the session in UTC: of a text or a moment with an offset, the moment in UTC
    return f"asked.{identifier(str(time_column))}::timestamptz::timestamp"


def _asked(
    connection: duckdb.DuckDBPyConnection, lookup: Lookup, snapshot: Path, entities: Path, time_column: str | None
) -> tuple[str, str]:
    """The file of entities as a relation whose key has the types that the snapshot's has, and the type of its moments."""
    kinds = point_in_time.key_types(connection, lookup, snapshot)
    if not entities.is_file():
        raise DataError(f"{entities} is no file. Give a Parquet or CSV file with the column {', '.join(lookup.key)}.")
    if entities.suffix not in SUFFIXES:
        raise DataError(f"{entities} must be a Parquet or CSV file, and end with {' or '.join(SUFFIXES)}.")
    relation = parquet(str(entities))
    try:
        if entities.suffix == ".csv":
            header = [row[0] for row in connection.execute(_csv(entities, "all_varchar = true, header = true")).fetchall()]
            texts = {**{name: kind for name, kind in kinds.items() if name in header}}
            if time_column is not None and time_column in header:
                texts[time_column] = "VARCHAR"
            types = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in texts.items())
            relation = f"read_csv({literal(str(entities))}, header = true, types = {{{types}}})" if texts else relation
            present = dict.fromkeys(header, "VARCHAR") | texts
        else:
            present = {row[0]: row[1] for row in connection.execute(f"describe from {relation}").fetchall()}
    except _refused() as error:
        raise DataError(_unreadable(entities, error)) from error
    wanted = [*lookup.key, *([] if time_column is None else [time_column])]
    if missing := [name for name in wanted if name not in present]:
        raise DataError(
            f"{entities} has no column {', '.join(missing)}. It has: {', '.join(present)}. {lookup.product} is asked by "
            f"{', '.join(lookup.key)} (serving.online.key)."
        )
    if clashing := [name for name in present if name in {*lookup.features, KNOWN_AT}]:
        raise DataError(f"{entities} has columns that are looked up: {', '.join(clashing)}. Leave them out or rename them.")
    for name, kind in kinds.items():
        if is_text(present[name]) != is_text(kind) or is_number(present[name]) != is_number(kind):
            raise DataError(
                f"{entities}: the key '{name}' is {present[name].lower()}, but {lookup.product} has {kind.lower()}. Write the "
                "file with that type."
            )
    cast = ", ".join(f"{identifier(name)}::{kind} as {identifier(name)}" for name, kind in kinds.items())
    same = all(present[name] == kind for name, kind in kinds.items())
    return relation if same else f"(select * replace ({cast}) from {relation})", present.get(str(time_column), "")


def _csv(file: Path, options: str) -> str:
    return f"describe from read_csv({literal(str(file))}, {options})"


def _counted(connection: duckdb.DuckDBPyConnection, lookup: Lookup, made: Path, moment: str | None) -> dict[str, Any]:
    """How many rows there are, how many have no features, and of how many a feature is too old."""
    hours = sorted({item for item in lookup.features.values() if item is not None and moment is not None})
    old = "".join(
        f", count(*) filter (not ({is_fresh(str(moment), identifier(KNOWN_AT), item)}) and {identifier(KNOWN_AT)} is not null)"
        for item in hours
    )
    known = "count(*)" if lookup.known_at is None else f"count({identifier(KNOWN_AT)})"
    if lookup.known_at is None:
        same = " and ".join(f"known.{identifier(name)} = asked.{identifier(name)}" for name in lookup.key)
        known = f"count(*) filter (exists (select 1 from {KNOWN} as known where {same}))"
    rows, found, *expired = connection.execute(f"select count(*), {known}{old} from {parquet(str(made))} as asked").fetchone()
    by_hours = dict(zip(hours, expired, strict=True))
    counts = {name: int(by_hours[item]) for name, item in lookup.features.items() if item in by_hours}
    return {"rows": int(rows), "unknown": int(rows) - int(found), "expired": counts}


def _nothing(connection: duckdb.DuckDBPyConnection, lookup: Lookup, made: Path, entities: Path, moment: str | None) -> str:
    """Why no row has features: all ask before the first was known, or there are no such keys."""
    if (row := connection.execute(f"select count(*) from {parquet(str(made))}").fetchone()) is None or not row[0]:
        return f"{entities} has no rows. Give at least one entity."
    first = connection.execute(f"select min(known_at) from {KNOWN}").fetchone()[0]
    if moment is not None:
        last = connection.execute(f"select max({moment}) from {parquet(str(made))} as asked").fetchone()[0]
        if last is not None and first is not None and last < first:
            return (
                f"{lookup.product}: {entities} asks as of {last} (UTC) at the latest, before all data: the first row was known "
                f"at {first}. Ask as of a later moment."
            )
    columns = ", ".join(identifier(name) for name in lookup.key)
    theirs, ours = (
        ", ".join(map(str, connection.execute(f"select {columns} from {place} limit 1").fetchone() or ("none",)))
        for place in (parquet(str(made)), KNOWN)
    )
    return (
        f"{lookup.product}: no key of {entities} had features by its moment. Its first is {theirs}; {', '.join(lookup.key)} is "
        f"written as {ours} here. Mend the keys or the moments."
    )


def _unreadable(entities: Path, error: Exception) -> str:
    told = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{entities} cannot be read: {told} Mend the file, whose keys and moments must be of the declared types."


def _refused() -> tuple[type[Exception], ...]:
    import duckdb

    return duckdb.ConversionException, duckdb.InvalidInputException, duckdb.IOException

"""Data quality: how good the landed rows are, in six dimensions, by table and month, from what landing kept and refused.

Completeness, validity, consistency, uniqueness, timeliness, and accuracy where a reference is declared (ISO/IEC 25012; DAMA UK
Working Group, The Six Primary Dimensions for Data Quality Assessment, 2013). A score is a share between 0 and 1, with the
rows, cells or days that it rests on; a dimension that nothing is declared for has none.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.ingestion import landed_tables
from assets.ingestion.landed_tables import Landed
from assets.ingestion.row_validation import STATIC, UNASSIGNED
from assets.spec import SourceSpec, TableSpec
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal, parquet

if TYPE_CHECKING:
    import duckdb

DIMENSIONS = ("completeness", "validity", "consistency", "uniqueness", "timeliness", "accuracy")


@dataclass(frozen=True)
class Score:
    """A share, and what it is of.

    Parameters
    ----------
    value : float
        Between 0 and 1.
    of : int
        How many rows, cells or days it rests on.
    failed : int
        How many of them failed.
    """

    value: float
    of: int
    failed: int


def dimension_of(reason: str) -> str:
    """The dimension that a reason of the quarantine speaks against."""
    if reason.endswith(": missing"):
        return "completeness"
    if reason.startswith("rule "):
        return "consistency"
    if reason.startswith("duplicate"):
        return "uniqueness"
    return "timeliness" if reason.startswith("month ") else "validity"


def measure(home: Home, source: SourceSpec) -> Path:
    """Score every table of a source, and publish the record.

    Parameters
    ----------
    home : Home
        Holds what is landed and what is in quarantine.
    source : SourceSpec
        The declaration.
    """
    with draft_folder(home) as scratch, scratch_database(scratch) as connection:
        tables = {name: _table(connection, home, source, name, table) for name, table in source.tables.items()}
    return write_json(record_of(home, source.name), {"source": source.name, "tables": tables})


def record_of(home: Home, source: str) -> Path:
    """Where the record of a source lies."""
    return home.quality / f"{source}.json"


def recorded(home: Home, source: str) -> dict[str, Any] | None:
    """The record of a source, if there is one."""
    path = record_of(home, source)
    return dict(read_json(path)) if path.exists() else None


def quarantined(
    home: Home, source: str, table: str, *, month: str | None = None, reason: str | None = None, most: int = 20
) -> tuple[list[tuple[str, int]], list[dict[str, Any]]]:
    """What is in a table's quarantine.

    Parameters
    ----------
    home, source, table
        Whose.
    month : str, optional
        Only that month's.
    reason : str, optional
        Only rows with a reason that contains this text.
    most : int
        The most rows to give.

    Returns
    -------
    reasons : list of (str, int)
        Every reason with its rows, the commonest first.
    rows : list of dict
        Rows as they came, with the number of each in its file, its month, and all its reasons.
    """
    kept = [
        item for item in landed_tables.records(home, source, table) if item.rows_quarantined and month in (None, item.partition)
    ]
    if not kept:
        return [], []
    union = " union all by name ".join(
        f"select {literal(item.partition)} as partition, * from {parquet(str(home.root / item.quarantine_file))}"
        for item in kept
    )
    told = f"len(list_filter(reasons, lambda reason: contains(reason, {literal(reason)}))) > 0" if reason else "true"
    with tempfile.TemporaryDirectory() as scratch, scratch_database(scratch) as connection:
        connection.execute(f"create temp table bad as select * from ({union}) where {told}")
        ranked = connection.execute(
            "select reason, count(*) from (select unnest(reasons) as reason from bad) group by 1 order by 2 desc, 1"
        ).fetchall()
        answer = connection.execute(f"select * from bad order by partition, source_row limit {int(most)}")
        names = [item[0] for item in answer.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    return ranked, rows


def _table(
    connection: duckdb.DuckDBPyConnection, home: Home, source: SourceSpec, name: str, table: TableSpec
) -> dict[str, Any]:
    """The scores of a table: of each partition, and of all together."""
    parts = {
        item.partition: _partition(connection, home, source, table, item)
        for item in landed_tables.records(home, source.name, name)
    }
    reasons: dict[str, int] = {}
    for item in landed_tables.records(home, source.name, name):
        for reason, rows in item.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + rows
    return {
        "description": table.description,
        "rows": sum(part["rows"] for part in parts.values()),
        "scores": {dimension: asdict(score) for dimension, score in _together(parts).items()},
        "reasons": dict(sorted(reasons.items(), key=lambda item: -item[1])),
        "partitions": parts,
    }


def _partition(
    connection: duckdb.DuckDBPyConnection, home: Home, source: SourceSpec, table: TableSpec, item: Landed
) -> dict[str, Any]:
    return {
        "rows": item.rows_in,
        "quarantined": item.rows_quarantined,
        "scores": {name: asdict(score) for name, score in _scores(connection, home, source, table, item) if score.of},
    }


def _scores(
    connection: duckdb.DuckDBPyConnection, home: Home, source: SourceSpec, table: TableSpec, item: Landed
) -> Iterator[tuple[str, Score]]:
    """Each dimension that something is declared for."""
    against = dict.fromkeys(DIMENSIONS, 0)
    if item.rows_quarantined:
        bad = parquet(str(home.root / item.quarantine_file))
        for reasons, rows in connection.execute(f"select reasons, count(*) from {bad} group by 1").fetchall():
            for dimension in {dimension_of(reason) for reason in reasons}:
                against[dimension] += rows
    cells, empty = _cells(home.root / item.file, table)
    yield "completeness", _share(cells + item.rows_quarantined, empty + against["completeness"])
    yield "validity", _share(item.rows_in, against["validity"])
    if table.rules:
        yield "consistency", _share(item.rows_in, against["consistency"])
    if table.key:
        yield "uniqueness", _share(item.rows_in, against["uniqueness"])
    if item.partition == UNASSIGNED:
        yield "timeliness", _share(item.rows_in, against["timeliness"])
    elif item.partition != STATIC and table.partition is not None and table.partition.day is not None:
        yield "timeliness", _days(connection, home.root / item.file, table.partition.day, item.partition)
    if table.accuracy and item.rows_good:
        yield "accuracy", _accuracy(connection, home, source, table, home.root / item.file)


def _share(of: int, failed: int) -> Score:
    return Score(1 - failed / of if of else 1.0, of, failed)


def _cells(file: Path, table: TableSpec) -> tuple[int, int]:
    """The cells of the landed rows, and those without a value, from Parquet's own statistics."""
    import pyarrow.parquet as pq

    metadata, names = pq.read_metadata(file), set(table.names)
    empty = 0
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            column = metadata.row_group(group).column(place)
            if column.path_in_schema in names and column.statistics is not None:
                empty += column.statistics.null_count
    return metadata.num_rows * len(names), empty


def _days(connection: duckdb.DuckDBPyConnection, file: Path, day: str, month: str) -> Score:
    """The days of a month, and those on which nothing came."""
    row: Any = connection.execute(
        f"select day(last_day({literal(month + '-01')}::date)), count(distinct ({day})::date) from {parquet(str(file))}"
    ).fetchone()
    return _share(int(row[0]), int(row[0]) - int(row[1]))


def _accuracy(connection: duckdb.DuckDBPyConnection, home: Home, source: SourceSpec, table: TableSpec, file: Path) -> Score:
    """The rows that were held against a reference, and those that disagree with it."""
    of = failed = 0
    for rule in table.accuracy.values():
        reference = parquet(*map(str, landed_tables.files(home, source.name, rule.reference)))
        joined = " and ".join(f"this.{identifier(own)} = reference.{identifier(other)}" for own, other in rule.match.items())
        known = " and ".join(f"this.{identifier(own)} is not null" for own in rule.match)
        found = f"reference.{identifier(next(iter(rule.match.values())))} is not null"
        row: Any = connection.execute(
            f"select count(*), count(*) filter (not ({found} and coalesce({rule.agrees}, false))) "
            f"from {parquet(str(file))} as this "
            f"left join {reference} as reference on {joined} where {known}"
        ).fetchone()
        of, failed = of + int(row[0]), failed + int(row[1])
    return _share(of, failed)


def _together(parts: Mapping[str, dict[str, Any]]) -> dict[str, Score]:
    """The scores of all partitions together."""
    found = {}
    for dimension in DIMENSIONS:
        given = [part["scores"][dimension] for part in parts.values() if dimension in part["scores"]]
        if given:
            found[dimension] = _share(sum(item["of"] for item in given), sum(item["failed"] for item in given))
    return found

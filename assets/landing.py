"""Landing: raw files become immutable typed Parquet, a month at a time; rows that break a rule go to quarantine.

Every row of the file is either good or quarantined, with every reason. A partition is published by one small record
that names its files by digest, so a run that dies leaves the earlier landing in place. Joining and deriving belong to
the warehouse.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets import raw_files, row_checks
from assets.errors import DigestError, SourceError
from assets.row_checks import identifier, literal
from assets.spec import SourceSpec, TableSpec
from assets.storage import Home, file_digest, publish_by_digest, read_json, verified, write_json

if TYPE_CHECKING:
    import duckdb

STATIC = "static"
UNASSIGNED = "unassigned"
MEMORY = "1GB"
"""What DuckDB may take while it lands a file; beyond it, it spills to disk."""


@dataclass(frozen=True)
class Landed:
    """What is landed of one partition of one table.

    `rows_in` is always `rows_good + rows_quarantined`; `reasons` counts each reason, and a row may have several.
    """

    partition: str
    rows_in: int
    rows_good: int
    rows_quarantined: int
    reasons: dict[str, int]
    file: str
    digest: str
    quarantine_file: str
    quarantine_digest: str
    source_digest: str


def land(
    home: Home, source: SourceSpec, table_name: str, declared_in: Path, months: Sequence[str] | None = None
) -> list[Landed]:
    """Check every row of a raw file and publish the wanted partitions.

    Parameters
    ----------
    home : Home
        Where to publish.
    source : SourceSpec
        The declaration; `table_name` is one of its tables.
    declared_in : Path
        The folder of the declaration, from which a relative folder counts.
    months : sequence of str, optional
        The months to land, as ``2013-01``. None lands all that are declared, or the one partition of a static table.

    Returns
    -------
    list of Landed
        One record a partition, in order; last the rows that belong to no month, if there are any.

    Raises
    ------
    SourceError
        If the file is missing, corrupt, or has other columns than declared.
    """
    import duckdb

    table = source.tables[table_name]
    path = raw_files.locate(source, table, declared_in)
    digest = file_digest(path)
    name = f"{source.name}.{table_name} ({path.name})"
    with (
        raw_files.readable(path, table, home) as file,
        tempfile.TemporaryDirectory(dir=home.temporary) as scratch,
        duckdb.connect() as connection,
    ):
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"set memory_limit = '{MEMORY}'")
        connection.execute(f"set temp_directory = {literal(scratch)}")
        rows_read = _read(connection, table, file, Path(scratch), name)
        _check(connection, table)
        wanted = list(months) if months is not None else _partitions(table)
        counts = _partition_counts(connection, table)
        if sum(counts.values()) != rows_read:
            raise SourceError(f"{name}: {rows_read} rows read, {sum(counts.values())} accounted for. Report this.")
        if UNASSIGNED in counts or (home.landing / source.name / table_name / f"{UNASSIGNED}.json").exists():
            wanted.append(UNASSIGNED)
        _require_few_bad(connection, table, rows_read, name)
        return [
            _publish(
                connection,
                home,
                place=f"{source.name}/{table_name}",
                table=table,
                partition=partition,
                rows_in=counts.get(partition, 0),
                source=digest,
            )
            for partition in wanted
        ]


def landed(home: Home, source: str, table: str) -> list[Landed]:
    """What is landed of a table, by partition."""
    return [Landed(**read_json(record)) for record in sorted((home.landing / source / table).glob("*.json"))]


def landing_files(home: Home, source: str, table: str) -> list[Path]:
    """The Parquet files that hold a table's good rows.

    Raises
    ------
    DigestError
        If a landed file has gone or was changed.
    """
    files = [
        verified(home.root / record.file, record.digest)
        for record in landed(home, source, table)
        if record.partition != UNASSIGNED
    ]
    if not files:
        raise DigestError(f"{source}.{table}: nothing is landed. Run `loopline run` to land it.")
    return files


def _partitions(table: TableSpec) -> list[str]:
    if table.partition is None:
        return [STATIC]
    first, last = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (table.partition.start, table.partition.end))
    return [f"{index // 12:04d}-{index % 12 + 1:02d}" for index in range(first, last + 1)]


def _read(connection: duckdb.DuckDBPyConnection, table: TableSpec, path: Path, scratch: Path, name: str) -> int:
    """Make the file the relation `raw`, and what cannot be split into fields `malformed`; return the rows in all.

    A CSV file is parsed once, into Parquet; after that nothing is held in memory but what a scan needs.
    """
    import duckdb

    place = literal(str(path))
    try:
        if path.suffix == ".parquet":
            connection.execute(
                "create view raw as select file_row_number + 1 as source_row, * exclude file_row_number "
                f"from read_parquet({place}, file_row_number = true)"
            )
            connection.execute("create table malformed (line bigint, text varchar)")
        else:
            reader = (
                f"read_csv({place}, header = true, all_varchar = true, delim = {literal(table.csv.delimiter)}, quote = '\"', "
                "escape = '\"', store_rejects = true)"
            )
            copy = literal(str(scratch / "rows.parquet"))
            connection.execute(f"copy (select row_number() over () as source_row, * from {reader}) to {copy} (format parquet)")
            connection.execute(f"create view raw as select * from read_parquet({copy})")
            connection.execute(
                "create table malformed as select line, any_value(csv_line) as text from reject_errors group by line"
            )
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{name}: cannot be read ({first}). The file is corrupt or no table: fetch it again.") from error
    found = [row[0] for row in connection.execute("describe raw").fetchall()][1:]
    missing = [column for column in table.columns if column not in found]
    unknown = [column for column in found if column not in table.columns]
    if missing or unknown:
        told = [f"lacks {missing}"] * bool(missing) + [f"has undeclared {unknown}"] * bool(unknown)
        raise SourceError(
            f"{name}: the file {' and '.join(told)}. Declared are {', '.join(table.columns)}: declare the columns as the "
            "file has them, or mend the file."
        )
    return _count(connection, "select (select count(*) from raw) + (select count(*) from malformed)")


def _check(connection: duckdb.DuckDBPyConnection, table: TableSpec) -> None:
    """Define `judged`, each row typed with its partition, and fill `bad` with every reason against the rows that have any.

    Only keys that repeat and rows that are bad are kept; all else is scanned again when it is written.
    """
    found = {row[0]: row[1] for row in connection.execute("describe raw").fetchall()}
    elsewhere = literal(STATIC if table.partition is None else UNASSIGNED)
    key = ", ".join(map(identifier, table.key))
    connection.execute(f"create view typed as select source_row, {row_checks.typed_columns(table, found)} from raw")
    if table.key:
        connection.execute(
            f"create table repeated as select {key}, min(source_row) as first_row from typed group by all having count(*) > 1"
        )
    repeats = bool(table.key) and _count(connection, "select count(*) from repeated") > 0
    joined = f"typed left join repeated using ({key})" if repeats else "typed"
    first_row = "first_row" if repeats else "null::bigint as first_row"
    connection.execute(f"""
        create view judged as
        with dated as (select typed.*, {first_row}, {row_checks.month(table)} as partition_month from {joined})
        select
            *,
            case when {row_checks.is_declared_month(table)} then partition_month else {elsewhere} end as partition
        from dated
    """)
    raw = ", ".join(identifier(row_checks.RAW + name) for name in _names(table))
    connection.execute(f"""
        create table bad as
        select source_row, partition, {row_checks.reasons(table)} as reasons, null::varchar as raw_line, {raw}
        from judged
        where {row_checks.is_bad(table)}
        union all by name
        select
            {elsewhere} as partition,
            ['line ' || line || ' cannot be split into fields'] as reasons,
            text as raw_line
        from malformed
    """)


def _partition_counts(connection: duckdb.DuckDBPyConnection, table: TableSpec) -> dict[str, int]:
    """The rows of each partition, with those that cannot be split into fields."""
    elsewhere = STATIC if table.partition is None else UNASSIGNED
    counts = dict(connection.execute("select partition, count(*) from judged group by 1").fetchall())
    malformed = _count(connection, "select count(*) from malformed")
    return {**counts, elsewhere: counts.get(elsewhere, 0) + malformed} if malformed else counts


def _require_few_bad(connection: duckdb.DuckDBPyConnection, table: TableSpec, rows: int, name: str) -> None:
    bad = _count(connection, "select count(*) from bad")
    if bad > table.max_quarantined * rows:
        reasons = connection.execute(
            "select reason, count(*) from (select unnest(reasons) as reason from bad) group by 1 order by 2 desc, 1 limit 5"
        ).fetchall()
        told = "; ".join(f"{reason} ({count:,} rows)" for reason, count in reasons)
        raise SourceError(
            f"{name}: {bad:,} of {rows:,} rows are bad, at most {table.max_quarantined:.0%} may be. {told}. "
            "Nothing was landed: mend the file, correct the column's declaration, or raise 'max_quarantined'."
        )


def _publish(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    *,
    place: str,
    table: TableSpec,
    partition: str,
    rows_in: int,
    source: str,
) -> Landed:
    """Write a partition's good and bad rows by digest, then the record that makes them current."""
    types = {name: row_checks.SQL_TYPES[kind] for name, kind in table.landed_columns.items()}
    typed = ", ".join(f"{identifier(name)}::{kind} as {identifier(name)}" for name, kind in types.items())
    raw = ", ".join(f"{identifier(row_checks.RAW + name)} as {identifier(name)}" for name in _names(table))
    where = f"where partition = {literal(partition)}"
    is_bad = "not exists (select 1 from bad where bad.source_row = judged.source_row)"
    clean = _count(connection, f"select count(*) from bad {where} and source_row is not null") == 0
    good = _write(
        connection,
        # a join may change the order of rows, a filter does not
        f"select {typed} from judged {where}" + ("" if clean else f" and {is_bad} order by source_row"),
        home.landing / place,
        home,
    )
    bad = _write(
        connection,
        f"select source_row, reasons, {raw}, raw_line from bad {where} order by source_row, raw_line",
        home.quarantine / place,
        home,
    )
    reasons = dict(
        connection.execute(
            f"select reason, count(*) from (select unnest(reasons) as reason from bad {where}) group by 1 order by 2 desc, 1"
        ).fetchall()
    )
    record = Landed(
        partition,
        rows_in,
        good[2],
        bad[2],
        reasons,
        home.relative(good[0]),
        good[1],
        home.relative(bad[0]),
        bad[1],
        source,
    )
    if record.rows_in != record.rows_good + record.rows_quarantined:
        raise SourceError(
            f"{place} {partition}: {rows_in} rows in, {good[2]} good and {bad[2]} quarantined: rows were lost. Report this."
        )
    write_json(home.landing / place / f"{partition}.json", asdict(record))
    return record


def _names(table: TableSpec) -> list[str]:
    """The columns' names from the landing on."""
    return [column.name or name for name, column in table.columns.items()]


def _write(connection: duckdb.DuckDBPyConnection, query: str, folder: Path, home: Home) -> tuple[Path, str, int]:
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        temporary = Path(scratch) / "rows.parquet"
        rows = _count(connection, f"copy ({query}) to {literal(str(temporary))} (format parquet, compression zstd)")
        path, digest = publish_by_digest(temporary, folder, ".parquet")
    return path, digest, rows


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row: Any = connection.execute(query).fetchone()
    return int(row[0])

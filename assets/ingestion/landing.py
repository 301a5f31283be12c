"""Landing: raw rows become immutable typed Parquet, a month at a time; rows that break a rule go to quarantine.

They come from files, or from tables elsewhere.

Every row of the file is either good or quarantined, with every reason, but for those of forgotten entities, which are left out.
A partition is published by one small record that names its files by digest, so a run that dies leaves the earlier landing in
place. Joining and deriving belong to the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SourceError
from assets.ingestion import extracts, forgotten, raw_files, row_rules, row_validation
from assets.ingestion.landed_tables import Landed, names_in_quarantine
from assets.ingestion.row_validation import LINE, PARTITION, REASONS, STATIC, UNASSIGNED, count
from assets.spec import SourceSpec, TableSpec
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.publishing import publish_by_digest, write_json
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb


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
        If the file or table is missing, corrupt, or has other columns than declared.
    ContractError
        If a column of a table has another type than when it was last landed.
    """
    table = source.tables[table_name]
    with (
        _raw(home, source, table_name, declared_in) as (read, digest, name, version),
        draft_folder(home) as scratch,
        scratch_database(scratch) as connection,
    ):
        rows_read = row_validation.load(connection, read, name)
        raw_files.require_columns(table, list(row_validation.columns(connection)), name)
        rows_read -= forgotten.leave_out(home, connection, source.name, table_name, table)
        row_validation.judge(connection, table)
        wanted = list(months) if months is not None else _partitions(table)
        counts = row_validation.partition_counts(connection, table)
        if sum(counts.values()) != rows_read:
            raise SourceError(f"{name}: {rows_read} rows read, {sum(counts.values())} accounted for. Report this.")
        if UNASSIGNED in counts or (home.landing / source.name / table_name / f"{UNASSIGNED}.json").exists():
            wanted.append(UNASSIGNED)
        row_validation.require_few_bad(connection, table, rows_read, name)
        return [
            _publish(
                connection,
                home,
                place=f"{source.name}/{table_name}",
                table=table,
                partition=partition,
                rows_in=counts.get(partition, 0),
                source=digest,
                version=version,
            )
            for partition in wanted
        ]


@contextmanager
def _raw(
    home: Home, source: SourceSpec, table_name: str, declared_in: Path
) -> Iterator[tuple[list[raw_files.ReadFile], str, str, dict[str, Any] | None]]:
    """The rows of a file or of a table elsewhere, with the digest, the name in errors and the version of what was read."""
    table, name = source.tables[table_name], f"{source.name}.{table_name}"
    if table.stored is not None:
        with extracts.read(home, source, table_name, raw_files.base(source, declared_in)) as found:
            yield found.read, found.state, f"{name} ({found.version['table']})", found.version
        return
    path = raw_files.locate(source, table, declared_in)
    digest = raw_files.digest(path)
    with raw_files.readable(path, table, home) as read:
        yield read, digest, f"{name} ({path.name})", None


def _partitions(table: TableSpec) -> list[str]:
    if table.partition is None:
        return [STATIC]
    first, last = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (table.partition.start, table.partition.end))
    return [f"{index // 12:04d}-{index % 12 + 1:02d}" for index in range(first, last + 1)]


def _publish(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    *,
    place: str,
    table: TableSpec,
    partition: str,
    rows_in: int,
    source: str,
    version: dict[str, Any] | None,
) -> Landed:
    """Write a partition's good and bad rows by digest, then the record that makes them current."""
    types = {name: row_rules.SQL_TYPES[kind] for name, kind in table.landed_columns.items()}
    typed = ", ".join(f"{identifier(name)}::{kind} as {identifier(name)}" for name, kind in types.items())
    kept = zip(table.names, names_in_quarantine(table.names), strict=True)
    raw = ", ".join(f"{identifier(row_rules.RAW + name)} as {identifier(new)}" for name, new in kept)
    where = f"where {PARTITION} = {literal(partition)}"
    is_bad = "not exists (select 1 from bad where bad.source_row = judged.source_row)"
    clean = count(connection, f"select count(*) from bad {where} and source_row is not null") == 0
    good = _write(
        connection,
        # a join may change the order of rows, a filter does not
        f"select {typed} from judged {where}" + ("" if clean else f" and {is_bad} order by source_row"),
        home.landing / place,
        home,
    )
    bad = _write(
        connection,
        f"select source_row, {REASONS} as reasons, {raw}, {LINE} as raw_line from bad {where} order by source_row, raw_line",
        home.quarantine / place,
        home,
    )
    reasons = dict(
        connection.execute(
            f"select reason, count(*) from (select unnest({REASONS}) as reason from bad {where}) group by 1 order by 2 desc, 1"
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
        version,
    )
    if record.rows_in != record.rows_good + record.rows_quarantined:
        raise SourceError(
            f"{place} {partition}: {rows_in} rows in, {good[2]} good and {bad[2]} quarantined: rows were lost. Report this."
        )
    write_json(home.landing / place / f"{partition}.json", asdict(record))
    return record


def _write(connection: duckdb.DuckDBPyConnection, query: str, folder: Path, home: Home) -> tuple[Path, str, int]:
    with draft_folder(home) as scratch:
        temporary = scratch / "rows.parquet"
        rows = count(connection, f"copy ({query}) to {literal(str(temporary))} (format parquet, compression zstd)")
        path, digest = publish_by_digest(temporary, folder, ".parquet")
    return path, digest, rows

"""Raw rows in DuckDB: a file as the relation `raw`, and each of its rows judged by its table's declaration.

Nothing is held in memory but keys that repeat and rows that are bad; what is published stands in `landing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assets.errors import SourceError
from assets.ingestion import row_rules
from assets.ingestion.raw_files import ReadFile
from assets.spec import TableSpec
from assets.storage.sql import identifier, literal, parquet

if TYPE_CHECKING:
    import duckdb

STATIC = "static"
"""The one partition of a table that is not cut into months."""

UNASSIGNED = "unassigned"
"""Where rows of no declared month are counted."""


ROW = "source_row"
PARTITION, REASONS, LINE = identifier("row:partition"), identifier("row:reasons"), identifier("row:line")
"""What is found of a row beside the user's columns, quoted: no column is named so, whatever a user's are named."""
PLAIN = (*row_rules.WHOLE, *row_rules.BROKEN, *row_rules.MOMENTS, "VARCHAR", "BOOLEAN", "TIMESTAMP WITH TIME ZONE")
BLOCK = 200
"""The columns that are judged in one query."""
WIDE = 1_000
"""The columns from which one thread reads rows: each holds some thousand rows of all columns in memory, at several steps."""
MALFORMED = "create table malformed (file varchar, line bigint, text varchar, opened bigint)"
"""The lines that cannot be split into fields; `opened` is the line of the quote that does not close, if that is why."""
NESTED = ("STRUCT", "MAP", "UNION", "JSON", "VARIANT")


def load(connection: duckdb.DuckDBPyConnection, read: Sequence[ReadFile], name: str) -> int:
    """Make the files' rows the relation `raw`, and what cannot be split into fields `malformed`; return the rows in all.

    Nothing is held in memory but what a scan needs. Lists and structures become JSON text, other types text, and a number that
    is none (NaN, infinite) null.

    Raises
    ------
    SourceError
        If a file cannot be read.
    """
    import duckdb

    connection.execute(MALFORMED)
    selected, done = [], 0
    try:
        for file in read:
            place = str(file.rows.path)
            described = connection.execute(f"describe from {parquet(place)}").fetchall()
            values = ", ".join(f"{_plain(str(row[0]), str(row[1]))} as {identifier(named(str(row[0])))}" for row in described)
            number, numbered = f"file_row_number + {done + 1}", parquet(place, numbered=True)
            if any(str(row[0]).lower() == "file_row_number" for row in described):
                number, numbered = f"row_number() over () + {done}", parquet(place)
            selected.append(f"select {number} as source_row, {values} from {numbered}")
            done += count(connection, f"select count(*) from {parquet(place)}")
            if file.rows.malformed is not None:
                told = literal(file.told.name if len(read) > 1 else "")
                connection.execute(f"insert into malformed select {told}, * from {parquet(str(file.rows.malformed))}")
        connection.execute(f"create view raw as {' union all by name '.join(selected)}")
        return done + count(connection, "select count(*) from malformed")
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{name}: cannot be read ({first}). The file is corrupt or no table: fetch it again.") from error


def named(column: str) -> str:
    """What a column of a file is called in `raw`, which numbers its rows.

    Examples
    --------
    >>> named("Source_Row"), named("price")
    ('Source_Row_1', 'price')
    """
    return f"{column}_1" if column.casefold() == ROW else column


def columns(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The columns of `raw` but the row number, and their types."""
    return {str(row[0]): str(row[1]) for row in connection.execute("describe raw").fetchall()[1:]}


def _plain(name: str, found: str) -> str:
    """A column as a type that rules are written for."""
    own = identifier(name)
    if found.endswith("]") or found.startswith(NESTED):
        return f"to_json({own})::varchar"
    if found in row_rules.BROKEN:
        return f"case when isfinite({own}) then {own} end"
    return own if found in PLAIN else f"{own}::varchar"


def judge(connection: duckdb.DuckDBPyConnection, table: TableSpec) -> None:
    """Define `judged`, each row typed with its partition, and fill `bad` with every reason against the rows that have any.

    Only keys that repeat and rows that are bad are kept; all else is scanned again when it is written.
    """
    found = columns(connection)
    if len(found) > BLOCK:
        # looking for what thousands of columns have in common takes longer than reading them
        connection.execute("set disabled_optimizers = 'common_subexpressions'")
    if len(found) > WIDE:
        connection.execute("set threads = 1")
    elsewhere = literal(STATIC if table.partition is None else UNASSIGNED)
    key = ", ".join(map(identifier, table.key))
    connection.execute(f"create view typed as {row_rules.typed_rows(table, found, table.columns)}")
    if table.key:
        own = [name for name, column in table.columns.items() if (column.name or name) in table.key]
        connection.execute(
            f"create table repeated as select {key}, min(source_row) as {row_rules.FIRST} from "
            f"({row_rules.typed_rows(table, found, own)}) group by {key} having count(*) > 1"
        )
    repeats = bool(table.key) and count(connection, "select count(*) from repeated") > 0
    joined = f"typed left join repeated using ({key})" if repeats else "typed"
    first = row_rules.FIRST if repeats else f"null::bigint as {row_rules.FIRST}"
    connection.execute(f"""
        create view judged as
        with dated as (select typed.*, {first}, {row_rules.month(table)} as {row_rules.MONTH} from {joined})
        select
            *,
            case when {row_rules.is_declared_month(table)} then {row_rules.MONTH} else {elsewhere} end as {PARTITION}
        from dated
    """)
    _find(connection, table, found, row_rules.row_tests(table, repeats=repeats))
    raw = ", ".join(identifier(row_rules.RAW + name) for name in table.names)
    # nothing is read for no finding
    any_found = "true" if count(connection, "select count(*) from findings") else "false"
    why = f"' cannot be split into fields' || {_why('opened')}"
    connection.execute(f"""
        create table bad as
        select source_row, {PARTITION}, {REASONS}, null::varchar as {LINE}, {raw}
        from judged join (
            select source_row, flatten(list(reasons order by place)) as {REASONS} from findings group by source_row
        ) using (source_row)
        where {any_found}
        union all by name
        select
            {elsewhere} as {PARTITION},
            [ltrim(file || case when opened is null then ' line ' || line else '' end || {why})] as {REASONS},
            text as {LINE}
        from malformed
    """)


def _why(opened: str) -> str:
    """What is wrong with a line in which, or above which, a quote opens; empty for others."""
    return f"coalesce(': the quote that opens in line ' || {opened} || ' does not close', '')"


def malformed_lines(connection: duckdb.DuckDBPyConnection) -> tuple[int, str, str]:
    """The lines that cannot be split into fields: how many, the first of them with what is wrong, and what to do."""
    number = count(connection, "select count(*) from malformed")
    first = connection.execute(
        f"select ltrim(file || ' line ' || line), text, {_why('opened')}, opened from malformed order by file, line limit 1"
    ).fetchone()
    if first is None:
        return 0, "", ""
    place, text, why, opened = first
    told = f"cannot be split into the fields of the header, first {place}: {str(text)[:60]!r}{why}"
    if opened is None:
        return number, told, "Mend the file: each row needs as many fields as the header, and quotes that close"
    return number, told, f"Close the quote in line {opened}, or remove it; a quote inside a quoted text is written twice"


def _find(
    connection: duckdb.DuckDBPyConnection, table: TableSpec, found: dict[str, str], row_tests: list[tuple[str, str]]
) -> None:
    """Fill `findings` with the reasons against rows, some columns at a time: thousands at once exceed a query's memory."""
    connection.execute("create table findings (source_row bigint, place integer, reasons varchar[])")
    names = list(table.columns)
    blocks = [names[begin : begin + BLOCK] for begin in range(0, len(names), BLOCK)]
    asked = [(row_rules.column_tests(table, block), row_rules.typed_rows(table, found, block)) for block in blocks]
    for place, (tests, rows) in enumerate([*asked, (row_tests, "from judged")]):
        if tests:
            connection.execute(
                f"insert into findings select source_row, {place}, {row_rules.reasons(tests)} from ({rows}) "
                f"where {row_rules.is_bad(tests)}"
            )


def partition_counts(connection: duckdb.DuckDBPyConnection, table: TableSpec) -> dict[str, int]:
    """The rows of each partition, with those that cannot be split into fields."""
    elsewhere = STATIC if table.partition is None else UNASSIGNED
    counts = dict(connection.execute(f"select {PARTITION}, count(*) from judged group by 1").fetchall())
    malformed = count(connection, "select count(*) from malformed")
    return {**counts, elsewhere: counts.get(elsewhere, 0) + malformed} if malformed else counts


def require_few_bad(connection: duckdb.DuckDBPyConnection, table: TableSpec, rows: int, name: str) -> None:
    """Refuse a file of which more rows are bad than its declaration allows.

    Raises
    ------
    SourceError
        With the commonest reasons.
    """
    bad = count(connection, "select count(*) from bad")
    if bad > table.max_quarantined * rows:
        reasons = connection.execute(
            f"select reason, count(*) from (select unnest({REASONS}) as reason from bad where source_row is not null) "
            "group by 1 order by 2 desc, 1 limit 5"
        ).fetchall()
        told = [f"{reason} ({count:,} rows{_example(connection, table, reason)})" for reason, count in reasons]
        malformed, first, remedy = malformed_lines(connection)
        if malformed:
            told.insert(0, f"{malformed:,} lines {first}. {remedy}")
        raise SourceError(
            f"{name}: {bad:,} of {rows:,} rows are bad, at most {table.max_quarantined:.0%} may be. {'; '.join(told)}. "
            "Nothing was landed: mend the file, correct the column's declaration, or raise 'max_quarantined'."
        )


def _example(connection: duckdb.DuckDBPyConnection, table: TableSpec, reason: str) -> str:
    """The first row that a reason speaks against, with the value of the column that it is about, if it is about one."""
    about = [
        column.name or name
        for name, column in table.columns.items()
        if reason in (told for _, told in row_rules.column_tests(table, [name]))
    ]
    value = identifier(row_rules.RAW + about[0]) if about else "null"
    found: Any = connection.execute(
        f"select source_row, {value} from bad where list_contains({REASONS}, {literal(reason)}) order by source_row limit 1"
    ).fetchone()
    return f", first row {found[0]:,}" + ("" if found[1] is None else f": {str(found[1])[:40]!r}")


def count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that a query gives."""
    row: Any = connection.execute(query).fetchone()
    return int(row[0])

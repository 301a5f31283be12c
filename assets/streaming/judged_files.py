"""Judged files: the rows of a file that arrived, each typed, with every reason against it, as Arrow batches.

The rows are read and judged by what lands files, in DuckDB, inside a worker of Spark: there is no second implementation of a
rule. A file that cannot be read at all is one bad row, as a stream has nobody who could mend it and ask again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import SourceError
from assets.ingestion import raw_files, row_rules, row_validation
from assets.ingestion.forgotten import Forgotten
from assets.ingestion.landed_tables import names_in_quarantine
from assets.ingestion.row_validation import LINE, REASONS
from assets.spec import TableSpec
from assets.storage.home import Home
from assets.storage.sql import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 20_000
"""Rows of a batch that is handed to Spark."""
FILE, NUMBER, ARRIVED, AGAINST, KEY, EVENT, TEXT, GIVEN, ROW = (
    "file", "number", "arrived", "reasons", "key", "event", "line", "given", "row",
)  # fmt: skip
"""What is known of each row; the user's columns stand in `ROW`, and what the file holds, as JSON text, in `GIVEN`."""
SPARK_TYPES = {
    "integer": "bigint",
    "number": "double",
    "text": "string",
    "timestamp": "timestamp_ntz",
    "boolean": "boolean",
}
_ARROW = {"integer": "int64", "number": "float64", "text": "string", "boolean": "bool_"}


def quoted(name: str) -> str:
    """A name in Spark's SQL."""
    return "`" + name.replace("`", "``") + "`"


def schema_of(table: TableSpec) -> str:
    """The judged rows' schema, in Spark's words."""
    own = ", ".join(f"{quoted(column.name or name)}: {SPARK_TYPES[column.type]}" for name, column in table.columns.items())
    return (
        f"{FILE} string, {NUMBER} bigint, {ARRIVED} timestamp, {AGAINST} array<string>, {KEY} string, "
        f"{EVENT} timestamp_ntz, {TEXT} string, {GIVEN} string, {ROW} struct<{own}>"
    )


@dataclass(frozen=True)
class FileJudge:
    """Judges files by a table's declaration.

    Parameters
    ----------
    table : TableSpec
        The declaration.
    tests : sequence of (str, str)
        What speaks against a row beyond the declaration: conditions and reasons.
    forgotten : Forgotten
        The entities whose rows are left out.
    event_time : str, optional
        The column that dates a row.
    """

    table: TableSpec
    tests: tuple[tuple[str, str], ...]
    forgotten: Forgotten
    event_time: str | None

    def judge(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows of listed files.

        Parameters
        ----------
        batches : iterator of RecordBatch
            The columns ``path`` and ``arrived`` of files.
        """
        for listed in batches:
            for place, arrived in zip(listed["path"].to_pylist(), listed["arrived"], strict=True):
                yield from self._of_file(Path(place.removeprefix("file:")), arrived)

    def _of_file(self, path: Path, arrived: pa.TimestampScalar) -> Iterator[pa.RecordBatch]:
        import duckdb

        with tempfile.TemporaryDirectory(prefix="loopline-stream-") as scratch, duckdb.connect() as connection:
            # the processor's cores are shared out by Spark
            connection.execute("set threads = 1")
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"set temp_directory = {literal(scratch)}")
            with ExitStack() as opened:
                try:
                    _require_there(path)
                    read = opened.enter_context(raw_files.readable(path, self.table, Home(Path(scratch))))
                    row_validation.load(connection, read, path.name)
                    raw_files.require_columns(self.table, list(row_validation.columns(connection)), path.name)
                except SourceError as error:
                    yield self._unreadable(path, arrived, " ".join(str(error).split()))
                    return
                self.forgotten.leave_out(connection)
                row_validation.judge(connection, self.table)
                for batch in connection.sql(self._query()).to_arrow_reader(BATCH):
                    yield self._finished(batch, path, arrived)

    def _query(self) -> str:
        """Number, reasons, key, event, line, raw values and typed row of each row, and of each line that is none."""
        table = self.table
        kept = zip(table.names, names_in_quarantine(table.names), strict=True)
        given = ", ".join(f"{literal(new)}: {identifier(row_rules.RAW + name)}" for name, new in kept)
        typed = ", ".join(
            f"{literal(name)}: {identifier(name)}::{row_rules.SQL_TYPES[kind]}" for name, kind in self._types().items()
        )
        empty = ", ".join(f"{literal(name)}: null::{row_rules.SQL_TYPES[kind]}" for name, kind in self._types().items())
        event = "null" if self.event_time is None else identifier(self.event_time)
        more = (
            f"case when {row_rules.is_bad(self.tests)} then {row_rules.reasons(self.tests)} else [] end" if self.tests else "[]"
        )
        told = f"coalesce({REASONS}, []::varchar[])"
        return f"""
            with rows as (
                select judged.*, {REASONS}, {more}::varchar[] as "row:more"
                from judged left join (select source_row as "row:bad", {REASONS} from bad) on judged.source_row = "row:bad"
            )
            select
                source_row as {NUMBER},
                list_concat({told}, list_filter("row:more", lambda reason: not list_contains({told}, reason))) as {AGAINST},
                {self._key()} as {KEY},
                {event}::timestamp as {EVENT},
                null::varchar as {TEXT},
                to_json({{{given}}})::varchar as {GIVEN},
                {{{typed}}} as {ROW}
            from rows
            union all
            select null, {REASONS}, null, null, {LINE}, null, {{{empty}}} from bad where source_row is null
        """

    def _types(self) -> dict[str, str]:
        return {column.name or name: column.type for name, column in self.table.columns.items()}

    def _key(self) -> str:
        """The key as text; null where a part is missing."""
        if not self.table.key:
            return "null::varchar"
        types = self._types()
        # zero has a sign in text, and none in a comparison
        parts = [f"({identifier(name)}{' + 0.0' * (types[name] == 'number')})::varchar" for name in self.table.key]
        known = " and ".join(f"{identifier(name)} is not null" for name in self.table.key)
        return f"case when {known} then to_json([{', '.join(parts)}])::varchar end"

    def _finished(self, batch: pa.RecordBatch, path: Path, arrived: pa.TimestampScalar) -> pa.RecordBatch:
        """A batch in the schema that Spark was told, with the file that it is of."""
        import pyarrow as pa

        schema, rows = self._schema(), len(batch)
        columns = [pa.array([path.name] * rows), batch[NUMBER], pa.array([arrived.as_py()] * rows)]
        columns += [batch[name] for name in schema.names[3:]]
        return pa.RecordBatch.from_arrays(
            [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
        )

    def _unreadable(self, path: Path, arrived: pa.TimestampScalar, told: str) -> pa.RecordBatch:
        import pyarrow as pa

        row = {FILE: path.name, ARRIVED: arrived.as_py(), AGAINST: [f"file not read: {told}"], ROW: {}}
        return pa.RecordBatch.from_pylist([row], self._schema())

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        text, moment = pa.string(), pa.timestamp("us")
        types = {name: moment if kind == "timestamp" else getattr(pa, _ARROW[kind])() for name, kind in self._types().items()}
        return pa.schema(
            [
                (FILE, text),
                (NUMBER, pa.int64()),
                (ARRIVED, pa.timestamp("us", "UTC")),
                (AGAINST, pa.list_(text)),
                (KEY, text),
                (EVENT, moment),
                (TEXT, text),
                (GIVEN, text),
                (ROW, pa.struct(list(types.items()))),
            ]
        )


def _require_there(path: Path) -> None:
    if not path.is_file():
        raise SourceError(f"{path.name}: is gone. Leave files in the folder until they are read.")

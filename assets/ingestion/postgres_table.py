"""PostgreSQL tables: rows above the last cursor, copied in a stream inside one transaction that sees one state of the database.

What is read again, and when all of it is, stands in docs/lake.md. The connection is read from the environment and kept nowhere.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import SourceError
from assets.ingestion import stored_table
from assets.ingestion.month_span import MonthSpan, no_months
from assets.ingestion.stored_table import MOST_PIECES, MOST_ROWS, Extract, Piece, PieceWriter
from assets.spec import templates
from assets.spec.stored_tables import PostgresSpec
from assets.storage.digests import value_digest
from assets.storage.publishing import publish_by_digest
from assets.storage.scratch_database import scratch_database
from assets.storage.sql import identifier, literal, parquet

if TYPE_CHECKING:
    import pyarrow as pa

TIMEOUT_SECONDS = 10
"""How long a database may take to answer a connection that sets no time of its own."""
ORDERED = {"int2", "int4", "int8", "numeric", "float4", "float8", "date", "timestamp", "timestamptz"}
"""The types that a cursor may have."""
SETTINGS = ("timezone = 'UTC'", "datestyle = 'ISO'", "intervalstyle = 'iso_8601'", "bytea_output = 'hex'")
"""How the database writes values, whatever its own settings are."""
BLOCK = 1 << 22
"""How many bytes of the stream are parsed at a time."""


class PostgresTable:
    """What a table or query holds now, inside one transaction; close it after use.

    Parameters
    ----------
    spec : PostgresSpec
        The declaration.
    columns : sequence of str
        The columns to read.
    key : sequence of str
        Those of them that identify a row; a row that is read again replaces the one with its key.
    span : MonthSpan, optional
        The months to read.

    Raises
    ------
    SourceError
        If the variable is not set, the database does not answer, or the table or its cursor is not what is declared.
    """

    def __init__(self, spec: PostgresSpec, columns: Sequence[str], key: Sequence[str], span: MonthSpan | None = None) -> None:
        self.told, self.spec, self.columns, self.key, self.span = spec.told, spec, list(columns), list(key), span
        library = stored_table.required("psycopg", spec.told)
        self._error: type[Exception] = library.Error
        self._secrets: list[str] = []
        self._connection = self._connect(library)
        try:
            with self._told_plainly():
                self._execute("set transaction isolation level repeatable read read only")
                for setting in SETTINGS:
                    self._execute(f"set local {setting}")
                self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the transaction and the connection."""
        self._connection.close()

    def extract(self, previous: Extract | None, folder: Path) -> Extract:
        """Write rows above the last cursor as pieces; all rows where that would not give what the table holds.

        Raises
        ------
        SourceError
            If the cursor went back.
        """
        with self._told_plainly():
            if previous is None or previous.position.get("cursor") is None:
                return self._whole(folder)
            last = str(previous.position["cursor"])
            last_read, kind = literal(last), self._cursor_type
            if self.latest is None or self._ask(f"select {literal(self.latest)}::{kind} < {last_read}::{kind}")[0]:
                raise SourceError(
                    f"{self.told}: the cursor {self.spec.cursor} went back from {last} to {self.latest or 'none'}. It only "
                    "grows: the table was emptied, restored or replaced, or the column does not tell when a row changed. Name "
                    f"another cursor; if the table is right, delete {folder}, and all rows are read anew."
                )
            new = [*self._copied(f"{identifier(self.spec.cursor)} > {last_read}::{kind}", folder)]
            pieces = [*self._without_replaced(previous.pieces, new, folder), *new]
            held, read = sum(piece.rows for piece in pieces), sum(piece.rows for piece in new)
            if held != self.rows:
                known = f"the table holds {self.rows:,} rows, and {held:,} would be known"
                return self._whole(folder, f"{known}: rows came late, changed without a key, or were deleted")
            if len(pieces) > MOST_PIECES:
                return self._whole(folder, "its extract had too many small files")
            return Extract(tuple(pieces), {"cursor": self.latest}, read)

    def _whole(self, folder: Path, note: str = "") -> Extract:
        pieces = tuple(self._copied("true", folder))
        return Extract(pieces, {"cursor": self.latest}, sum(piece.rows for piece in pieces), note)

    def _look(self) -> None:
        """Learn the columns, and how many rows there are up to which cursor."""
        spec = self.spec
        self._relation = f"({spec.query}) as query" if spec.query else ".".join(map(identifier, str(spec.table).split(".")))
        described = self._execute(f"select * from {self._relation} limit 0").description or ()
        known = self._connection.adapters.types
        self.types: Mapping[str, str] = {
            item.name: str(getattr(known.get(item.type_code), "name", item.type_code)) for item in described
        }
        stored_table.require_declared(self.told, [*self.columns, spec.cursor], self.types)
        self._cursor_type = self.types[spec.cursor]
        if self._cursor_type not in ORDERED:
            raise SourceError(
                f"{self.told}: the cursor {spec.cursor} is a {self._cursor_type}. Name a column that is a number, a date or a "
                "timestamp, and grows with each new or changed row."
            )
        self._rows = "true" if self.span is None else self._months(self.span)
        own = identifier(spec.cursor)
        rows, without, latest = self._ask(
            f"select count(*), count(*) - count({own}), max({own})::text from {self._relation} where {self._rows}"
        )
        if without:
            raise SourceError(
                f"{self.told}: the cursor {spec.cursor} is null in {without:,} of {rows:,} rows, which no cursor would find. "
                "Name a column that is never null, or leave those rows out with 'query'."
            )
        self.rows, self.latest = int(rows), latest
        # a copy of the database on another server may have the same count and cursor, and other rows
        server = [self._connection.info.host, self._connection.info.port, self._ask("select current_database()::text")[0]]
        self.identity = value_digest([spec.table, spec.query, server])
        self.version = f"{spec.cursor} {latest}, {self.rows} rows"
        self.state = value_digest([self.identity, self.types, self.version])

    def _months(self, span: MonthSpan) -> str:
        kind = self.types.get(span.column, "unknown")
        if kind not in ("date", "timestamp", "timestamptz", "text", "varchar", "bpchar"):
            raise no_months(span.column, kind)
        return span.sql(kind in ("text", "varchar", "bpchar"))

    def _copied(self, condition: str, folder: Path) -> Iterator[Piece]:
        """Copy rows in the order of cursor and key, in pieces of some million rows."""
        wanted = ", ".join(self._selected(name) for name in self.columns)
        order = ", ".join(map(identifier, dict.fromkeys((self.spec.cursor, *self.key))))
        query = f"copy (select {wanted} from {self._relation} where {self._rows} and {condition} order by {order}) to stdout"
        with self._connection.cursor() as cursor, cursor.copy(f"{query} with (format csv)") as stream:
            batches = _parsed(stream, self.columns, [self.types[name] for name in self.columns])
            batch = next(batches, None)
            while batch is not None:
                with PieceWriter(folder) as writer:
                    while batch is not None and writer.rows < MOST_ROWS:
                        writer.write(batch)
                        batch = next(batches, None)
                if writer.file is not None:
                    yield Piece(writer.file, writer.rows)

    def _selected(self, name: str) -> str:
        own = identifier(name)
        return f"{own} at time zone 'UTC'" if self.types[name] == "timestamptz" else own

    def _without_replaced(self, old: Sequence[Piece], new: Sequence[Piece], folder: Path) -> Iterator[Piece]:
        """What was known, without the rows whose keys were read again."""
        if not self.key or not new:
            yield from old
            return
        read = parquet(*(str(folder / piece.file) for piece in new))
        keys = ", ".join(map(identifier, self.key))
        with scratch_database(folder) as connection:
            for piece in old:
                held, draft = parquet(str(folder / piece.file), numbered=True), folder / ".piece.tmp"
                left = f"from {held} as held anti join (select distinct {keys} from {read}) using ({keys})"
                row: Any = connection.execute(f"select count(*) {left}").fetchone()
                if row[0] == piece.rows:
                    yield piece
                elif row[0]:
                    # an anti join may change the order of rows
                    ordered = f"select * exclude (file_row_number) {left} order by file_row_number"
                    connection.execute(f"copy ({ordered}) to {literal(str(draft))} (format parquet)")
                    yield Piece(publish_by_digest(draft, folder, ".parquet")[0].name, int(row[0]))

    def _connect(self, library: Any) -> Any:
        variable = self.spec.connection
        given = templates.variable(variable)
        if not given:
            raise SourceError(
                f"{self.told}: the environment variable {variable} is not set. Set it to the database's connection, such as "
                "postgresql://USER@HOST/DATABASE."
            )
        try:
            parts = library.conninfo.conninfo_to_dict(given)
        except library.Error:
            # the error would quote the connection
            raise SourceError(
                f"{self.told}: the environment variable {variable} holds no connection that libpq reads. Write it "
                "as postgresql://USER@HOST/DATABASE or as key=value pairs."
            ) from None
        self._secrets = [str(parts[name]) for name in ("password", "passfile", "sslpassword", "sslkey") if parts.get(name)]
        try:
            return library.connect(given, **({} if "connect_timeout" in parts else {"connect_timeout": TIMEOUT_SECONDS}))
        except library.Error as error:
            raise SourceError(
                f"{self.told}: the database that {variable} names cannot be reached ({self._first_line(error)}). Start it, or "
                "correct the variable."
            ) from None

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (self._error, pa.ArrowInvalid) as error:
            raise SourceError(
                f"{self.told}: cannot be read ({self._first_line(error)}). Correct 'postgres' in the declaration, or your "
                "access to the database."
            ) from None

    def _first_line(self, error: Exception) -> str:
        """What an error says, without passwords."""
        told = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()
        for secret in self._secrets:
            told = told.replace(secret, "…")
        return told

    def _execute(self, query: str) -> Any:
        return self._connection.execute(query.encode(), prepare=False)

    def _ask(self, query: str) -> Any:
        return self._execute(query).fetchone()


def _parsed(stream: Any, names: Sequence[str], kinds: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a COPY in CSV, some megabytes at a time."""
    import pyarrow as pa
    from pyarrow import csv

    typed = {
        **dict.fromkeys(("int2", "int4", "int8"), pa.int64()),
        **dict.fromkeys(("float4", "float8"), pa.float64()),
        **dict.fromkeys(("timestamp", "timestamptz"), pa.timestamp("us")),
        "bool": pa.bool_(),
        "date": pa.date32(),
    }
    source = io.BufferedReader(_Stream(iter(stream)), BLOCK)
    if not source.peek(1):
        return
    reader = csv.open_csv(
        source,
        csv.ReadOptions(column_names=list(names), block_size=BLOCK),
        csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        csv.ConvertOptions(
            column_types={name: typed.get(kind, pa.string()) for name, kind in zip(names, kinds, strict=True)},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    with closing(reader):
        yield from reader


class _Stream(io.RawIOBase):
    """The blocks of a COPY as a file."""

    def __init__(self, blocks: Iterator[Any]) -> None:
        self._blocks, self._left = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

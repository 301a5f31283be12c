"""Rejected lines: what of a text table cannot be split into fields, line by line, as Parquet.

DuckDB rejects a record as a whole. A quote that does not close takes in the lines below it, which were rows of their own: each
is kept, with the line in which the quote opens, so that what is lost is counted in lines. How rows are read stands in
`file_formats`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from assets.storage.sql import literal

if TYPE_CHECKING:
    import duckdb

BATCH = 50_000
COUNTED = 1 << 24
"""The bytes in which line ends are counted at a time."""
LONGEST_TEXT = 10_000
Line = tuple[int, str, int]
"""The number of a line, its text, and the number of the line in which the quote opens."""


def write(connection: duckdb.DuckDBPyConnection, body: Path, before: int, target: Path) -> None:
    """Write what a scan of `body` rejected: the columns ``line``, ``text`` and ``opened``, which is null but for open quotes.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Which scanned the file, storing rejects.
    body : Path
        The file, in UTF-8.
    before : int
        The lines of the user's file that stand before its first one.
    target : Path
        Where to write.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    is_open = "bool_or(error_type = 'UNQUOTED VALUE')"
    whole = f"select line + {before} as line, any_value(csv_line) as text from reject_errors group by line having not {is_open}"
    connection.execute(f"create temp table rejected as select *, null::bigint as opened from ({whole})")
    opened: list[tuple[int, int]] = connection.execute(
        "select line_byte_position, min(byte_position) - line_byte_position from reject_errors "
        "where error_type = 'UNQUOTED VALUE' group by 1 order by 1"
    ).fetchall()
    if opened:
        lines = _lines(body, before, opened)
        schema = pa.schema([("line", pa.int64()), ("text", pa.string()), ("opened", pa.int64())])
        kept = target.with_suffix(".open.parquet")
        with pq.ParquetWriter(kept, schema) as writer:
            while batch := list(islice(lines, BATCH)):
                writer.write_table(pa.table([pa.array(values) for values in zip(*batch, strict=True)], schema=schema))
        connection.execute(f"insert into rejected from read_parquet({literal(str(kept))})")
    connection.execute(f"copy (from rejected order by line) to {literal(str(target))} (format parquet)")


def _lines(body: Path, before: int, opened: list[tuple[int, int]]) -> Iterator[Line]:
    """The lines of records with a quote that does not close.

    `opened` gives where DuckDB says that each record begins, which is up to one byte behind it, and how far its quote is from
    there.
    """
    with body.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        end_of_line = b"\n" if text.find(b"\n") >= 0 else b"\r"
        counted, number = 0, before + 1
        for position, offset in opened:
            begin = text.rfind(end_of_line, 0, position) + 1
            number += sum(text[at : min(at + COUNTED, begin)].count(end_of_line) for at in range(counted, begin, COUNTED))
            counted, first = begin, number
            end = _end(text, begin + offset, end_of_line)
            while counted < end:
                stop = text.find(end_of_line, counted, end)
                stop = end if stop < 0 else stop
                line = text[counted:stop].rstrip(b"\r")
                if line.strip():
                    yield number, line[:LONGEST_TEXT].decode("utf-8", "replace"), first
                counted, number = stop + 1, number + 1


def _end(text: mmap.mmap, quote: int, end_of_line: bytes) -> int:
    """Where the record whose open quote stands here ends: with the line of the next quote that is not doubled, or the file."""
    close = text.find(b'"', quote + 1)
    while close >= 0 and text[close + 1 : close + 2] == b'"':
        close = text.find(b'"', close + 2)
    end = text.find(end_of_line, close) if close >= 0 else -1
    return len(text) if end < 0 else end

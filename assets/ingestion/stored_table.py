"""A table that lies elsewhere, as the landing reads it: its version, its schema, and its rows as Parquet files of an extract.

What is kept of an extract between two landings stands in `extracts`; each kind of table has a module of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, Self

from assets.errors import SourceError
from assets.storage.publishing import publish_by_digest

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 2_000_000
"""The rows from which on a piece is full."""
MOST_PARTS = 64
"""The data files of a table whose rows one piece holds at most."""
MOST_PIECES = 200
"""With more pieces than that a table is read whole again, into fewer."""


@dataclass(frozen=True)
class Piece:
    """One Parquet file of an extract.

    Parameters
    ----------
    file : str
        Its name, which is its digest.
    rows : int
        How many rows it holds.
    parts : tuple of str
        The data files of the table whose rows these are; empty where the table has none.
    """

    file: str
    rows: int
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Extract:
    """The rows of a table at one version.

    Parameters
    ----------
    pieces : tuple of Piece
        Its files, in the order of their rows.
    position : dict
        Where reading goes on next time; only databases have one.
    rows_read : int
        How many rows were read from the table for it; the others were there already.
    note : str
        Why the table was read whole, if not for the first time; else empty.
    """

    pieces: tuple[Piece, ...]
    position: Mapping[str, Any] = field(default_factory=dict)
    rows_read: int = 0
    note: str = ""


class OpenedTable(Protocol):
    """A table at one version, ready to be read.

    Attributes
    ----------
    told : str
        Its name and address, without credentials.
    identity : str
        What tells it from a table that took its place.
    version : str
        The version, snapshot or cursor position that is read.
    state : str
        The digest of what it holds now: equal states have equal rows.
    types : dict of str to str
        The columns of the whole table, with their types by the table's own names.
    """

    told: str
    identity: str
    version: str
    state: str
    types: Mapping[str, str]

    def extract(self, previous: Extract | None, folder: Path) -> Extract:
        """Write the rows that `previous` does not hold as pieces into a folder; those that it holds are taken over."""


@dataclass(frozen=True)
class Part:
    """One data file of a lake table.

    Parameters
    ----------
    name : str
        What tells it from every other, deletions included.
    batches : callable
        Gives its rows.
    """

    name: str
    batches: Callable[[], Iterator[pa.RecordBatch]]


def required(module: str, told: str) -> ModuleType:
    """Import a library that the core does without.

    Raises
    ------
    SourceError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise SourceError(f"{told}: needs {library}, which is not installed. Run `make stores`.") from error


def write_pieces(parts: Sequence[Part], folder: Path) -> Iterator[Piece]:
    """Write the rows of data files as pieces; never more than a batch is held in memory.

    Parameters
    ----------
    parts : sequence of Part
        In the order of their rows.
    folder : Path
        Where to.
    """
    waiting = [*parts]
    while waiting:
        with PieceWriter(folder) as writer:
            done: list[str] = []
            while waiting and len(done) < MOST_PARTS and writer.rows < MOST_ROWS:
                part = waiting.pop(0)
                for batch in part.batches():
                    writer.write(batch)
                done.append(part.name)
        if writer.file is not None:
            yield Piece(writer.file, writer.rows, tuple(done))
        elif done:
            yield Piece("", 0, tuple(done))


class PieceWriter:
    """Writes batches as one Parquet file that is named by its digest; none where no batch comes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, 0
        self.file: str | None = None
        self._draft = folder / ".piece.tmp"
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; moments with a zone become moments in UTC without one, as the landing keeps them."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [
            column.cast(pa.timestamp(column.type.unit)) if pa.types.is_timestamp(column.type) and column.type.tz else column
            for column in batch.columns
        ]
        plain = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
        if self._writer is None:
            texts = [item.name for item in plain.schema if pa.types.is_string(item.type) or pa.types.is_large_string(item.type)]
            # an extract is read by the landing alone, whole and at once: smaller files or statistics cost more than they give
            self._writer = pq.ParquetWriter(
                self._draft, plain.schema, compression="lz4", use_dictionary=texts or False, write_statistics=False
            )
        self._writer.write_batch(plain)
        self.rows += plain.num_rows

    def __exit__(self, kind: object, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
            if kind is None:
                self.file = publish_by_digest(self._draft, self.folder, ".parquet")[0].name
            self._draft.unlink(missing_ok=True)


def of_parts(parts: Sequence[Part], previous: Extract | None, folder: Path) -> Extract:
    """The extract of a lake table: pieces whose data files are all there are kept, the others and new files are read.

    Parameters
    ----------
    parts : sequence of Part
        The table's data files, in the order in which they were added.
    previous : Extract, optional
        What an earlier landing read.
    folder : Path
        Where pieces lie.
    """
    by_name = {part.name: part for part in parts}
    groups: list[Piece | list[Part]] = []
    held: set[str] = set()
    for piece in previous.pieces if previous else ():
        left = [by_name[name] for name in piece.parts if name in by_name]
        groups += [piece] if len(left) == len(piece.parts) else [left]
        held.update(piece.parts)
    groups.append([part for part in parts if part.name not in held])
    note = ""
    if len(groups) > MOST_PIECES:
        groups, note = [[*parts]], "its extract had too many small files"
    pieces, rows_read = [], 0
    for group in groups:
        if isinstance(group, Piece):
            pieces.append(group)
        else:
            written = [*write_pieces(group, folder)]
            pieces += written
            rows_read += sum(piece.rows for piece in written)
    return Extract(tuple(pieces), rows_read=rows_read, note=note)


def require_declared(told: str, declared: Collection[str], types: Mapping[str, str]) -> None:
    """Refuse a table that lacks a declared column.

    Raises
    ------
    SourceError
        With the columns that it lacks, and those that it has.
    """
    if missing := [name for name in declared if name not in types]:
        raise SourceError(
            f"{told}: the table lacks {missing}. It has {', '.join(types)}: declare the columns as the table has them."
        )

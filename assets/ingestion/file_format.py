"""File format: one kind of raw file, as `file_formats` lists them all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.spec import TableSpec


@dataclass(frozen=True)
class Rows:
    """The rows of one file as Parquet, and, if there are any, the lines that cannot be split into fields."""

    path: Path
    malformed: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileFormat:
    """One format: how its files end, and how they are read.

    Parameters
    ----------
    name : str
        Its name.
    suffixes : tuple of str
        How its files end, in lower case with the dot.
    read : callable
        Takes the unpacked file, its declaration, an empty folder to write to, and the file that the user knows.
    relations : callable, optional
        Lists the tables of a file that may hold several.
    needs_relation : bool
        Whether the declaration must name one of them.
    is_text : bool
        Whether it is text in some encoding.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, TableSpec, Path, Path], Rows]
    relations: Callable[[Path], Collection[str]] | None = None
    needs_relation: bool = False
    is_text: bool = False

    @property
    def description(self) -> str:
        """How its files end."""
        return f"Files that end in {', '.join(self.suffixes)}."


def write_texts(target: Path, names: Sequence[str], batches: Iterator[Sequence[Sequence[Any]]]) -> Path:
    """Write batches of rows as Parquet, every value as text, None where it is missing; give the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in names])
    with pq.ParquetWriter(target, schema) as writer:
        for rows in batches:
            columns = [
                pa.array([None if value is None else str(value) for value in column], pa.string())
                for column in (zip(*rows, strict=True) if rows else [()] * len(names))
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return target

"""Number blocks: the numbers of many columns in one piece of memory, as a matrix of them is handed to an estimator."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from assets.methods.ranking import Array

LARGE = 25_000_000
"""From how many numbers on (200 MB) a block lies in a file."""


class NumberBlock:
    """A block that is filled column by column.

    A large one lies in a mapped file without a name, in the folder of temporary files: where memory is wanted for other things,
    the system may let go of its pages, as they can be read again. What is changed in memory is not written to the file.

    Parameters
    ----------
    columns, rows : int
        Its shape.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._shape = columns, rows
        self._file: Any = tempfile.TemporaryFile() if columns * rows >= LARGE else None  # noqa: SIM115 - closed by `table`
        self._memory = np.empty((0, rows) if self._file else self._shape)
        self._filled = 0

    def add(self, values: Array) -> None:
        """Fill the next column, shape (n_rows,)."""
        if self._file is None:
            self._memory[self._filled] = values
        else:
            with _named():
                self._file.write(np.ascontiguousarray(values, dtype=np.float64).data)
        self._filled += 1

    def table(self) -> Array:
        """All columns, shape (n_rows, n_columns): each lies in one piece."""
        if self._file is None:
            return self._memory.T
        with self._file as file:
            with _named():
                file.flush()
            return np.asarray(np.memmap(file, np.float64, "c", shape=self._shape)).T


@contextmanager
def _named() -> Iterator[None]:
    """Say in an error where the file lies, which has no name."""
    try:
        yield
    except OSError as error:
        error.filename = tempfile.gettempdir()
        raise

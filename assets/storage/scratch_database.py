"""A DuckDB in memory for one piece of work: what does not fit is put aside in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MEMORY = "1GB"


@contextlib.contextmanager
def scratch_database(folder: Path | str, memory: str = MEMORY) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database that thinks in UTC, puts aside in a folder what goes beyond its memory, and prints nothing.

    DuckDB takes a process without a main file, such as a forked worker, for a person's, and prints a progress bar.
    """
    import duckdb

    with duckdb.connect(config={"memory_limit": memory, "temp_directory": str(folder)}) as connection:
        connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        yield connection

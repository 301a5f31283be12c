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
    """An empty database that thinks in UTC, and puts aside in a folder what goes beyond its memory."""
    import duckdb

    with duckdb.connect(config={"memory_limit": memory, "temp_directory": str(folder)}) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection

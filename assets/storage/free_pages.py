"""Free pages: what SQLite databases hold of deleted rows is given back to the disk."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

SHARE = 0.25
"""A database is written anew where more of its pages than this are free."""


def give_back(database: Path) -> int:
    """Write a database anew without its free pages, if there are many and nobody else is using it.

    Returns
    -------
    int
        By how many bytes it is smaller.
    """
    if not database.exists():
        return 0
    with contextlib.closing(sqlite3.connect(database, timeout=1)) as connection:
        pages, free, size = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if free <= SHARE * pages:
            return 0
        try:
            connection.execute("vacuum")
        except sqlite3.OperationalError:  # it is being used; the next prune tries again
            return 0
        return int(free * size)

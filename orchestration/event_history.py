"""Dagster's history in SQLite: whole when a process is killed or the machine stops, with no wait for the disk at each event."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def held_open(folder: Path) -> Iterator[None]:
    """Keep each database under a folder open beside Dagster, and let its write-ahead log be synced only when it is full.

    Dagster opens a connection for each event and closes it, and the close of a database's last connection writes the whole
    log back and syncs it: some 1,500 times in a run. With another connection open it stays. Every commit survives the
    process; when the machine stops, the last ones may be missing, and what they recorded is made again
    (https://www.sqlite.org/wal.html, section 2.3; `pragma synchronous`).
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    held: dict[str, sqlite3.Connection] = {}

    def hold(connection: Any, _: Any) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        path = connection.execute("pragma database_list").fetchone()[2]
        if not path or not Path(path).resolve().is_relative_to(folder):
            return
        connection.execute("pragma synchronous = normal")
        if path not in held and connection.execute("pragma journal_mode").fetchone()[0] == "wal":
            held[path] = sqlite3.connect(path, check_same_thread=False)
            held[path].execute("pragma schema_version").fetchone()  # it counts once it has read

    event.listen(Engine, "connect", hold)
    try:
        yield
    finally:
        event.remove(Engine, "connect", hold)
        for connection in held.values():
            connection.close()

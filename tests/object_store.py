"""What a published home holds, for comparison with another."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from assets.storage.home import Home


def files(home: Home) -> dict[str, bytes]:
    """What a home holds, but for what is this machine's own; of databases, the rows."""
    return {
        name: rows(path) if path.suffix in (".db", ".sqlite") else path.read_bytes()
        for path in sorted(home.root.rglob("*"))
        if path.is_file()
        and not (name := home.relative(path)).startswith(("store/", "tmp/"))
        and not name.endswith(("-wal", "-shm", ".lock"))
        and name not in ("manifest.pending", "ledger/ledger.db")
    }


def rows(database: object) -> bytes:
    """The rows of a database, as statements that make it."""
    with closing(sqlite3.connect(str(database))) as connection:
        return "\n".join(connection.iterdump()).encode()

"""A real S3 server for tests, and homes that are published to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from assets.object_store.address import address_of, declare
from assets.object_store.home_store import HomeStore
from assets.promotion import ledger, published_ledger
from assets.promotion.ledger_state import Decision
from assets.storage import manifest
from assets.storage.home import Home
from assets.storage.publishing import write_json


def opened(home: Home, url: str, timeout_seconds: float = 30.0) -> HomeStore:
    """A home and the store that it is published to."""
    home.root.mkdir(parents=True, exist_ok=True)
    declare(home, address_of(url, timeout_seconds))
    found = published_ledger.opened(home)
    assert found is not None
    return found


def decision(reason: str) -> Decision:
    """Something to append to the ledger."""
    return Decision(1, "m" * 64, "s" * 64, "person", reason, by_hand=True, finding=f"leak:{reason}")


def fill(home: Home) -> Home:
    """Give a home small files, a large one, a secret one, a database and a ledger."""
    for number in range(5):
        write_json(home.reports / "churn" / f"{number}.json", {"number": number})
    (home.models / "churn").mkdir(parents=True)
    (home.models / "churn" / "large.bin").write_bytes(bytes(range(256)) * 8192)
    home.keys.mkdir()
    (home.keys / "churn.json").write_text("{}")
    (home.keys / "churn.json").chmod(0o600)
    manifest.record(home.models, home.keys)
    (home.dagster / "history").mkdir(parents=True)
    with closing(sqlite3.connect(home.dagster / "history" / "runs.db")) as connection, connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table runs (number integer)")
        connection.execute("insert into runs values (1)")
    ledger.accept(home, "churn", decision("first"))
    return home


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

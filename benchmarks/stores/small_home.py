"""A small home that is published, and a process that changes it again and again: ``python -m benchmarks.stores.small_home``."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from assets.errors import StoreError
from assets.object_store.address import address_of, declare
from assets.object_store.home_store import HomeStore
from assets.object_store.pull import pull
from assets.object_store.push import push
from assets.promotion import ledger, published_ledger
from assets.promotion.ledger_state import Decision
from assets.storage import manifest
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import write_json

PRODUCT = "churn"


def opened(home: Home, url: str, timeout_seconds: float = 30.0) -> HomeStore:
    """A home and the store that it is published to."""
    home.root.mkdir(parents=True, exist_ok=True)
    declare(home, address_of(url, timeout_seconds))
    found = published_ledger.opened(home)
    if found is None:
        raise StoreError(url)
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


def writing(home: Home, url: str, times: int, name: str, *, with_files: bool = True) -> subprocess.Popen[str]:
    """Start a process that takes what is published, then appends entries to the ledger, each after its evidence.

    It prints ``started``, and the reason of each entry once that is published.
    """
    arguments = [str(home.root), url, str(times), name, *(["--with-files"] if with_files else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stores.small_home", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def evidence_of(home: Home, number: int) -> Path:
    """The large file that the entry of a number rests on."""
    return home.models / PRODUCT / f"{number}.bin"


def main() -> None:
    """Write, as `writing` says."""
    folder, url, times, name, *more = sys.argv[1:]
    home = Home(Path(folder))
    store = opened(home, url, 5.0)
    pull(store)
    print("started", flush=True)
    for step in range(int(times)):
        if more:
            number = len(ledger.entries(home)) + 1
            evidence_of(home, number).write_bytes(bytes(2 << 20))
            manifest.record(home.models)
            write_json(home.reports / PRODUCT / "evidence.json", {"of": number})
        entry = ledger.accept(home, PRODUCT, decision(f"{name}-{step}"))
        if more:
            push(store)
        print(entry.reason, flush=True)


if __name__ == "__main__":
    main()

"""Published ledger: the entries that other machines appended to the ledger of a published home, taken over in order.

The ledger's writer loads this module by its name where a store is declared: how a home is published changes nothing that is
made, so it is in no asset's code version.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assets.errors import StoreError
from assets.object_store import address, home_store, push
from assets.object_store.address import Address
from assets.object_store.bucket import Bucket
from assets.object_store.home_store import HomeStore
from assets.object_store.record_log import Record
from assets.promotion import ledger_database, ledger_verification, registry_location
from assets.promotion.ledger_database import recorded
from assets.promotion.ledger_state import Entry
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.locks import exclusive

NAMES = {field.name for field in fields(Entry)}


@dataclass(frozen=True)
class Replica:
    """The ledger of a home as its store sees it."""

    home: Home

    def count(self) -> int:
        """How many entries it holds."""
        return len(recorded(self.home).entries)

    def head(self) -> str:
        """The digest of the last entry; empty where there is none."""
        found = recorded(self.home).entries
        return found[-1].digest if found else ""

    def take(self, entries: list[dict[str, Any]]) -> None:
        """Append entries that follow those of the home, and see that it holds the others; what is after a gap is left.

        Raises
        ------
        StoreError
            If an entry is not as it was recorded, or the home holds another in its place.
        """
        if not entries:
            return
        with ledger_database.opened(self.home) as connection:
            connection.execute("begin immediate")
            try:
                held = list(ledger_database.read(connection).entries)
                for told in sorted(entries, key=lambda item: int(item["number"])):
                    entry = self._checked(told)
                    if entry.number > len(held) + 1:
                        break
                    if entry.number <= len(held):
                        self._require(held[entry.number - 1].digest == entry.digest, entry.number)
                        continue
                    self._require(entry.previous == (held[-1].digest if held else ledger_verification.FIRST), entry.number)
                    ledger_database.append(connection, entry)
                    held.append(entry)
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    def take_database(self, file: Path) -> None:
        """As `take`, of the entries of another copy of the ledger."""
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            found = ledger_database.read(connection).entries
        self.take([vars(entry) for entry in found])

    def arrived(self) -> None:
        """Let the addresses in MLflow's database be those of this home."""
        database = self.home.registry / "mlflow.db"
        if database.exists():
            with exclusive(self.home.registry / "registry.lock"):
                registry_location.settle(self.home)

    def _checked(self, told: dict[str, Any]) -> Entry:
        self._require(told.keys() == NAMES, told.get("number"))
        entry = Entry(**told)
        self._require(entry.digest == value_digest(entry.content), entry.number)
        return entry

    def _require(self, holds: bool, number: object) -> None:  # noqa: FBT001 - a condition
        if not holds:
            raise StoreError(
                f"{ledger_database.database(self.home)} and the ledger in the store are two histories: entry {number} is "
                "another one there, or was changed. Nothing was taken. `loopline verify` says whether this home's ledger is "
                "whole; restore the other one."
            )


def opened(home: Home) -> HomeStore | None:
    """The store that a home is published to; None if none is declared."""
    declared = address.declared(home)
    return None if declared is None else at(home, declared)


def at(home: Home, place: Address) -> HomeStore:
    """A home and the store at an address, whether it is published there or not."""
    return HomeStore(home, Bucket(place), Replica(home), version("loopline"))


@dataclass(frozen=True)
class SharedLedger:
    """What the ledger's writer asks of the store: see `ledger_writer.appended`."""

    store: HomeStore

    def publish_evidence(self) -> None:
        """Publish what the next entry rests on, so that no machine meets the entry without it."""
        push.push(self.store, push.evidence)

    def append(self, entries: list[Entry]) -> tuple[bool, list[Record]]:
        """Append entries to the ledger in the store, before they are appended to the home's: see `home_store.append`."""
        return home_store.append(self.store, [vars(entry) for entry in entries])

    def took(self, records: list[Record]) -> None:
        """Take what the home's ledger lacks of records, and note that they are known."""
        home_store.took(self.store, records)


def shared(home: Home) -> SharedLedger | None:
    """The ledger that a home shares with other machines; None if it is published nowhere."""
    store = opened(home)
    return None if store is None else SharedLedger(store)

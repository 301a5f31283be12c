"""Home store: a home and the store that it is published to, and whether the two belong together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from assets.errors import DigestError, StoreConflictError, StoreError
from assets.object_store import record_log, sync_state
from assets.object_store.bucket import Bucket
from assets.object_store.record_log import FORMAT, Record
from assets.object_store.sync_state import State
from assets.storage.digests import canonical
from assets.storage.home import Home
from assets.storage.home_identity import identity_of
from assets.storage.publishing import read_json

IDENTITY = "store.json"


class LedgerCopy(Protocol):
    """The ledger of a home, as far as a store is concerned: it takes entries that other machines appended."""

    def count(self) -> int:
        """How many entries it holds."""

    def head(self) -> str:
        """The digest of the last one."""

    def take(self, entries: list[dict[str, Any]]) -> None:
        """Append entries that follow those it holds, and see that it holds the others; what is after a gap is left."""

    def arrived(self) -> None:
        """Do what follows once files of another machine are in the home."""

    def take_database(self, file: Path) -> None:
        """Append the entries of another copy of the ledger."""


@dataclass(frozen=True)
class HomeStore:
    """A home and its store.

    Parameters
    ----------
    home : Home
        The home, a folder of this machine.
    bucket : Bucket
        The store.
    ledger : LedgerCopy
        The home's ledger.
    code_version : str
        The version of Loopline that publishes.
    """

    home: Home
    bucket: Bucket
    ledger: LedgerCopy
    code_version: str = ""

    @property
    def url(self) -> str:
        """Where it is published."""
        return self.bucket.address.url


def home_id(home: Home) -> str | None:
    """The id of a home, if it has one already."""
    try:
        found = read_json(home.record).get("id")
    except (DigestError, AttributeError):
        return None
    return None if found is None else str(found)


def owner(store: HomeStore) -> str | None:
    """The id of the home that a store holds; None if nothing was ever published there.

    Raises
    ------
    StoreError
        If something else lies there.
    """
    written = store.bucket.get(IDENTITY)
    if written is None:
        return None
    try:
        held = json.loads(written)
        is_known, found = held["format"] == FORMAT, str(held["home"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"the store {store.url} holds a {IDENTITY} that Loopline did not write. Name another prefix."
        ) from error
    if not is_known:
        raise StoreError(
            f"the store {store.url} has format {held['format']}, this version of Loopline reads {FORMAT}. Use that version."
        )
    return found


def linked(store: HomeStore, state: State) -> State:
    """The state of a home that may publish to its store; a store that holds nothing yet becomes the home's.

    Raises
    ------
    StoreError
        If the store belongs to another home.
    StoreConflictError
        If it holds this home, and the two were never compared.
    """
    if state.home_id:
        return state
    known = owner(store)
    identity = identity_of(store.home)
    if known is None:
        store.bucket.create(IDENTITY, canonical({"format": FORMAT, "home": identity}))
        known = owner(store)
    if known != identity:
        raise record_log.other_home(store.bucket, str(known), identity)
    if record_log.numbers_after(store.bucket, 0):
        raise StoreConflictError(f"{store.url} holds this home already. Run `loopline store pull` first.")
    return State(home_id=identity)


def settled(store: HomeStore) -> State:
    """What is known of the store, after a commit whose process ended before it could note that it was made."""
    state, noted = sync_state.read(store.home), sync_state.noted(store.home)
    if noted is None:
        return state
    written = store.bucket.get(record_log.key_of(noted.number))
    if written is not None and record_log.digest_of(written) == noted.digest:
        sync_state.write(store.home, noted)
        return noted
    sync_state.forget_note(store.home)
    return state


def append(store: HomeStore, entries: list[dict[str, Any]]) -> tuple[bool, list[Record]]:
    """Append entries to the ledger in the store, before they are appended to the home's.

    Returns
    -------
    is_appended : bool
        False where another machine was faster, so that whoever appends must decide anew.
    records : list of Record
        The record that holds these entries, or all that others appended since. Once the home's ledger is written, or is not,
        `took` notes them.
    """
    with sync_state.held(store.home):
        state = linked(store, settled(store))
        number, parent = state.number + 1, state.digest
        content = {"machine": record_log.machine(), "nonce": record_log.nonce(), "entries": entries}
        while True:
            record, written = record_log.made(state.home_id, number, parent, "ledger", content)
            if store.bucket.create(record_log.key_of(number), written):
                return True, [record]
            taken = record_log.read(store.bucket, state.home_id, record_log.numbers_after(store.bucket, number - 1))
            record_log.require_chain(store.bucket, taken, parent)
            if any(item.kind == "ledger" for item in taken):
                return False, taken
            number, parent = taken[-1].number + 1, taken[-1].digest  # files that are not taken yet keep from nothing


def took(store: HomeStore, records: list[Record]) -> None:
    """Hold the home's ledger against records, append what it lacks, and note which are known: those up to the first commit."""
    with sync_state.held(store.home):
        store.ledger.take([entry for record in records if record.kind == "ledger" for entry in record.content["entries"]])
        state = known = sync_state.read(store.home)
        for record in records:
            if record.kind == "ledger" and (record.number, record.content["parent"]) == (known.number + 1, known.digest):
                known = known.after(record)
        if known is not state:
            sync_state.write(store.home, known)

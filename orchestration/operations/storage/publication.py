"""Publication: a home that is published takes what others published before a command, and publishes after it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assets.errors import StoreError
from assets.object_store import (
    address,
    home_store,
    listing,
    local_changes,
    pull,
    push,
    record_log,
    sync_state,
    tidy,
    verification,
)
from assets.object_store.address import Address
from assets.object_store.home_store import HomeStore
from assets.object_store.pull import Published, Pulled
from assets.object_store.push import Pushed
from assets.promotion import published_ledger
from assets.storage import erasures
from assets.storage.day_files import day_of
from assets.storage.durability import sync
from assets.storage.home import Home
from assets.storage.home_files import STORE
from assets.storage.home_identity import identity_of
from assets.storage.locks import exclusive
from assets.storage.manifest import remove
from assets.storage.publishing import read_json
from orchestration.operations.verification.verify import Problem, Verified

NO_STORE = "no store is declared. Set LOOPLINE_STORE=s3://BUCKET/PREFIX, or file:///FOLDER."
OnWait = Callable[[str], None]


@dataclass(frozen=True)
class Standing:
    """How a home and its store stand to each other.

    Parameters
    ----------
    store : str
        The store's address.
    home_id : str
        The id of the home; empty where nothing was published or taken yet.
    taken : int
        The last record of the store's log that this home has taken or made.
    to_take, to_publish : int
        How many records were made since, and how many files of this home are not published.
    files, size_bytes : int
        What is published, as far as was taken.
    is_part : bool
        Whether only what a service needs was taken.
    """

    store: str
    home_id: str
    taken: int
    to_take: int
    to_publish: int
    files: int
    size_bytes: int
    is_part: bool

    def as_json(self) -> dict[str, Any]:
        """The documented form: see docs/stores.md."""
        return {"schema": 1, **asdict(self)}


def opened(home: Home, wanted: Address | None) -> HomeStore | None:
    """The store of a home: the one that is wanted, or the one that it was published to; None if there is none.

    Raises
    ------
    StoreError
        If it is published to another one than is wanted.
    """
    if wanted is not None and wanted != address.declared(home):
        address.declare(home, wanted)
    return published_ledger.opened(home)


def required(home: Home, wanted: Address | None) -> HomeStore:
    """As `opened`.

    Raises
    ------
    StoreError
        If no store is declared.
    """
    store = opened(home, wanted)
    if store is None:
        raise StoreError(NO_STORE)
    return store


def looked_at(home: Home, wanted: Address | None) -> HomeStore:
    """As `required`, of a home that is only read: a store that is wanted is not declared as its own.

    Raises
    ------
    HomeError
        If another version of Loopline wrote the home's records.
    StoreError
        If no store is declared or wanted, or the home is published to another.
    """
    home.require_layout()
    if wanted is not None:
        address.require_agreement(home, wanted)
    place = wanted or address.declared(home)
    if place is None:
        raise StoreError(NO_STORE)
    return published_ledger.at(home, place)


def take(
    store: HomeStore,
    on_wait: OnWait,
    *,
    only: Callable[[Published], list[str]] | None = None,
    aside: bool = False,
) -> Pulled:
    """Take what others published, while no run of this machine goes on and nobody decides on it."""
    return pull.pull(store, only=only, aside=aside, alone=partial(_alone, store.home, on_wait))


@contextmanager
def _alone(home: Home, on_wait: OnWait) -> Iterator[None]:
    with exclusive(home.run_lock, on_wait=on_wait), exclusive(home.decision_lock):
        before = set(erasures.folder(home.root).glob("[0-9]*.json"))
        yield
        if new := set(erasures.folder(home.root).glob("[0-9]*.json")) - before:
            from orchestration.operations.erasure import erasure

            erasure.follow(home, {str(read_json(path)["product"]) for path in new})


def for_service(product: str) -> Callable[[Published], list[str]]:
    """The patterns of what a product's service needs: the bentos that its pointer names, features by key, keys, and records.

    The days of its log that are not archived are taken, so that a part that another machine archives is not published again.
    """

    def needed(published: Published) -> list[str]:
        pointer = published(f"bentos/champions/{product}.json") or b""
        bentos = bentos_of(product, pointer.decode())
        records = ["home.json", "manifest.jsonl", "keys/*", "erasures/*", f"bentos/champions/{product}.json"]
        return [*records, f"online/{product}/*", f"served/{product}/*.sqlite", *bentos]

    return needed


def bentos_of(product: str, pointer: str) -> list[str]:
    """The patterns of the bentos that a pointer names.

    Examples
    --------
    >>> bentos_of("churn", '{"folder": "../bentos/churn/v1-0a/src/bentos", "tag": "churn:v1-0a"}')
    ['bentos/bentos/churn/v1-0a/*']
    """
    named = re.findall(rf"bentos/{re.escape(product)}/([^/\"]+)/src", pointer)
    return sorted({f"bentos/bentos/{product}/{name}/*" for name in named})


def publish_served(store: HomeStore, product: str, before: date | None = None) -> None:
    """Publish what services of this machine were asked and answered, or of that the days before one."""
    end = "" if before is None else before.isoformat()
    push.push(store, lambda path: path.startswith(f"served/{product}/") and (not end or day_of(Path(path)) < end))


def before_command(store: HomeStore, command: str) -> None:
    """Note that erased bytes are to be deleted from the store, so that a later command does it if this one cannot."""
    if command == "forget":
        _erasing(store).parent.mkdir(parents=True, exist_ok=True)
        _erasing(store).touch()
        sync(_erasing(store).parent)


def after_command(store: HomeStore, command: str) -> None:
    """Publish what a command changed; what it removed for good, or an earlier one erased, is deleted from the store too."""
    is_erasing = _erasing(store).exists()
    if command == "prune" or is_erasing:
        tidy.tidy(store, erase=is_erasing)
        _erasing(store).unlink(missing_ok=True)
    else:
        push.push(store)


def _erasing(store: HomeStore) -> Path:
    return store.home.root / STORE / "erasing"


def standing(store: HomeStore) -> Standing:
    """How a home and its store stand to each other; nothing of the home is written."""
    state = sync_state.read(store.home)
    with TemporaryDirectory() as scratch:
        mine = local_changes.look(store.home, state, Path(scratch), is_read_only=True)
    since = record_log.numbers_after(store.bucket, state.number)
    changed = (mine.changed.keys() | mine.gone) - {local_changes.LEDGER}
    return Standing(
        store.url,
        state.home_id,
        state.number,
        len(since),
        len(changed),
        len(state.listing),
        sum({item.digest: item.size for item in state.listing.values()}.values()),
        state.only is not None,
    )


def wrong(store: HomeStore, *, deep: bool) -> list[str]:
    """What is wrong with the store: see `verification.problems_of`."""
    return verification.problems_of(store, deep=deep)


def with_store(found: Verified, store: HomeStore, *, deep: bool) -> Verified:
    """What a look at a home found, with what is wrong with its store; a home that holds a part only misses nothing by that."""
    problems = [
        Problem(store.url, "missing", told, "on a machine whose home is whole, `loopline store push --whole`")
        for told in verification.problems_of(store, deep=deep)
    ]
    only = sync_state.read(store.home).only
    own = [item for item in found.problems if listing.is_within(item.file, only)]
    return replace(found, problems=[*own, *problems])


def move(home: Home, wanted: Address) -> None:
    """Publish a home elsewhere from now on: all of it, with the next push. The former store stays as it is.

    Raises
    ------
    StoreError
        If the home holds a part only, or the other place cannot be used or is another home's; nothing changed then.
    """
    if sync_state.read(home).only is not None:
        raise StoreError(
            f"the home {home.root} holds only what a service needs, so it cannot be published elsewhere. Run "
            "`loopline store pull`, which takes the rest, and move it then."
        )
    there, identity = published_ledger.at(home, wanted), identity_of(home)
    if (owner := home_store.owner(there)) not in (None, identity):
        raise record_log.other_home(there.bucket, str(owner), identity)
    folder = home.root / STORE
    for name in (home.store_record.name, "state.json", "pending.json", "unfinished.json"):
        if (folder / name).exists():
            remove(folder / name)
    address.declare(home, wanted)


def whole(store: HomeStore) -> Pushed | None:
    """Write every byte to the store again, where some of it was damaged there."""
    return push.push(store, rewritten=lambda _: True)

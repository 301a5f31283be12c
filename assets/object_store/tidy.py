"""Tidy: delete from a store what its last commit does not name, so that what was pruned or erased is gone there too.

A store promises the home as of its last commit. Earlier commits stay as records that name paths and digests; the bytes that
only they name are deleted. What another machine has written and not yet named is left.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from assets.object_store import push, record_log, sync_state
from assets.object_store.bucket import Found
from assets.object_store.home_store import HomeStore
from assets.object_store.listing import Listing

ABANDONED = timedelta(days=1)
"""How old an object is that no commit ever named before it counts as left by a killed push."""
SPARSE = 0.5
"""A pack of which less than this share is needed is written anew."""
FOLDERS = ("packs", "objects")


@dataclass(frozen=True)
class Tidied:
    """How many objects were deleted, and their bytes."""

    objects: int
    size_bytes: int


def tidy(store: HomeStore, *, erase: bool = False) -> Tidied:
    """Publish the home, and delete what is not needed any more.

    Parameters
    ----------
    store : HomeStore
        The home, which took all that is published, and its store.
    erase : bool
        Let no byte stay of a file that is gone: every pack that holds one is written anew.

    Raises
    ------
    StoreError, StoreConflictError
        As `push`.
    """
    push.push(store)
    found_there = present(store)
    sizes = {found.key: found.size for found in found_there}
    needed = _needed(sync_state.read(store.home).listing)
    sparse = {
        name
        for name, size in sizes.items()
        if name in needed and name.startswith("packs/") and needed[name] < (size if erase else SPARSE * size)
    }
    if sparse:
        push.push(store, rewritten=sparse.__contains__)
    state = sync_state.read(store.home)
    named = _needed(state.listing)
    left = _left(store, state.number)
    latest = max((found.written_at for found in found_there), default=None)
    unneeded = [
        found
        for found in found_there
        if found.key not in named and (found.key in left or (latest is not None and found.written_at < latest - ABANDONED))
    ]
    with ThreadPoolExecutor(record_log.THREADS) as pool:
        list(pool.map(lambda found: store.bucket.delete([found.key]), unneeded))
    return Tidied(len(unneeded), sum(found.size for found in unneeded))


def present(store: HomeStore) -> list[Found]:
    """The objects that hold bytes of files."""
    return [found for folder in FOLDERS for found in store.bucket.after(folder)]


def _needed(files: Listing) -> Counter[str]:
    """How many bytes are needed of each object."""
    places = {(item.object, item.offset, item.size) for item in files.values()}
    needed: Counter[str] = Counter({name: 0 for name, _, _ in places})
    for name, _, size in places:
        needed[name] += size
    return needed


def _left(store: HomeStore, last: int) -> set[str]:
    """The objects that some commit stopped to name."""
    records = record_log.read(store.bucket, None, range(1, last + 1))
    return {name for record in records for name in record.content.get("unnamed", [])}

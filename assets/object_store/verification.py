"""Verification: whether a store holds what its last commit names, and its log is the one that was written."""

from __future__ import annotations

from assets.errors import StoreError
from assets.object_store import contents, listing, record_log
from assets.object_store.home_store import HomeStore
from assets.object_store.listing import Listing
from assets.object_store.tidy import present
from assets.storage.drafts import draft_folder


def problems_of(store: HomeStore, *, deep: bool = False) -> list[str]:
    """What is wrong with a store, a sentence each: objects that are missing, cut or, by a deep look, changed.

    Parameters
    ----------
    store : HomeStore
        The home and its store.
    deep : bool
        Read every byte, and the whole log from its first record.
    """
    numbers = record_log.numbers_after(store.bucket, 0)
    if not numbers:
        return []
    files, _ = listing.whole(store.bucket, None, numbers[-1])
    problems = []
    if deep:
        records = record_log.read(store.bucket, None, numbers)
        record_log.require_chain(store.bucket, records, record_log.FIRST)
    sizes = {found.key: found.size for found in present(store)}
    ends: dict[str, int] = {}
    for item in files.values():
        ends[item.object] = max(ends.get(item.object, 0), item.offset + item.size)
    bad = {name for name, end in ends.items() if sizes.get(name, -1) < end}
    for path, item in sorted(files.items()):
        if item.object in bad:
            problems.append(f"{path}: {item.object} is {'cut' if item.object in sizes else 'missing'}")
    if deep:
        problems += _changed(store, {path: item for path, item in files.items() if item.object not in bad})
    return problems


def _changed(store: HomeStore, files: Listing) -> list[str]:
    problems = []
    by_object: dict[str, Listing] = {}
    for path, item in files.items():
        by_object.setdefault(item.object, {})[path] = item
    for part in by_object.values():
        with draft_folder(store.home) as scratch:
            try:
                contents.download(store.bucket, part, scratch)
            except StoreError as error:
                problems.append(str(error))
    return problems

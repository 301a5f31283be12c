"""Listing: the files of a published home, each with its digest and where its bytes lie in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from assets.errors import StoreError
from assets.object_store import record_log
from assets.object_store.bucket import Bucket
from assets.object_store.record_log import Record

AT_ONCE = 32
"""How many records are read at once, from the last one backwards."""


@dataclass(frozen=True)
class Item:
    """A file.

    Parameters
    ----------
    digest : str
        SHA-256 of its bytes.
    size, mode : int
        How many bytes, and the permissions.
    object, offset
        Where the bytes lie: alone in an object, or among others in a pack.
    """

    digest: str
    size: int
    mode: int
    object: str
    offset: int

    @property
    def told(self) -> list[Any]:
        """As a record holds it."""
        return [self.digest, self.size, self.mode, self.object, self.offset]


Listing = dict[str, Item]
"""Files by their path relative to the home."""


def told(listing: Mapping[str, Item]) -> dict[str, list[Any]]:
    """A listing as a record holds it."""
    return {path: item.told for path, item in sorted(listing.items())}


def read(held: Mapping[str, list[Any]]) -> Listing:
    """A listing that a record holds.

    Raises
    ------
    ValueError, TypeError
        If it holds none, or names a place outside a home.
    """
    found = {}
    for path, (digest, size, mode, name, offset) in held.items():
        if path.startswith("/") or ".." in path.split("/") or not name.startswith(("packs/", "objects/")):
            raise ValueError(path)
        found[path] = Item(str(digest), int(size), int(mode), str(name), int(offset))
    return found


def changed(record: Record) -> tuple[Listing, set[str]]:
    """What a commit changed: files that are new or other ones, and files that are gone."""
    try:
        return read(record.content["changed"]), set(record.content["deleted"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"record {record.number} of the store's log is no commit that can be read. Restore the store."
        ) from error


def after(known: Listing, records: Iterable[Record]) -> Listing:
    """The listing once these records are applied; one that lists everything begins anew."""
    found = dict(known)
    for record in records:
        if record.kind == "commit":
            new, gone = changed(record)
            found = {} if record.content["base"] == record.number else found
            found.update(new)
            for path in gone:
                found.pop(path, None)
    return found


def whole(bucket: Bucket, home_id: str | None, number: int) -> tuple[Listing, list[Record]]:
    """The listing as of a record, made of the last one that lists everything and those since.

    Returns
    -------
    listing : dict of str to Item
        The files.
    records : list of Record
        Those that it was made of, up to `number`.
    """
    records: list[Record] = []
    first, base = number + 1, 1
    while first > base:
        before, first = first, max(base, first - AT_ONCE)
        records = [*record_log.read(bucket, home_id, range(first, before)), *records]
        base = next((int(record.content["base"]) for record in reversed(records) if record.kind == "commit"), base)
    records = [record for record in records if record.number >= base]
    record_log.require_chain(bucket, records[1:], records[0].digest)
    return after({}, records), records


def is_within(path: str, patterns: Iterable[str] | None) -> bool:
    """Whether a path is among those that are asked for; None asks for all.

    Examples
    --------
    >>> is_within("keys/churn.json", ["keys/*", "home.json"])
    True
    """
    return patterns is None or any(fnmatchcase(path, pattern) for pattern in patterns)

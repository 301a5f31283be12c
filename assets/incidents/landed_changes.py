"""Which landed files two snapshots of a product rest on, and where these differ."""

from __future__ import annotations

from dataclasses import dataclass

from assets.features.snapshot_origin import origin
from assets.storage.home import Home
from assets.storage.publishing import read_json


@dataclass(frozen=True)
class LandedChange:
    """A table whose landed files differ: how many are gone, and how many are new."""

    table: str
    gone: int
    new: int


def landed_changes(home: Home, product: str, before: str, now: str) -> list[LandedChange] | None:
    """The tables whose landed files differ between two snapshots; None where one's are not recorded.

    Parameters
    ----------
    home, product
        Whose snapshots.
    before, now : str
        Their digests.
    """
    records = [origin(home, product, digest) for digest in (before, now)]
    if not all(path.exists() for path in records):
        return None
    first, second = (read_json(path)["landed"] for path in records)
    files = {table: (set(first.get(table, ())), set(second.get(table, ()))) for table in sorted({*first, *second})}
    return [LandedChange(table, len(old - new), len(new - old)) for table, (old, new) in files.items() if old != new]

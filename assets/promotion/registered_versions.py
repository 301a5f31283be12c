"""Registered versions: what MLflow's database says of a product, read without MLflow, whose import takes seconds.

What is written there goes through `model_registry`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from assets.errors import DigestError, LedgerError
from assets.storage import metadata
from assets.storage.home import Home
from assets.storage.metadata import Part

REGISTRY = Part.REGISTRY
CHAMPION, CHALLENGER = "champion", "challenger"
DIGESTS = ("model_digest", "snapshot_digest", "evaluation_digest")
"""The tags that every version was registered with."""


@dataclass(frozen=True)
class Version:
    """One registered version of a product's model."""

    product: str
    version: int
    model_digest: str
    snapshot_digest: str
    evaluation_digest: str
    run_id: str
    trained_because: str = ""


def versions(home: Home, product: str) -> dict[int, Version]:
    """The registered versions of a product, by number.

    Raises
    ------
    DigestError
        If the database is damaged, or a version lacks the digests that it was registered with.
    """
    tags: dict[int, dict[str, str]] = {}
    for number, key, value in _read(home, "select version, key, value from model_version_tags where name = ?", [product]):
        tags.setdefault(number, {})[key] = value
    query = "select version, run_id from model_versions where name = ? and current_stage <> 'Deleted_Internal' order by version"
    found = {}
    for number, run_id in _read(home, query, [product]):
        told = tags.get(number, {})
        if missing := [name for name in DIGESTS if name not in told]:
            raise DigestError(
                f"{REGISTRY.named(home)}: version {number} of {product} lacks {', '.join(missing)}. Restore it from a backup."
            )
        digests = {name: told[name] for name in DIGESTS}
        found[number] = Version(product, number, run_id=run_id, trained_because=told.get("trained_because", ""), **digests)
    return found


def version(home: Home, product: str, number: int) -> Version:
    """A registered version by its number.

    Raises
    ------
    LedgerError
        If there is no such version.
    """
    known = versions(home, product)
    if number not in known:
        raise LedgerError(f"{product}: there is no version {number}. Registered are: {', '.join(map(str, known)) or 'none'}.")
    return known[number]


def holder(home: Home, product: str, alias: str) -> Version | None:
    """The version that an alias names, or None."""
    found = _read(home, "select version from registered_model_aliases where name = ? and alias = ?", [product, alias])
    return version(home, product, found[0][0]) if found else None


def _read(home: Home, query: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
    try:
        return metadata.read(home, REGISTRY, query, values)
    except sqlite3.Error as error:
        raise DigestError(f"{REGISTRY.named(home)} cannot be read ({error}). Restore it from a backup.") from error

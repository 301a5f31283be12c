"""Verdict records: where the verdict of an entry of the ledger lies, and its content if it is as it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.errors import DigestError
from assets.promotion.ledger_state import Entry
from assets.storage import erasures, manifest
from assets.storage.digests import value_digest
from assets.storage.home import Home
from assets.storage.publishing import published


def place(home: Home, product: str, model_digest: str, snapshot_digest: str, verdict: str) -> Path:
    """Where a verdict lies, beside the evidence it rests on: its name is its digest."""
    return home.report_folder(product, model_digest, snapshot_digest) / f"verdict-{verdict[:16]}.json"


def place_of(home: Home, entry: Entry) -> Path:
    """Where the verdict lies that an entry of the ledger rests on."""
    return place(home, entry.product, entry.model_digest, entry.snapshot_digest, str(entry.verdict))


def read(path: Path, digest: str) -> dict[str, Any]:
    """The record of a verdict.

    Raises
    ------
    DigestError
        If it is gone, or was changed.
    """
    record: dict[str, Any] = published(path, "a verdict is gone")
    found, root = value_digest(record), manifest.home_of(path)
    if found != digest and (root is None or erasures.erased_value(root, digest, found) is None):
        raise DigestError(f"{path} was changed after it was published. Delete it and run `loopline run` again.")
    return record

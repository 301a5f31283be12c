"""Which model was trained last, and on which snapshot."""

from __future__ import annotations

from assets.storage.home import Home
from assets.storage.publishing import published


def current(home: Home, product: str) -> tuple[str, str]:
    """The digests of the model that was trained last and of the snapshot it was trained on."""
    record = published(home.models / product / "current.json", f"{product}: no model is trained")
    return record["digest"], record["snapshot_digest"]

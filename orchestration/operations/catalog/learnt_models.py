"""Learnt models: which models were learnt from which of other products, as their signatures say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.promotion import registered_versions
from assets.promotion.registered_versions import Version
from assets.storage.home import Home
from assets.training.learning import LEARNING, sources_in
from bentos.runtime import read_signature


def sources(home: Home, product: str, digest: str) -> dict[str, str]:
    """By product, the digest of the model that a model was learnt from; none where it is gone, or was learnt from none."""
    return _sources(home.models / product / digest)


def file_of(home: Home, product: str, digest: str) -> str | None:
    """The digest of the model file that a model was learnt from."""
    found = _signature(home.models / product / digest).get(LEARNING, {}).get("file")
    return None if found is None else str(found)


def children(home: Home, product: str, digest: str) -> Iterator[Version]:
    """The registered versions of other products that were learnt from a model."""
    for folder in sorted(path for path in home.models.glob("*") if path.is_dir() and path.name != product):
        found = {path.name for path in folder.glob("*") if _sources(path).get(product) == digest}
        if found:
            versions = registered_versions.versions(home, folder.name).values()
            yield from (version for version in versions if version.model_digest in found)


def needed(home: Home, product: str) -> set[str]:
    """The models of a product that models of others were learnt from."""
    others = (path for path in home.models.glob("*/*") if path.is_dir() and path.parent.name != product)
    return {digest for path in others if (digest := _sources(path).get(product)) is not None}


def _sources(folder: Path) -> dict[str, str]:
    return sources_in(_signature(folder))


def _signature(folder: Path) -> dict[str, Any]:
    """A model's signature; empty where it is gone or damaged, which is told by who verifies the model."""
    try:
        return read_signature(folder)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}

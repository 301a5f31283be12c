"""The champions that a product's model is learnt from, as the ledger says now."""

from __future__ import annotations

from assets.promotion import ledger
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training.learning import learns_from


def learning_sources(home: Home, spec: ProductSpec) -> dict[str, str]:
    """By product, the digest of the champion to learn from; a product in which nobody serves is not in it."""
    standing = {name: ledger.standing(home, name).champion_digest for name in learns_from(spec)}
    return {name: digest for name, digest in standing.items() if digest is not None}

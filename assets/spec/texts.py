"""What a product may not declare beside features that are read as texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assets.spec.product import ProductSpec


def require_texts(spec: ProductSpec) -> None:
    """Refuse what cannot read texts by their n-grams.

    Raises
    ------
    ValueError
        With what to do.
    """
    texts = [name for name, feature in spec.columns.items() if feature.ngrams is not None]
    if not texts:
        return
    if spec.model.learning is not None:
        raise ValueError(
            f"reads {texts} by ngrams and declares model.learning, whose models see texts as categories. Remove one of them"
        )
    if spec.serving.sql == "required":
        raise ValueError(f"reads {texts} by ngrams, which no SQL here counts, and serving.sql is required. Give auto, or off")

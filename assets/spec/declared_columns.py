"""The features of a product with what they take over from its file, worked out once for a declaration.

Thousands of features take a second, and each of them is asked for by its name.
"""

from __future__ import annotations

from functools import lru_cache

from assets.spec.features import FeatureSpec, FeaturesSpec
from assets.spec.source import InlineSourceSpec


class Declared:
    """A key: equal where the declarations, which are frozen, are the same objects."""

    def __init__(self, features: FeaturesSpec, source: InlineSourceSpec | None) -> None:
        self.features, self.source = features, source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Declared) and self.features is other.features and self.source is other.source

    def __hash__(self) -> int:
        return hash((id(self.features), id(self.source)))


@lru_cache(maxsize=16)
def columns_of(declared: Declared) -> dict[str, FeatureSpec]:
    """All features by name, in declared order."""
    own = {name: feature for group in declared.features.groups.values() for name, feature in group.items()}
    return own if declared.source is None else declared.source.completed(own)

"""What a product declares of how its model is learnt, where that is not from its own rows alone or not all at once."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from assets.spec.base import Declaration, Name
from assets.spec.federated import FederatedSpec


class TransferSpec(Declaration):
    """Transfer learning: from the champion of another product, for rows of which there are few."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    source: Name = Field(alias="from", examples=["delay_elsewhere"])
    """Name the product whose champion is learnt from; it declares the features of this product, and maybe others."""
    how: Literal["weights"] = Field(examples=["weights"])
    """Give weights to fit the estimator on the source's rows too, each weighted by how much it is like a target row."""


class LearningSpec(Declaration):
    """A way of learning other than fitting the estimator on the product's own rows at once; exactly one is declared."""

    transfer: TransferSpec | None = Field(default=None, examples=[{"from": "delay_elsewhere", "how": "weights"}])
    """Declare transfer learning; see docs/learning.md."""
    federated: FederatedSpec | None = Field(default=None, examples=[{"by": "carrier", "rounds": 40}])
    """Declare federated learning; see docs/learning.md."""

    @model_validator(mode="after")
    def _is_one_way(self) -> LearningSpec:
        ways = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(ways) != 1:
            told = f"declares {' and '.join(ways)}" if ways else "declares nothing"
            raise ValueError(f"{told}. Give exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def way(self) -> str:
        """The name of the way, as the registry has it."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

"""What a product declares of how its model is learnt, where that is not from its own rows alone or not all at once."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from assets.spec.base import Declaration, Name
from assets.spec.online_learning import OnlineLearningSpec


class OnnxFileSpec(Declaration):
    """A model as an ONNX file."""

    onnx: str = Field(min_length=1, examples=["models/elsewhere.onnx"])
    """Give the file, relative to the repository."""


class LightgbmFileSpec(Declaration):
    """A model as LightGBM saves it."""

    lightgbm: str = Field(min_length=1, examples=["models/elsewhere.txt"])
    """Give the file, relative to the repository."""


How = Literal["refit", "boost", "features", "weights"]


class TransferSpec(Declaration):
    """Transfer learning: from the champion of another product, or a model file, for rows of which there are few."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    source: Name | OnnxFileSpec | LightgbmFileSpec = Field(alias="from", examples=["delay_elsewhere"])
    """Name the product whose champion is learnt from, or give a file: {onnx: FILE} or {lightgbm: FILE}."""
    how: How = Field(examples=["refit"])
    """Give refit to move the leaves of the source's trees, boost to go on boosting from its scores (with LightGBM), features to
    give its score to the estimator, or weights to fit on its rows too, each weighted by how much it is like a target row."""

    @property
    def product(self) -> str | None:
        """The product whose champion is learnt from; None where it is a file."""
        return self.source if isinstance(self.source, str) else None


class LearningSpec(Declaration):
    """A way of learning other than fitting the estimator on the product's own rows at once; exactly one is declared."""

    transfer: TransferSpec | None = Field(default=None, examples=[{"from": "delay_elsewhere", "how": "refit"}])
    """Declare transfer learning; see docs/learning.md."""
    online: OnlineLearningSpec | None = Field(default=None, examples=[{"model": "logistic", "rate": 0.01}])
    """Declare online learning; see docs/learning.md."""

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

"""What a product declares of online learning: a model that learns each row when its label arrives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration

ESTIMATORS = {"logistic": "sklearn.linear_model.LogisticRegression", "linear": "sklearn.linear_model.LinearRegression"}
"""As what each model leaves, and must therefore be declared beside it."""
KINDS = {"logistic": "binary", "linear": "regression"}
"""The kind of target of each model."""


class OnlineLearningSpec(Declaration):
    """Online learning: each row is learned once, in the order in which labels arrive (`target.known_at`)."""

    model: Literal["logistic", "linear"] = Field(examples=["logistic"])
    """Give logistic (binary targets) or linear (regressions); others, Hoeffding trees too, leave neither as ONNX nor as SQL."""
    rate: float = Field(default=0.01, gt=0, le=1, examples=[0.01])
    """Give the step of the descent for each row."""
    l2: float = Field(default=0.0, ge=0, examples=[0.0001])
    """Give the pull of the weights of a row towards 0."""
    clip: float | None = Field(default=None, gt=0, examples=[50.0])
    """Give the largest derivative of a row's loss that is followed; left out, any, which one wild value can make diverge."""
    warmup_days: float = Field(default=0.0, ge=0, examples=[14])
    """Give the days after the first label whose losses are not asked for drift."""
    drift: Literal["adwin", "none"] = Field(default="none", examples=["adwin"])
    """Give adwin to look for a change of the mean loss by day of arrival, none to look for nothing."""
    when_drifted: Literal["reset", "faster"] = Field(default="reset", examples=["faster"])
    """Give reset to begin with new weights after a change, faster to learn at four times the rate for two weeks."""
    checkpoint_rows: int = Field(default=20_000, ge=100, examples=[20000])
    """Give the rows after which the state is kept: from there a run goes on that was cut off, or that has new labels."""

    @model_validator(mode="after")
    def _warms_up_for_something(self) -> OnlineLearningSpec:
        if self.warmup_days and self.drift == "none":
            raise ValueError("has 'warmup_days', which only drift: adwin asks for. Remove it, or set drift: adwin")
        return self

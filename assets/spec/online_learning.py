"""What a product declares of online learning: a model that learns each row when its label arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from assets.errors import SpecificationError
from assets.spec.base import Declaration

if TYPE_CHECKING:
    from assets.spec.product import ProductSpec

ESTIMATORS = {"logistic": "sklearn.linear_model.LogisticRegression", "linear": "sklearn.linear_model.LinearRegression"}
"""As what each model leaves, and must therefore be declared beside it."""
KINDS = {"logistic": "binary", "linear": "regression"}
"""The kind of target of each model."""


class UpdatesSpec(Declaration):
    """Updates in the service: the labels of answered requests go on teaching the champion (`loopline learn-online`)."""

    rows: int = Field(default=1000, ge=1, le=20_000, examples=[1000])
    """Give the labels after which the state is kept, and served from then on."""
    confidence: float = Field(default=0.99, ge=0.8, lt=1, examples=[0.99])
    """Give how sure it must be that the updated states do worse than the promoted one before that one answers again."""


class OnlineLearningSpec(Declaration):
    """Online learning: each row is learned once, in the order in which labels arrive (`target.known_at`)."""

    model: Literal["logistic", "linear"] = Field(examples=["logistic"])
    """Give logistic (binary targets) or linear (regressions); others, Hoeffding trees too, leave neither as ONNX nor as SQL."""
    rate: float = Field(default=0.01, gt=0, le=1, examples=[0.01])
    """Give the step of the descent for each row: about 0.01 for thousands of rows, 0.001 for hundreds of thousands."""
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
    updates: UpdatesSpec | None = Field(default=None, examples=[{"rows": 1000}])
    """Declare it to let labels of answered requests update what the service answers by, between promotions."""

    @model_validator(mode="after")
    def _warms_up_for_something(self) -> OnlineLearningSpec:
        if self.warmup_days and self.drift == "none":
            raise ValueError("has 'warmup_days', which only drift: adwin asks for. Remove it, or set drift: adwin")
        return self


def learns_online(spec: ProductSpec) -> bool:
    """Whether a product declares online learning."""
    return spec.model.learning is not None and spec.model.learning.online is not None


USUAL: dict[str, dict[str, Any]] = {
    "binary": {"model": "logistic", "rate": 0.001},
    "regression": {"model": "linear", "rate": 0.0003},
}
"""How a kind of target is learned where nothing is declared."""


def online_of(spec: ProductSpec) -> OnlineLearningSpec:
    """How a product's model learns online: as declared, or as its kind of target usually is.

    Raises
    ------
    SpecificationError
        If no online model fits the product.
    """
    declared = spec.model.learning.online if spec.model.learning is not None else None
    usual = USUAL.get(spec.kind)
    if declared is None and usual is None:
        raise SpecificationError(
            f"{spec.name}: a {spec.kind} target has no online model. Such targets are: {', '.join(USUAL)}."
        )
    found = declared or OnlineLearningSpec.model_validate(usual)
    if told := "; ".join(unfit(spec, found)):
        raise SpecificationError(f"{spec.name}: cannot be learned online: {told}.")
    return found


def unfit(spec: ProductSpec, online: OnlineLearningSpec) -> list[str]:
    """Why a product cannot be learned online, and what to do: nothing, where it can."""
    told = []
    if spec.target.known_at is None:
        told.append(
            "'target.known_at' is missing, but a row is learned when its label arrives: name the column with that moment"
        )
    if spec.features.event_time is None:
        told.append("'features.event_time' is missing, so rows have no order of time: name the column")
    if spec.kind != KINDS[online.model]:
        fitting = next((model for model, kind in KINDS.items() if kind == spec.kind), None)
        remedy = f"give {fitting}" if fitting else f"online models are for {' and '.join(KINDS.values())} targets"
        told.append(f"'model' {online.model} is for a {KINDS[online.model]} target, not a {spec.kind} one: {remedy}")
    return told

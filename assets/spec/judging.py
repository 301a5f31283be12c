"""What a product declares of costs, baselines, evaluation and promotion, and the metrics that each kind of target has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from assets.spec.base import Declaration, Name

INFINITE = float("inf")
METRICS: dict[str, dict[str, tuple[float, float]]] = {
    "binary": {
        "roc_auc": (0, 1),
        "average_precision": (0, 1),
        "brier": (0, 1),
        "log_loss": (0, INFINITE),
        "calibration_error": (0, 1),
        "cost_per_1000": (0, INFINITE),
    },
    "multiclass": {
        "roc_auc_macro": (0, 1),
        "accuracy": (0, 1),
        "balanced_accuracy": (0, 1),
        "f1_macro": (0, 1),
        "brier": (0, 2),
        "log_loss": (0, INFINITE),
        "calibration_error": (0, 1),
        "cost_per_1000": (0, INFINITE),
    },
    "regression": {
        "mae": (0, INFINITE),
        "rmse": (0, INFINITE),
        "r2": (-INFINITE, 1),
        "bias": (-INFINITE, INFINITE),
        "interval_coverage": (0, 1),
        "cost_per_1000": (0, INFINITE),
    },
}
"""The metrics of each kind of target, with the values each can take."""

DECIDING = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "mae"}
"""The metric that decides a promotion unless another is named."""

PRICES = {"binary": ("missed", "false_alarm"), "multiclass": ("wrong",), "regression": ("under", "over")}
"""The costs that each kind of target needs."""


class CostSpec(Declaration):
    """What mistakes cost; decisions are the ones that cost least."""

    missed: float | None = Field(default=None, gt=0, examples=[5.0])
    """Binary: give the cost of a positive that was not predicted."""
    false_alarm: float | None = Field(default=None, gt=0, examples=[1.0])
    """Binary: give the cost of a negative that was predicted positive."""
    wrong: float | None = Field(default=None, gt=0, examples=[1.0])
    """Multiclass: give the cost of a wrong class."""
    pairs: dict[str, dict[str, float]] = Field(default_factory=dict, examples=[{"Fair": {"Ideal": 5.0}}])
    """Multiclass: give the cost of single mistakes as {true class: {predicted class: cost}}, where they differ from 'wrong'."""
    under: float | None = Field(default=None, gt=0, examples=[2.0])
    """Regression: give the cost of each unit by which the planned value is too low."""
    over: float | None = Field(default=None, gt=0, examples=[1.0])
    """Regression: give the cost of each unit by which the planned value is too high."""
    unit: str = Field(default="units", examples=["EUR"])
    """Name the unit of money."""


class BaselineSpec(Declaration):
    """The table of means that a model is held against, besides one constant answer."""

    by: dict[Name, Annotated[float, Field(gt=0)] | None] = Field(
        min_length=1, examples=[{"carrier": None, "scheduled_departure_minute_local": 60}]
    )
    """Give the features that index the table; a number is the width of a bin."""
    level: Literal["blocking", "warning"] = Field(default="blocking", examples=["warning"])
    """Give blocking to refuse a model that is not surely better than the table, warning to refuse one that is
    surely worse, by more than a twentieth of what it gains over the constant."""


class PromotionSpec(Declaration):
    """How a challenger must beat the champion, on the same rows."""

    metric: Name | None = Field(default=None, examples=["roc_auc"])
    """Name the metric that decides; left out: roc_auc, log_loss or mae, by the kind of target."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1, examples=[0.95])
    """Give the confidence with which the gain must exceed min_gain."""
    min_gain: float = Field(default=0.0, ge=0, examples=[0.0])
    """Give the gain of the metric that a challenger must surely exceed."""
    min_saving: float | None = Field(default=None, examples=[0.0])
    """Give the saving per 1,000 rows that it must surely exceed; left out, it may cost 2 % more than the champion at most."""
    error_budget: float | None = Field(default=None, gt=0, lt=1, examples=[0.1])
    """Give the largest share of false promotions over the product's life; each decision of the gate is then tested at the level
    that is left for it, instead of 'confidence' (docs/experiments.md). Left out, what was spent is shown only."""
    test: Literal["paired_bootstrap", "jackknife_t"] = Field(default="paired_bootstrap", examples=["jackknife_t"])
    """Name the paired test: paired_bootstrap draws whole clusters; jackknife_t leaves each out once, for few clusters."""


class EvaluationSpec(Declaration):
    """How uncertainty is measured, and for whom besides all."""

    bootstrap_replicates: int = Field(default=500, ge=100, le=10_000, examples=[500])
    """Give the number of bootstrap replicates; days are resampled where there is time, groups where rows are grouped, and
    rows where there are fewer than five of them."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1, examples=[0.95])
    """Give the confidence of the intervals."""
    slices: tuple[Name, ...] = Field(default=(), strict=False, examples=[["origin"]])
    """List category features; each of their values is measured apart."""
    cross_fitted_below: int = Field(default=4000, ge=0, examples=[0])
    """Give the number of training and validation rows below which the verdict rests on all rows by cross-fitting; 0: never."""

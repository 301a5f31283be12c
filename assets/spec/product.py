"""What a model product declares: its features, target, split, model, costs, gates and service."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Month, Name

FeatureType = Literal["category", "number"]
MetricName = Literal["roc_auc", "average_precision", "brier", "log_loss", "cost_per_1000"]
Share = Annotated[float, Field(ge=0, le=1)]


class FeatureSpec(Declaration):
    """One column that the model sees."""

    type: FeatureType
    """Give category (text) or number."""
    min: float | None = None
    """Give the smallest value allowed, in the contract and in the service."""
    max: float | None = None
    """Give the largest value allowed, in the contract and in the service."""
    values: tuple[str, ...] | None = Field(default=None, strict=False)
    """List the values allowed, for a category whose vocabulary is closed."""
    max_missing: Share = 0.0
    """Give the largest share of rows that may lack it, from 0 to 1."""
    description: str | None = None
    """Say what it is, for the service's schema."""

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> FeatureSpec:
        if self.type == "category" and (self.min is not None or self.max is not None):
            raise ValueError("has min or max, which a category cannot have. Use 'values', or remove it")
        if self.type == "number" and self.values is not None:
            raise ValueError("has values, which only a category can have. Use min and max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"allows nothing: min {self.min:g} is above max {self.max:g}. Swap them")
        return self


class FeaturesSpec(Declaration):
    """Where the features come from and what they are."""

    relation: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")]
    """Give the warehouse relation as schema.table, one row per entity."""
    entity: Name
    """Name the column that identifies a row."""
    event_time: Name
    """Name the column with the moment the event happens (UTC); the split orders rows by it."""
    predicted_at: Name
    """Name the column with the moment of prediction (UTC); every feature was known by then."""
    time_zone: str = "UTC"
    """Give the IANA time zone in which months begin and days are told apart."""
    groups: dict[Name, dict[Name, FeatureSpec]]
    """Declare the features by group; groups are compared in benchmarks and reports."""

    @model_validator(mode="after")
    def _columns_are_sound(self) -> FeaturesSpec:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        names = [name for group in self.groups.values() for name in group]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"declares {twice} in more than one group. Keep each feature once")
        if not names:
            raise ValueError("declares no feature. Give at least one group with a feature")
        reserved = sorted({self.entity, self.event_time, self.predicted_at}.intersection(names))
        if reserved:
            raise ValueError(f"uses {reserved} as features, but they identify or date a row. Remove them from groups")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"has no time zone '{self.time_zone}'. Give an IANA name such as America/New_York") from error
        return self

    @property
    def columns(self) -> dict[str, FeatureSpec]:
        """All features by name, in declared order."""
        return {name: feature for group in self.groups.values() for name, feature in group.items()}


class TargetSpec(Declaration):
    """What is predicted."""

    column: Name
    """Name the column with the label; it is null where there is none."""
    kind: Literal["binary"]
    """Give binary: the label is true or false."""
    known_at: Name
    """Name the column with the moment the label became known (UTC)."""
    meaning: str
    """Say what a positive label means, for people."""
    unlabelled_because: tuple[Name, ...] = Field(default=(), strict=False)
    """List boolean columns that say why a row has no label; such rows are scored, counted, and not trained on."""


class SplitSpec(Declaration):
    """Which months train, validate and test, in order of time."""

    train_months: int = Field(ge=1)
    """Give at least one month to train on."""
    validate_months: int = Field(ge=1)
    """Give at least one month to choose the threshold on."""
    test_months: int = Field(ge=1)
    """Give at least one month to test on."""
    end: Month | None = None
    """Give the last test month, as 2013-12; left out, it is the last month of the data."""


class ModelSpec(Declaration):
    """The estimator and its parameters."""

    estimator: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
    """Give the import path of a scikit-learn classifier."""
    seed: int = Field(default=0, ge=0)
    """Give the seed of everything that is random."""
    parameters: dict[Name, Any] = Field(default_factory=dict)
    """Give the estimator's parameters by name."""

    @model_validator(mode="after")
    def _splits_stay_numeric(self) -> ModelSpec:
        if "categorical_features" in self.parameters:
            raise ValueError(
                "sets categorical_features: native categorical splits give wrong ONNX and SHAP values (docs/decisions/0004). "
                "Remove it; categories are encoded inside the pipeline"
            )
        return self


class CostSpec(Declaration):
    """What mistakes cost; the threshold is the one that costs least on validation."""

    missed: float = Field(gt=0)
    """Give the cost of a positive that was not predicted."""
    false_alarm: float = Field(gt=0)
    """Give the cost of a negative that was predicted positive."""
    unit: str = "units"
    """Name the unit of money."""


class BaselineSpec(Declaration):
    """The table of rates that a model must beat."""

    by: dict[Name, float | None]
    """Give the features that index the table; a number is the width of a bin."""


class GateSpec(Declaration):
    """A bound that the test metric must keep."""

    min: float | None = None
    """Give the smallest value allowed."""
    max: float | None = None
    """Give the largest value allowed."""

    @model_validator(mode="after")
    def _bounds_something(self) -> GateSpec:
        if self.min is None and self.max is None:
            raise ValueError("bounds nothing. Give min or max")
        return self


class PromotionSpec(Declaration):
    """How a challenger must beat the champion, on the same rows."""

    metric: MetricName = "roc_auc"
    """Name the metric that decides."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Give the confidence with which the gain must exceed min_gain."""
    min_gain: float = Field(default=0.0, ge=0)
    """Give the gain that a challenger must exceed."""


class EvaluationSpec(Declaration):
    """How uncertainty is measured."""

    bootstrap_replicates: int = Field(default=500, ge=100, le=10_000)
    """Give the number of bootstrap replicates; days are resampled, as flights of one day share its weather."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Give the confidence of the intervals."""


class ServingSpec(Declaration):
    """Limits of the service."""

    max_batch_rows: int = Field(default=1000, ge=1, le=100_000)
    """Give the largest number of rows in one request."""
    workers: int = Field(default=1, ge=1, le=64)
    """Give the number of worker processes."""


class ProductSpec(Declaration):
    """A model product: one model, from its features to its service."""

    name: Name
    """Give the product's name: lower case, digits and underscores."""
    description: str
    """Say what is predicted, when, and for whom."""
    owner: str = "team:ml"
    """Give an e-mail address or team:NAME."""
    features: FeaturesSpec
    """Declare the features."""
    target: TargetSpec
    """Declare the target."""
    rules: dict[Name, str] = Field(default_factory=dict)
    """Give contract rules over two columns, by name, as 'left < right' (also <=, ==, >=, >)."""
    split: SplitSpec
    """Declare the split."""
    model: ModelSpec
    """Declare the model."""
    cost: CostSpec
    """Declare the costs."""
    baseline: BaselineSpec
    """Declare the baseline table."""
    evaluation: EvaluationSpec = EvaluationSpec()
    """Declare how uncertainty is measured."""
    gates: dict[MetricName, GateSpec]
    """Declare the quality floor by metric; without one nothing may be served."""
    promotion: PromotionSpec = PromotionSpec()
    """Declare how a challenger beats the champion."""
    serving: ServingSpec = ServingSpec()
    """Declare the service's limits."""

    @model_validator(mode="after")
    def _parts_agree(self) -> ProductSpec:
        columns = self.features.columns
        target = self.target
        if leaked := sorted({target.column, target.known_at, *target.unlabelled_because}.intersection(columns)):
            raise ValueError(f"uses {leaked} as features, but they are known only after the event. Remove them")
        if unknown := sorted(set(self.baseline.by).difference(columns)):
            raise ValueError(f"has a baseline by {unknown}, which are not features. Features: {', '.join(columns)}")
        known = self.snapshot_columns
        for name, rule in self.rules.items():
            parts = re.fullmatch(r"\s*(\w+)\s*(<=|>=|==|<|>)\s*(\w+)\s*", rule)
            if parts is None or parts[1] not in known or parts[3] not in known:
                raise ValueError(
                    f"has rule {name}: '{rule}', which is not 'left < right' over its columns. Columns: {', '.join(known)}"
                )
        if not self.gates:
            raise ValueError("has no gates, so anything could be served. Give a floor such as gates: {roc_auc: {min: 0.6}}")
        return self

    @property
    def snapshot_columns(self) -> tuple[str, ...]:
        """All columns a snapshot holds: identity and times, features, label."""
        features, target = self.features, self.target
        return (
            features.entity,
            features.event_time,
            features.predicted_at,
            *features.columns,
            target.column,
            target.known_at,
            *target.unlabelled_because,
        )

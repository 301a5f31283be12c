"""What a product declares of its split, its model, and the search for the model's parameters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Month, Name
from assets.spec.ways_of_learning import LearningSpec

Positive = Annotated[float, Field(gt=0)]
COPIES = "group of copies"
"""The column of a cut snapshot that groups copies; no column of a source can have such a name."""
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]


class SplitSpec(Declaration):
    """Which rows train, which choose the threshold, and which test."""

    by: Literal["months", "days", "time", "random"] = Field(examples=["months"])
    """Give months or days (whole ones, counted back from the last), time (shares, in order) or random (shares, seeded)."""
    train: Positive = Field(examples=[8])
    """Give the months or days, or the share from 0 to 1, to train on."""
    validation: Positive = Field(examples=[2])
    """Give the months or days, or the share, to choose threshold and calibration on."""
    test: Positive = Field(examples=[2])
    """Give the months or days, or the share, to test on."""
    end: Month | None = Field(default=None, examples=["2013-12"])
    """Give the last test month, as 2013-12; left out, it is the last month of the data."""
    group: Name | None = Field(default=None, examples=["household_id"])
    """Name a column whose equal values stay on one side of a random split; rows without a value are one group."""
    copies_together: bool = Field(default=False, examples=[True])
    """Say true to keep copies, rows equal in all features and the target, on one side of a random split."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> SplitSpec:
        sizes = (self.train, self.validation, self.test)
        counted = self.by in ("months", "days")
        if counted and any(size != int(size) for size in sizes):
            raise ValueError(f"is by {self.by} and needs whole numbers for train, validation and test, got {sizes}. Round them")
        if not counted and abs(sum(sizes) - 1) > 1e-9:
            raise ValueError(f"is by {self.by}: train, validation and test must add up to 1, got {sum(sizes):g}. Correct them")
        if self.end is not None and self.by != "months":
            raise ValueError(f"has 'end', which only a split by months has, not by {self.by}. Remove it")
        if self.group is not None and self.by != "random":
            raise ValueError(f"has 'group', which only a random split has, not by {self.by}. Remove it")
        if self.copies_together and self.by != "random":
            raise ValueError(f"has 'copies_together', which only a random split has, not by {self.by}. Remove it")
        if self.copies_together and self.group is not None:
            raise ValueError(f"groups rows by '{self.group}' and by 'copies_together'. Remove one of them")
        return self

    @property
    def group_column(self) -> str | None:
        """The column of a cut snapshot whose equal values stay together; None where rows are dealt one by one."""
        return COPIES if self.copies_together else self.group


Categories = Literal["codes", "target_means"]
EstimatorPath = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]


class AlternativeSpec(Declaration):
    """Another estimator, to be used if it does better on rows that it was not fitted on."""

    estimator: EstimatorPath = Field(examples=["sklearn.linear_model.LogisticRegression"])
    """Give the import path of a scikit-learn-compatible classifier or regressor; your own class may be one."""
    parameters: dict[ParameterName, Any] = Field(default_factory=dict, examples=[{"C": 1.0}])
    """Give its parameters by name."""
    categories: Categories = Field(default="codes", examples=["target_means"])
    """Give target_means to show trees, beside the code of each category, the mean of the target where it has this value."""

    @model_validator(mode="after")
    def _splits_stay_numeric(self) -> AlternativeSpec:
        _require_numeric_splits(self.parameters)
        return self


class ModelSpec(Declaration):
    """The estimator and its parameters."""

    estimator: EstimatorPath = Field(examples=["sklearn.ensemble.HistGradientBoostingClassifier"])
    """Give the import path of a scikit-learn-compatible classifier or regressor; your own class may be one."""
    seed: int = Field(default=0, ge=0, examples=[20130101])
    """Give the seed of everything that is random."""
    parameters: dict[ParameterName, Any] = Field(default_factory=dict, examples=[{"learning_rate": 0.1, "max_iter": 120}])
    """Give the estimator's parameters by name."""
    categories: Categories = Field(default="codes", examples=["target_means"])
    """Give target_means to show trees, beside the code of each category, the mean of the target where it has this value."""
    calibration: Literal["auto", "none", "scaling"] = Field(default="auto", examples=["auto"])
    """Give scaling to recalibrate probabilities on validation rows, none to leave them, auto to do it where it helps."""
    refit: bool = Field(default=False, examples=[True])
    """Say true to fit the chosen estimator again on training and validation rows, once calibration and decisions are chosen."""
    alternatives: tuple[AlternativeSpec, ...] = Field(
        default=(), strict=False, examples=[[{"estimator": "sklearn.linear_model.LogisticRegression"}]]
    )
    """List other estimators; the one that does best in the deciding metric on rows it was not fitted on becomes the model."""
    learning: LearningSpec | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        examples=[{"transfer": {"from": "delay_elsewhere", "how": "refit"}}],
    )
    """Declare another way of learning; left out, the estimator is fitted on the product's own rows. See docs/learning.md."""

    @model_validator(mode="after")
    def _splits_stay_numeric(self) -> ModelSpec:
        _require_numeric_splits(self.parameters)
        return self

    @model_validator(mode="after")
    def _one_way_learns_one_estimator(self) -> ModelSpec:
        if self.learning is not None and self.alternatives:
            raise ValueError(f"declares both 'learning.{self.learning.way}' and 'alternatives'. Remove one of them")
        return self

    @property
    def client_column(self) -> str | None:
        """The column whose values are the clients of federated learning."""
        return self.learning.federated.by if self.learning is not None and self.learning.federated is not None else None

    @property
    def candidates(self) -> tuple[ModelSpec, ...]:
        """The declared estimator and its alternatives, each as the only one."""
        alone = self.model_copy(update={"alternatives": ()})
        others = (item.model_dump() for item in self.alternatives)
        return (alone, *(alone.model_copy(update=other) for other in others))


def _require_numeric_splits(parameters: dict[str, Any]) -> None:
    if native := sorted({"categorical_features", "cat_features", "enable_categorical"} & parameters.keys()):
        raise ValueError(
            f"sets {native[0]}: native categorical splits give wrong ONNX and SHAP values (docs/decisions/0004). "
            "Remove it; categories are encoded inside the pipeline"
        )


class RangeSpec(Declaration):
    """The values that a search may give to one parameter."""

    low: float | None = Field(default=None, examples=[0.01])
    """Give the smallest value of a range."""
    high: float | None = Field(default=None, examples=[0.3])
    """Give the largest value of a range; two whole numbers make a range of whole numbers."""
    log: bool = Field(default=False, examples=[True])
    """Say true to search a range by its logarithm."""
    values: tuple[Any, ...] | None = Field(default=None, strict=False, examples=[[3, 6, 12]])
    """List the values instead of a range."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> RangeSpec:
        ranged = self.low is not None and self.high is not None
        if ranged == (self.values is not None) or (self.low is None) != (self.high is None):
            raise ValueError("needs either 'low' and 'high', or 'values'. Give one of them")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"has low {self.low:g}, not below high {self.high:g}. Swap them")
        if self.log and (self.low is None or self.low <= 0):
            raise ValueError("is logarithmic and needs a low above 0. Raise it, or remove 'log'")
        if self.values is not None and not self.values:
            raise ValueError("lists no values. Give at least one")
        return self


class TuneSpec(Declaration):
    """A search for better parameters, on training and validation rows only."""

    parameters: dict[ParameterName, RangeSpec] = Field(
        default_factory=dict, examples=[{"learning_rate": {"low": 0.01, "high": 0.3, "log": True}}]
    )
    """Give the estimator's parameters to search."""
    warehouse: dict[Name, RangeSpec] = Field(default_factory=dict, examples=[{"short_window_hours": {"values": [2, 3, 6]}}])
    """Give the warehouse's feature parameters to search, each as a list of values; features are built anew for each."""
    trials: int | None = Field(default=None, ge=1, examples=[30])
    """Give the number of trials after which the search ends."""
    minutes: float | None = Field(default=None, gt=0, examples=[10])
    """Give the minutes after which no new trial begins."""
    folds: int = Field(default=3, ge=2, le=20, examples=[3])
    """Give the number of folds, in order of time where there is one."""
    refresh: Literal["declaration", "data"] = Field(default="declaration", examples=["declaration"])
    """Give declaration to search anew when this YAML changes, data to do so on new data too."""

    @model_validator(mode="after")
    def _searches_within_a_budget(self) -> TuneSpec:
        if not self.parameters and not self.warehouse:
            raise ValueError("searches nothing. Give 'parameters' or 'warehouse'")
        if self.trials is None and self.minutes is None:
            raise ValueError("has no budget. Give 'trials' or 'minutes'")
        ranged = sorted(name for name, item in self.warehouse.items() if item.values is None)
        if ranged:
            raise ValueError(f"gives a range for the feature parameters {ranged}. List 'values': each one is built once")
        return self

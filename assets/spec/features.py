"""What a product declares of its features and its target."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Name

FeatureType = Literal["category", "number"]
Kind = Literal["binary", "multiclass", "regression"]
Share = Annotated[float, Field(ge=0, le=1)]


class NgramsSpec(Declaration):
    """How a text is read: how often it has each of the word n-grams that most training rows have."""

    size: int = Field(default=200, ge=1, le=5000, examples=[200])
    """Give how many n-grams are counted: those that most training rows have, two at least."""
    length: int = Field(default=1, ge=1, le=4, examples=[2])
    """Give the most words of an n-gram; words stand between spaces, with capitals as they come."""


class FeatureSpec(Declaration):
    """One column that the model sees."""

    type: FeatureType | None = Field(default=None, examples=["number"])
    """Give category (text) or number; left out, it follows the column of 'source'."""
    min: float | None = Field(default=None, examples=[0])
    """Give the smallest value allowed, in the contract and in the service; left out, that of the column of 'source'."""
    max: float | None = Field(default=None, examples=[120])
    """Give the largest value allowed, in the contract and in the service; left out, that of the column of 'source'."""
    values: tuple[str, ...] | None = Field(default=None, strict=False, examples=[["EWR", "JFK", "LGA"]])
    """List the values allowed, for a category whose vocabulary is closed; left out, those of the column of 'source'."""
    max_missing: Share = Field(default=0.0, examples=[0.05])
    """Give the largest share of rows that may lack it, from 0 to 1."""
    known_at: Name | None = Field(default=None, examples=["reading_arrived_utc"])
    """Name the column with the moment the value became known (UTC); later than the prediction, it is a leak."""
    monotone: Literal["increasing", "decreasing"] | None = Field(default=None, examples=["increasing"])
    """Give the direction in which predictions may move when this number grows and all else stays; left out, either. Trees are
    constrained to it where they can be, and the gate refuses a model that goes the other way."""
    ngrams: NgramsSpec | None = Field(default=None, examples=[{"size": 200, "length": 2}])
    """Declare it for a category whose values are texts: the model sees the words that they have, not which text it is."""
    description: str | None = Field(default=None, examples=["IATA code of the carrier"])
    """Say what it is, for the service's schema."""

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> FeatureSpec:
        if self.type == "category" and (self.min is not None or self.max is not None):
            raise ValueError("has min or max, which a category cannot have. Use 'values', or remove it")
        if self.type == "category" and self.monotone is not None:
            raise ValueError("is monotone, which only a number can be. Remove it")
        if self.type == "number" and self.ngrams is not None:
            raise ValueError("has ngrams, which only a category can have. Remove it")
        if self.type == "number" and self.values is not None:
            raise ValueError("has values, which only a category can have. Use min and max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"allows nothing: min {self.min:g} is above max {self.max:g}. Swap them")
        return self


class FeaturesSpec(Declaration):
    """Where the features come from and what they are."""

    relation: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")] | None = Field(
        default=None, examples=["features.flight_delay"]
    )
    """Give the warehouse relation as schema.table, one row per entity; left out where 'source' declares a file."""
    entity: Name = Field(examples=["flight_id"])
    """Name the column that identifies a row; 'source_row' is the row's place in a file that has no key."""
    event_time: Name | None = Field(default=None, examples=["scheduled_departure_utc"])
    """Name the column with the moment the event happens (UTC); without it nothing guards against leaks through time."""
    predicted_at: Name | None = Field(default=None, examples=["predicted_utc"])
    """Name the column with the moment of prediction (UTC), by which every feature was known; left out, it is event_time."""
    time_zone: str = Field(default="UTC", examples=["America/New_York"])
    """Give the IANA time zone in which months begin and days are told apart."""
    groups: dict[Name, dict[Name, FeatureSpec]] = Field(
        examples=[{"schedule": {"carrier": {"type": "category"}, "distance_miles": {"type": "number", "min": 1, "max": 6000}}}]
    )
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
        reserved = sorted({self.entity, self.event_time or "", self.predicted_at or ""}.intersection(names))
        if reserved:
            raise ValueError(f"uses {reserved} as features, but they identify or date a row. Remove them from groups")
        dated = sorted(name for group in self.groups.values() for name, feature in group.items() if feature.known_at)
        if dated and self.event_time is None:
            raise ValueError(f"says when {dated} became known, but not when predictions are made. Name event_time too")
        if self.predicted_at is not None and self.event_time is None:
            raise ValueError("has predicted_at without event_time. Name the column of the event's moment too")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"has no time zone '{self.time_zone}'. Give an IANA name such as America/New_York") from error
        return self


class TargetSpec(Declaration):
    """What is predicted."""

    column: Name = Field(examples=["is_late"])
    """Name the column with the label; it is null where there is none."""
    kind: Kind = Field(examples=["binary"])
    """Give binary (yes or no), multiclass (one of several) or regression (how much)."""
    meaning: str = Field(examples=["the flight arrives 15 or more minutes late"])
    """Say for people what yes means, what the classes are, or what is measured."""
    positive: str | None = Field(default=None, examples=["yes"])
    """Give the value that means yes, for a binary target whose column is not boolean."""
    classes: tuple[str, ...] | None = Field(default=None, strict=False, examples=[["low", "middle", "high"]])
    """List the classes of a multiclass target."""
    merge: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = Field(
        default_factory=dict, examples=[{"other": ["rare", "rarer"]}]
    )
    """Give values of the column that count as one class, as {class: [value, value]}; for classes of too few rows."""
    leave_out: tuple[str, ...] = Field(default=(), strict=False, examples=[["unknown"]])
    """List values of the column that are no class: such rows count as rows without a label."""
    unit: str | None = Field(default=None, examples=["minutes"])
    """Name the unit of a regression's target."""
    known_at: Name | None = Field(default=None, examples=["label_known_utc"])
    """Name the column with the moment the label became known (UTC); left out, it is known at once."""
    unlabelled_because: tuple[Name, ...] = Field(default=(), strict=False, examples=[["is_cancelled"]])
    """List boolean columns that say why a row has no label; such rows are scored, counted, and not trained on."""

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> TargetSpec:
        if self.kind == "multiclass" and (self.classes is None or len(self.classes) < 3):
            raise ValueError("is multiclass and needs 'classes', a list of at least three. With two, make it binary")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError("lists a class twice. Keep each once")
        for field, kind in (("classes", "multiclass"), ("positive", "binary"), ("unit", "regression")):
            if getattr(self, field) is not None and self.kind != kind:
                raise ValueError(f"has '{field}', which only a {kind} target has. Remove it, or change kind")
        return self

    @model_validator(mode="after")
    def _values_have_one_class(self) -> TargetSpec:
        if not self.merge and not self.leave_out:
            return self
        if self.classes is None and self.positive is None:
            raise ValueError("has 'merge' or 'leave_out', which need 'classes' or 'positive'. Remove them, or say the classes")
        classes = self.classes or (self.positive,)
        merged = [value for values in self.merge.values() for value in values]
        if empty := [name for name, values in self.merge.items() if not values]:
            raise ValueError(f"merges nothing into {empty}. List at least one value, or remove it")
        if self.classes is not None and (unknown := [name for name in self.merge if name not in classes]):
            raise ValueError(f"merges values into {unknown}, which 'classes' does not list. Add them to 'classes'")
        # a merged value that bears the name of its own class is that class anyway
        own = {name for name, values in self.merge.items() if name in values}
        named = [*(name for name in classes if name not in own), *merged, *self.leave_out]
        if twice := sorted({str(value) for value in named if named.count(value) > 1}):
            raise ValueError(f"says more than one thing of the values {twice}. Keep each in one of classes, merge, leave_out")
        return self

    @property
    def values(self) -> tuple[str, ...] | None:
        """All values that the column may have; None where they are not listed."""
        if self.classes is None:
            return None
        return tuple(
            dict.fromkeys((*self.classes, *(item for values in self.merge.values() for item in values), *self.leave_out))
        )

    @property
    def prediction_columns(self) -> tuple[str, ...]:
        """What stands in a table of predictions beside the entity and the moments."""
        answers = {
            "binary": ("probability", "is_positive", "threshold"),
            "regression": ("prediction", "planned", "low", "high"),
            "multiclass": ("predicted_class", *(f"probability_{name}" for name in self.classes or ())),
        }
        return *answers[self.kind], "model_version", "model_digest", "snapshot_digest", "scored_at_utc"

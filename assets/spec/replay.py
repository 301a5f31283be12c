"""What a product declares of its replays, and what a file of what-ifs does."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Name
from assets.spec.learning import SplitSpec

NEEDS: dict[str, tuple[str, ...]] = {
    "sensor_fails": ("columns",),
    "category_disappears": ("columns", "value"),
    "labels_late": ("days",),
    "unit_changes": ("columns", "factor"),
    "target_shock": (),
}
"""What each kind of injection must say; a shock says a factor (of a value), or a share and a value (of classes)."""


class ReplaySpec(Declaration):
    """How a product's history is played again; see `loopline replay`."""

    split: SplitSpec | None = Field(default=None, examples=[{"by": "days", "train": 84, "validation": 21, "test": 21}])
    """Declare how each step's rows are split; left out, as the product's own split, counted back from the last row."""
    landed_after_hours: float = Field(default=24.0, ge=0, examples=[24])
    """Give the hours after a step's end at which its rows are landed, with the labels that are known by then."""
    training_cost: float = Field(default=0.0, ge=0, examples=[100])
    """Give what a training costs in units of 'cost': machine, review and release."""


class InjectionSpec(Declaration):
    """One thing that goes otherwise than it did."""

    kind: Literal["sensor_fails", "category_disappears", "labels_late", "unit_changes", "target_shock"] = Field(
        examples=["sensor_fails"]
    )
    """Give what happens: columns go missing, rows of a category vanish, labels come late, a unit changes, the target moves."""
    start: date = Field(examples=["2013-07-01"])
    """Give the first day, as 2013-07-01, in the time zone of the features."""
    end: date | None = Field(default=None, examples=["2013-07-15"])
    """Give the first day on which all is as it was; left out, it stays so."""
    columns: tuple[Name, ...] = Field(default=(), strict=False, examples=[["wind_speed_mph"]])
    """Name the features that it happens to."""
    value: str | None = Field(default=None, examples=["B6"])
    """Give the category that disappears, or the class that rows are given by a shock."""
    days: float | None = Field(default=None, gt=0, examples=[30])
    """Give the days by which labels are late."""
    factor: float | None = Field(default=None, examples=[0.447])
    """Give what numbers are multiplied by."""
    share: float | None = Field(default=None, gt=0, le=1, examples=[0.2])
    """Give the share of rows that a shock gives the class in 'value'."""

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> InjectionSpec:
        lacking = [name for name in NEEDS[self.kind] if not getattr(self, name)]
        if self.kind == "target_shock" and self.factor is None and (self.share is None or self.value is None):
            lacking = ["factor (of a value), or share and value (of classes)"]
        if lacking:
            raise ValueError(f"is {self.kind} and needs {' and '.join(lacking)}. Give it")
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"ends on {self.end}, not after its start {self.start}. Correct them")
        return self


class RawInjectionSpec(Declaration):
    """One thing that goes otherwise in a raw file, before it is landed."""

    kind: Literal["rows_lost", "rows_doubled", "unit_changes", "rows_late"] = Field(examples=["rows_lost"])
    """Give what happens to the rows: they never come, come a second time, come in another unit, or are delivered late."""
    table: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", examples=["flights.weather"])
    """Name the table, as source.table; a product's own file is product.data."""
    start: date | None = Field(default=None, examples=["2013-07-04"])
    """Give the first day, by the table's 'partition.day'; left out, from its first row on."""
    end: date | None = Field(default=None, examples=["2013-07-05"])
    """Give the first day on which all is as it was; left out, it stays so."""
    where: str | None = Field(default=None, examples=["origin = 'JFK'"])
    """Give an SQL condition over the table's typed columns; left out, it happens to all rows between the days."""
    columns: tuple[Name, ...] = Field(default=(), strict=False, examples=[["temp", "dewp"]])
    """Name the columns whose unit changes, as they are called from the landing on."""
    factor: float | None = Field(default=None, examples=[0.5556])
    """Give what they are multiplied by."""
    offset: float = Field(default=0.0, examples=[-17.78])
    """Give what is added afterwards."""
    delivered: date | None = Field(default=None, examples=["2013-07-12"])
    """Give the day at whose beginning late rows come; until then features are as if they did not exist."""

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> RawInjectionSpec:
        needs = {"unit_changes": ("columns", "factor"), "rows_late": ("delivered",)}.get(self.kind, ())
        if lacking := [name for name in needs if not getattr(self, name)]:
            raise ValueError(f"is {self.kind} and needs {' and '.join(lacking)}. Give it")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"ends on {self.end}, not after its start {self.start}. Correct them")
        if self.delivered is not None and self.end is not None and self.delivered < self.end:
            raise ValueError(f"is delivered on {self.delivered}, before its end {self.end}. Correct them")
        return self


class WhatIfSpec(Declaration):
    """What went otherwise than it did, for a replay."""

    name: Name = Field(examples=["wind_sensor_fails"])
    """Give a name for the page and the folder."""
    description: str = Field(examples=["The wind sensor fails for two weeks in July."])
    """Say what happens, for people."""
    raw: tuple[RawInjectionSpec, ...] = Field(
        default=(), strict=False, examples=[[{"kind": "rows_lost", "table": "flights.weather", "start": "2013-07-04"}]]
    )
    """List what happens to raw files, in order; they are landed, checked and turned into features anew."""
    injections: tuple[InjectionSpec, ...] = Field(
        default=(), strict=False, examples=[[{"kind": "labels_late", "start": "2013-07-01", "days": 30}]]
    )
    """List what happens to features and labels, in order, after all that happens to raw files."""

    @model_validator(mode="after")
    def _happens(self) -> WhatIfSpec:
        if not self.raw and not self.injections:
            raise ValueError("changes nothing. Give 'injections', or 'raw'")
        if sum(item.kind == "rows_late" for item in self.raw) > 1:
            raise ValueError("has more than one delivery that is late. Keep one of them")
        return self

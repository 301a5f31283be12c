"""What a product declares of its monitoring, and of when it is trained anew."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from assets.registries import registry
from assets.spec.base import Declaration, Name, unknown


class DriftSpec(Declaration):
    """What counts as drift: surely there, and large."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1, examples=[0.95])
    """Give the confidence that a period without drift raises no alarm, all features considered."""
    floor: float = Field(default=0.1, ge=0, lt=1, examples=[0.1])
    """Give the smallest Jensen-Shannon distance of a feature, or of the outputs, that is worth an alarm."""
    concept_floor: float = Field(default=0.05, ge=0, examples=[0.05])
    """Give the smallest shift of residuals at like values that is: in probability, or in standard deviations of the error."""
    separation_floor: float = Field(default=0.7, ge=0.5, le=1, examples=[0.7])
    """Give the smallest ROC AUC that is, of a classifier that tells the period from the reference by all features."""
    permutations: int = Field(default=499, ge=199, le=9999, examples=[999])
    """Give the number of random exchanges of days by which chance is told."""
    ignore: tuple[Name, ...] = Field(default=(), strict=False, examples=[["temperature_fahrenheit"]])
    """List features whose drift is shown but raises no alarm, such as the weather's."""


class QualityDropSpec(Declaration):
    """What counts as a drop of quality."""

    max_loss: float | None = Field(default=None, gt=0, examples=[0.02])
    """Give how much worse the deciding metric may be than on the reference; left out, by 5 % of its value there."""
    min_labelled: int = Field(default=200, ge=20, examples=[500])
    """Give the labelled rows from which a period's realised quality is judged."""


class MonitoringSpec(Declaration):
    """How the champion is watched after its validation rows."""

    period: Literal["day", "week", "month"] = Field(default="month", examples=["week"])
    """Give the length of a period: day, week (from Monday) or month, in the time zone of the features."""
    min_rows: int = Field(default=200, ge=20, examples=[1000])
    """Give the rows from which a period is judged."""
    drift: DriftSpec = Field(default=DriftSpec(), examples=[{"floor": 0.1}])
    """Declare what counts as drift."""
    quality: QualityDropSpec = Field(default=QualityDropSpec(), examples=[{"max_loss": 0.02}])
    """Declare what counts as a drop of quality."""
    max_volume_change: float = Field(default=0.5, gt=0, le=10, examples=[0.5])
    """Give by which share the rows a day may fall or rise against the reference."""
    debounce: int = Field(default=1, ge=1, le=12, examples=[2])
    """Give the number of periods in a row in which an alarm must be raised before it stands."""


def _enumerated(schema: dict[str, Any]) -> None:
    """Let editors complete the names of triggers."""
    schema["items"] = {"enum": list(registry("RETRAINING_TRIGGERS"))}


class RetrainSpec(Declaration):
    """When the product is trained anew by itself; its sensors are off until you start them in the UI."""

    triggers: tuple[Name, ...] = Field(
        default=(), strict=False, examples=[["drift", "quality", "schedule"]], json_schema_extra=_enumerated
    )
    """List what may start a training, by the names of retraining triggers (docs/registries.md)."""
    cooldown_days: float = Field(default=7.0, ge=0, examples=[14])
    """Give the days that must lie between two trainings that were started so."""
    budget_per_year: int = Field(default=12, ge=0, examples=[6])
    """Give the most trainings that may be started so in 365 days."""
    min_new_labels: int = Field(default=1000, ge=1, examples=[5000])
    """Give the labels that must be new since the champion's training before labels start one."""
    dry_run: bool = Field(default=False, examples=[True])
    """Say true to have decisions recorded and nothing started."""

    @model_validator(mode="after")
    def _each_is_known_and_once(self) -> RetrainSpec:
        known = list(registry("RETRAINING_TRIGGERS")) if self.triggers else []
        for name in self.triggers:
            if name not in known:
                raise ValueError(unknown("lists", name, "retraining trigger", known))
        if len(set(self.triggers)) != len(self.triggers):
            raise ValueError(f"lists a trigger twice: {list(self.triggers)}. List each once")
        return self

"""What a product declares of its gates: what a challenger must show before it may be served.

A limit that is declared refuses a model that surely breaks it. A limit that is left out refuses nothing: the figure is
reported with its interval, warns where it is unusual, and a challenger must not be surely worse there than the champion.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from assets.registries import registry
from assets.spec.base import Declaration, Name, unknown

Share = Annotated[float, Field(ge=0, le=1)]


class Leveled(Declaration):
    """A gate whose declared limits refuse, or only warn."""

    level: Literal["blocking", "warning"] = Field(default="blocking", examples=["warning"])
    """Give blocking to refuse a model that surely breaks a limit declared here, warning to let it pass and say so."""


class BoundGate(Leveled):
    """A bound that a figure must keep: broken where its whole interval lies beyond."""

    min: float | None = Field(default=None, examples=[0.68])
    """Give the smallest value allowed."""
    max: float | None = Field(default=None, examples=[0.2])
    """Give the largest value allowed."""

    @model_validator(mode="after")
    def _bounds_something(self) -> BoundGate:
        if self.min is None and self.max is None:
            raise ValueError("bounds nothing. Give min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"can never pass: min {self.min:g} is above max {self.max:g}. Swap them")
        return self


class SliceGate(Leveled):
    """No declared slice, and no weak slice that is found, may surely be served worse than before."""

    max_loss: float | None = Field(default=None, ge=0, examples=[0.01])
    """Give how much of the deciding metric a slice may lose against the champion (the constant baseline, where none serves);
    left out, it may surely lose nothing against a champion, and is only watched against the baseline."""
    min_rows: int = Field(default=200, ge=30, examples=[200])
    """Give the rows that a slice must have to be judged; smaller ones are only shown."""


class CalibrationGate(Leveled):
    """Probabilities, or prediction intervals, must mean what they say."""

    max_error: Share | None = Field(default=None, examples=[0.05])
    """Give the largest calibration error; for a number, by how much the prediction interval's coverage may miss."""


class LeakageGate(Leveled):
    """No feature may know the answer, and no test row may have been trained on."""

    max_single_column: Share | None = Field(default=None, examples=[0.9])
    """Give the largest ROC AUC (share of variance, for a number) that one column alone may reach; left out, a first model
    warns from 0.9, and a challenger is refused for a column that the champion did not have, or that told less then."""
    known: tuple[Name, ...] = Field(default=(), strict=False, examples=[["plane_age_years"]])
    """List features that may be stronger, because you know why they are."""
    max_twins: Share | None = Field(default=None, examples=[0.1])
    """Give the largest share of test rows that may be copies of training rows (equal in all features and the target, and not by
    chance); left out, a random split refuses from 0.1, and a split in order of time warns."""


class RobustnessGate(Leveled):
    """Under stress a model must keep a part of what it gains over the constant baseline."""

    noise: float = Field(default=0.1, ge=0, examples=[0.1])
    """Give the standard deviation of the noise added to numbers, in standard deviations of each column."""
    missing: Share = Field(default=0.1, examples=[0.1])
    """Give the share of values that are taken away."""
    shift: float = Field(default=0.5, ge=0, examples=[0.5])
    """Give by how much one column after another is shifted, in its standard deviations."""
    min_kept: Share | None = Field(default=None, examples=[0.4])
    """Give the share of the gain that must be left under noise, and under gaps."""
    min_kept_unknown: Share | None = Field(default=None, examples=[0.4])
    """Give the share that must be left when every category is one never seen; left out, it is only shown."""
    min_kept_shifted: Share | None = Field(default=None, examples=[0.4])
    """Give the share that must be left when the most sensitive column is shifted; left out, it is only shown."""
    min_kept_shuffled: Share | None = Field(default=None, examples=[0.1])
    """Give the share that must be left when the most important column is shuffled; left out, it is only shown."""
    rows: int = Field(default=5_000, ge=500, examples=[5_000])
    """Give the number of test rows to stress, drawn at random."""


class ExplanationGate(Leveled):
    """Explanations must add up to what is served, and name the same features on other draws of rows."""

    rows: int = Field(default=500, ge=50, examples=[500])
    """Give the number of test rows to explain."""
    max_gap: float = Field(default=1e-3, gt=0, examples=[0.001])
    """Give how far contributions may add up to something else than the served output (relative, for a number)."""
    min_stability: Share | None = Field(default=None, examples=[0.8])
    """Give the smallest mean rank correlation between the importances of all rows and of redrawn ones."""


class LatencyGate(Leveled):
    """Answers must come in time, through what is packaged."""

    row_p99_ms: float | None = Field(default=None, gt=0, examples=[20.0])
    """Give the 99th percentile of one row's time, in milliseconds."""
    batch_p99_ms: float | None = Field(default=None, gt=0, examples=[500.0])
    """Give the 99th percentile of a full batch's time, in milliseconds."""


class SizeGate(Leveled):
    """A model must stay small enough to ship."""

    max_megabytes: float | None = Field(default=None, gt=0, examples=[50.0])
    """Give the largest size of the model's files, in megabytes."""


class GatesSpec(Declaration):
    """The limits that a challenger must keep; that it beats the baselines and the champion is required of each."""

    metrics: dict[Name, BoundGate] = Field(default_factory=dict, examples=[{"roc_auc": {"min": 0.68}}])
    """Give limits of test metrics, such as a floor."""
    slices: SliceGate = Field(default=SliceGate(), examples=[{"max_loss": 0.01}])
    """Declare what slices may lose."""
    calibration: CalibrationGate = Field(default=CalibrationGate(), examples=[{"max_error": 0.03}])
    """Declare how well calibrated it must be."""
    leakage: LeakageGate = Field(default=LeakageGate(), examples=[{"max_single_column": 0.85}])
    """Declare what counts as a leak."""
    robustness: RobustnessGate = Field(default=RobustnessGate(), examples=[{"min_kept": 0.5}])
    """Declare what it must withstand."""
    explanations: ExplanationGate = Field(default=ExplanationGate(), examples=[{"level": "warning"}])
    """Declare what its explanations must keep."""
    latency: LatencyGate = Field(default=LatencyGate(), examples=[{"row_p99_ms": 5.0}])
    """Declare how fast it must be."""
    size: SizeGate = Field(default=SizeGate(), examples=[{"max_megabytes": 20.0}])
    """Declare how small it must be."""
    rules: dict[Name, BoundGate] = Field(default_factory=dict, examples=[{"flagged_share": {"max": 0.3}}])
    """Give limits of gate rules that extensions add, by the rule's name (docs/extending.md)."""

    @field_validator("rules")
    @classmethod
    def _rules_take_a_limit(cls, rules: dict[str, BoundGate]) -> dict[str, BoundGate]:
        # extensions are imported only where a declaration names one
        known = {rule.name: rule.declared for rule in registry("GATE_RULES").values()} if rules else {}
        limited = [name for name, declared in known.items() if declared == f"gates.rules.{name}"]
        for name in set(rules).difference(limited):
            if known.get(name):
                raise ValueError(f"has '{name}', whose limits are declared in '{known[name]}'. Move it there")
            raise ValueError(unknown("has", name, "gate rule that takes a limit", limited))
        return rules

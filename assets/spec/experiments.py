"""What a product declares of an experiment: its arms, its unit, the metric that decides, and the errors it may make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from assets.spec.base import Declaration, Name

Metric = Literal["cost", "outcome", "decision", "error", "latency_ms"]
"""What is measured of an answered request: what it cost, what came, what was decided, whether it failed, how long it took."""
Direction = Literal["lower", "higher"]
LOWER_IS_BETTER: Mapping[Metric, Direction] = {"cost": "lower", "error": "lower", "latency_ms": "lower"}
"""The metrics whose direction is known; of the others the declaration says it."""
Arm = Literal["champion", "challenger"] | Annotated[int, Field(ge=1)]
"""Who answers in an arm: a role, as it is held when the experiment starts, or the number of a version."""
Share = Annotated[float, Field(gt=0, lt=1)]
Step = Annotated[float, Field(gt=0, le=1)]


class GuardrailSpec(Declaration):
    """A metric that an arm must not surely harm."""

    metric: Metric = Field(examples=["latency_ms"])
    """Give what is watched: cost, outcome, decision, error (the share of failed requests) or latency_ms."""
    direction: Direction | None = Field(default=None, examples=["lower"])
    """Give lower or higher, whichever is better; left out where it is known: of cost, error and latency_ms it is lower."""
    max_harm: float = Field(ge=0, examples=[0.1])
    """Give by which share of the control's value an arm may be worse; 0.1 is ten percent."""

    @model_validator(mode="after")
    def _has_a_direction(self) -> GuardrailSpec:
        _require_direction(self.metric, self.direction)
        return self

    @property
    def better(self) -> Direction:
        """Which direction is better."""
        return self.direction or LOWER_IS_BETTER[self.metric]


class ExperimentSpec(Declaration):
    """An experiment on live traffic: a test or a canary, in which each arm answers its share of the units, or a shadow."""

    name: Name = Field(examples=["cheaper_threshold"])
    """Give the experiment's name: lower case, digits and underscores."""
    kind: Literal["test", "canary", "shadow"] = Field(default="test", examples=["canary"])
    """Give test, which compares arms of fixed shares; canary, whose treatment gets more units step by step and is taken back if
    it is surely worse; or shadow, whose treatment answers beside the champion and is only logged."""
    arms: dict[Name, Arm] = Field(min_length=2, examples=[{"control": "champion", "treatment": "challenger"}])
    """Name the arms, the control first: each is champion, challenger, or the number of a registered version."""
    allocation: dict[Name, Share] | None = Field(default=None, examples=[{"control": 0.5, "treatment": 0.5}])
    """Give each arm's share of the units, which add up to 1; left out, all arms have equal shares."""
    steps: tuple[Step, ...] = Field(default=(0.01, 0.05, 0.25, 1.0), strict=False, min_length=1, examples=[[0.05, 0.25, 1.0]])
    """Give the shares of the units that a canary's treatment answers, one after the other, each larger than the one before."""
    unit: Name = Field(examples=["customer_id"])
    """Name the key of the entity by which requests are dealt to arms: the same key is always answered by the same arm."""
    metric: Literal["cost", "outcome", "decision"] = Field(default="cost", examples=["cost"])
    """Give the metric that decides, per answered request: cost, outcome or decision."""
    direction: Direction | None = Field(default=None, examples=["lower"])
    """Give lower or higher, whichever is better; left out where it is known: of cost it is lower."""
    guardrails: tuple[GuardrailSpec, ...] = Field(
        default=(), strict=False, examples=[[{"metric": "latency_ms", "max_harm": 0.1}, {"metric": "error", "max_harm": 0.5}]]
    )
    """List the metrics that no arm may surely harm, each with its largest harm."""
    minimal_effect: float = Field(default=0.05, gt=0, lt=1, examples=[0.05])
    """Give the smallest effect that a test must find, as a share of the control's value; 0.05 is five percent."""
    false_positive: float = Field(default=0.05, gt=0, le=0.5, examples=[0.05])
    """Give the probability with which arms that do not differ may be told different, at all looks together."""
    power: float = Field(default=0.8, ge=0.5, lt=1, examples=[0.8])
    """Give the probability with which the minimal effect must be found."""
    max_weeks: int = Field(default=8, ge=1, le=104, examples=[8])
    """Give the whole weeks that it may take at most."""

    @model_validator(mode="after")
    def _arms_differ_and_share_all(self) -> ExperimentSpec:
        if "shadow" in self.arms:
            raise ValueError("names an arm 'shadow', under which the log keeps what answers in the shadow. Name it otherwise")
        if len(set(self.arms.values())) < len(self.arms):
            raise ValueError(f"has arms that are the same: {_listed(self.arms)}. Give each arm another version, or remove one")
        if self.allocation is not None:
            if set(self.allocation) != set(self.arms):
                raise ValueError(f"allocates {sorted(self.allocation)}, but has arms {sorted(self.arms)}. Give each a share")
            if abs(sum(self.allocation.values()) - 1) > 1e-9:
                raise ValueError(f"allocates {sum(self.allocation.values()):g} of the units. Make the shares add up to 1")
        return self

    @model_validator(mode="after")
    def _fits_its_kind(self) -> ExperimentSpec:
        if self.kind == "test":
            return self
        if len(self.arms) > 2:
            raise ValueError(f"is a {self.kind} of {len(self.arms)} arms: {_listed(self.arms)}. Give two, the champion first")
        if self.allocation is not None:
            raise ValueError(f"allocates units in a {self.kind}. Remove 'allocation'; the shares of a canary are its 'steps'")
        if any(later <= earlier for earlier, later in pairwise(self.steps)):
            raise ValueError(f"has steps that do not rise: {list(self.steps)}. Let each share be larger than the one before")
        if self.kind == "canary" and self.steps[-1] < 1:
            raise ValueError(f"has steps that end at {self.steps[-1]:g}. Let the last one be 1, all units")
        if self.kind == "canary" and not self.guardrails:
            raise ValueError("is a canary without 'guardrails', so that nothing could take it back. Give what it must not harm")
        return self

    @model_validator(mode="after")
    def _measures_each_once(self) -> ExperimentSpec:
        _require_direction(self.metric, self.direction)
        named = [item.metric for item in self.guardrails]
        if len(set(named)) < len(named) or self.metric in named:
            raise ValueError(f"names a metric twice: {[self.metric, *named]}. Name each once")
        return self

    @property
    def control(self) -> str:
        """The arm that the others are compared with."""
        return next(iter(self.arms))

    @property
    def shares(self) -> dict[str, float]:
        """Each arm's share of the units, in the order of the arms."""
        given = self.allocation or dict.fromkeys(self.arms, 1 / len(self.arms))
        return {name: given[name] for name in self.arms}

    @property
    def better(self) -> Direction:
        """Which direction of the deciding metric is better."""
        return self.direction or LOWER_IS_BETTER[self.metric]


def require_distinct(experiments: Sequence[ExperimentSpec], kind: str) -> None:
    """Each experiment of a product has a name of its own, and measures what its kind of target has.

    Raises
    ------
    ValueError
        If two have one name, or classes are to be averaged.
    """
    named = [item.name for item in experiments]
    if len(set(named)) < len(named):
        raise ValueError(f"declares an experiment twice: {named}. Give each its own name")
    for item in experiments:
        metrics = {item.metric, *(guardrail.metric for guardrail in item.guardrails)}
        if kind == "multiclass" and (classes := sorted(metrics & {"outcome", "decision"})):
            raise ValueError(f"averages {classes} in experiment '{item.name}', which are classes. Use cost")


def _require_direction(metric: Metric, direction: Direction | None) -> None:
    known = LOWER_IS_BETTER.get(metric)
    if direction is None and known is None:
        raise ValueError(f"measures {metric}, of which nobody knows what is better. Give 'direction' as lower or higher")
    if direction is not None and known not in (None, direction):
        raise ValueError(f"calls a {direction} {metric} better. Remove 'direction': of {metric} it is {known}")


def _listed(arms: Mapping[str, str | int]) -> str:
    return ", ".join(f"{name}: {version}" for name, version in arms.items())

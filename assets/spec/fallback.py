"""What a product declares of its fallback: what the service answers without the model, and when it does so by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from assets.spec.base import Declaration

if TYPE_CHECKING:
    from assets.spec.product import ProductSpec

BASELINE = "baseline"


def _answer(value: Any) -> Any:
    """Refuse what is no answer of any kind by one sentence, not by one for each kind."""
    if value != BASELINE and (isinstance(value, bool) or not isinstance(value, int | float | dict)):
        raise ValueError(f"must be baseline, a number, or a probability for each class, got {value!r}")
    return value


FallbackSpec = Annotated[Literal["baseline"] | float | dict[str, float], BeforeValidator(_answer)]
"""``baseline``, a number, or a probability by class."""


class BreakerSpec(Declaration):
    """A circuit breaker: the service answers with the fallback while what it is asked is surely not what it was trained for."""

    window_rows: int = Field(default=200, ge=20, le=10_000, examples=[200])
    """Give the number of latest rows whose share out of range is looked at."""
    tolerated_share: Annotated[float, Field(gt=0, lt=1)] = Field(default=0.05, examples=[0.05])
    """Give the share of rows out of range that is tolerated; the largest of any window of the held-out rows is, too."""
    beyond: Annotated[float, Field(ge=0)] = Field(default=0.1, examples=[0.1])
    """Give how far beyond the training rows' least and largest value a number is still in range, in parts of their distance."""
    false_trips: Annotated[float, Field(gt=0, le=1000)] = Field(default=0.01, examples=[0.01])
    """Give how often it may open in a million rows while the share out of range is no larger than what is tolerated."""


def require_fallback(spec: ProductSpec) -> None:
    """Refuse a fallback that is no answer of the product's kind, and a breaker without one.

    Raises
    ------
    ValueError
        With what is allowed.
    """
    fallback, classes = spec.serving.fallback, spec.target.classes or ()
    if fallback is None:
        if spec.serving.breaker is not None:
            raise ValueError("has serving.breaker without serving.fallback, so it could answer nothing. Declare one")
        return
    if fallback == BASELINE:
        return
    told = f"has the serving.fallback {fallback!r}, but"
    if spec.kind != "multiclass" and isinstance(fallback, dict):
        raise ValueError(f"{told} a {spec.kind} target has no classes. Give baseline or a number")
    if not isinstance(fallback, dict):
        if spec.kind == "multiclass":
            raise ValueError(f"{told} a target of several classes needs baseline or a probability for each. Classes: {classes}")
        if spec.kind == "binary" and not 0 <= float(fallback) <= 1:
            raise ValueError(f"{told} it must be the probability that {spec.target.meaning}, from 0 to 1. Correct it")
        return
    if set(fallback) != set(classes):
        raise ValueError(f"{told} it must name each class once. Classes: {classes}")
    if min(fallback.values()) < 0 or not math.isclose(sum(fallback.values()), 1, abs_tol=1e-6):
        raise ValueError(f"{told} it must be probabilities that add up to 1. Correct it")

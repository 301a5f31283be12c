"""What a product declares of its uncertainty: intervals or sets with a promised coverage, and what it costs not to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from assets.spec.base import Declaration, Name

if TYPE_CHECKING:
    from assets.spec.product import ProductSpec

SEPARATOR = "|"
"""What stands between the classes of a set where it is one text."""


class UncertaintySpec(Declaration):
    """Each answer says how sure it is: a prediction interval, or the set of classes that are likely enough."""

    method: Literal["conformal"] = Field(default="conformal", examples=["conformal"])
    """Give conformal: the width is a quantile of errors on rows that the model was not fitted on."""
    coverage: float = Field(default=0.9, gt=0, lt=1, examples=[0.9])
    """Give the share of rows whose outcome is to lie in the interval, or in the set."""
    by: tuple[Name, ...] = Field(default=(), strict=False, examples=[["origin"]])
    """List category features; each combination of their values has its own width, where enough rows have it."""
    adaptive: bool = Field(default=False, examples=[True])
    """Say true to widen or narrow the answers as labels arrive, so that the coverage holds when the world changes."""


class AbstainSpec(Declaration):
    """An answer that is too uncertain is no decision, and costs what a person, or another way to decide, costs."""

    cost: float = Field(gt=0, examples=[0.5])
    """Give the cost of a row that is not decided, in the unit of 'cost'."""
    wider_than: float | None = Field(default=None, gt=0, examples=[60.0])
    """Regression: give the width of an interval, in the target's unit, above which nothing is decided."""


def require_uncertainty(spec: ProductSpec) -> None:
    """Refuse an uncertainty that does not fit the product's features and target.

    Raises
    ------
    ValueError
        With what is allowed.
    """
    declared, abstain, columns = spec.uncertainty, spec.abstain, spec.columns
    if declared is None:
        if abstain is not None:
            raise ValueError("has 'abstain' without 'uncertainty', so nothing says what is uncertain. Declare it too")
        return
    if twice := sorted({name for name in declared.by if declared.by.count(name) > 1}):
        raise ValueError(f"lists {twice} twice in uncertainty.by. Keep each once")
    categories = [name for name, feature in columns.items() if feature.type == "category"]
    if unknown := sorted(set(declared.by).difference(columns)):
        raise ValueError(f"has uncertainty.by {unknown}, which are not features. Categories: {', '.join(categories) or 'none'}")
    if numbers := sorted(set(declared.by).difference(categories)):
        raise ValueError(
            f"has uncertainty.by {numbers}, which are numbers, not categories. Categories: {', '.join(categories) or 'none'}"
        )
    if declared.adaptive and spec.split.by == "random":
        raise ValueError("has uncertainty.adaptive and a random split, so no labels come later. Split by time, or say false")
    if odd := [name for name in spec.target.classes or () if SEPARATOR in name]:
        raise ValueError(f"has classes {odd} with '{SEPARATOR}', which separates the classes of a set. Rename them")
    if abstain is not None and spec.kind == "regression" and abstain.wider_than is None:
        raise ValueError("is a regression and needs abstain.wider_than, the width above which nothing is decided. Give it")
    if abstain is not None and spec.kind != "regression" and abstain.wider_than is not None:
        raise ValueError(f"has abstain.wider_than, but a {spec.kind} target has sets, not intervals. Remove it")

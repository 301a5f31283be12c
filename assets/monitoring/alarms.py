"""Alarms: what of a period's figures is worth one, how it is told, and from when on it stands."""

from __future__ import annotations

from typing import Any

from assets.spec import ProductSpec

RELATIVE_LOSS = 0.05
"""How much of the deciding metric may be lost where nothing is declared."""
TOLD = {
    "data": "its distribution moved by {effect:.2f} (Jensen-Shannon distance), more than {floor:.2f}; p = {p_value:.3f}",
    "model": "their distribution moved by {effect:.2f} (Jensen-Shannon distance), more than {floor:.2f}; p = {p_value:.3f}",
    "concept": "at like values, what comes moved by {effect:.3f}, more than {floor:.3f}; p = {p_value:.3f}",
    "calibration": "at like outputs, what comes moved by {effect:.3f}, more than {floor:.3f}; p = {p_value:.3f}",
}


def alarm(kind: str, what: str, effect: float, floor: float, told: str, **more: float) -> dict[str, Any]:
    """One alarm, which does not stand yet."""
    return {"kind": kind, "what": what, "effect": effect, "floor": floor, "told": told, "stands": False, **more}


def let_stand(periods: list[dict[str, Any]], debounce: int) -> None:
    """An alarm of the last period stands if it was raised in so many periods in a row."""
    recent = periods[-debounce:]
    for raised_now in periods[-1]["alarms"]:
        named = (raised_now["kind"], raised_now["what"])
        raised = [any((other["kind"], other["what"]) == named for other in period["alarms"]) for period in recent]
        raised_now["stands"] = len(raised) == debounce and all(raised)


def allowed_loss(spec: ProductSpec, reference: float) -> float:
    """How much worse than on the reference the deciding metric may be."""
    declared = spec.monitoring.quality.max_loss
    return RELATIVE_LOSS * abs(reference) if declared is None else declared

"""The circuit breaker's ranges and counts: what the training rows had, and how much of the held-out rows lies outside of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.evaluation.evidence import Case
from assets.methods.circuit_breaker import returns_at, trips_at, worst_window
from assets.spec.fallback import BreakerSpec
from bentos.training_ranges import TrainingRanges


def breaker_of(case: Case, held_out: str) -> dict[str, Any] | None:
    """What a service's breaker goes by; None where so many held-out rows lie outside that no count of a window is sure.

    Parameters
    ----------
    case : Case
        The champion, with the rows that it was fitted on.
    held_out : str
        The part of other rows. They come in order of time, where rows have one, so windows of them differ as days do.

    Returns
    -------
    dict
        ``ranges`` by feature, ``window_rows``, ``held_out_share``, the ``tolerated_share``, ``trips_at`` and ``returns_at``.
    """
    declared = case.spec.serving.breaker or BreakerSpec()
    columns = case.columns(held_out)
    ranges = _ranges(case, declared.beyond)
    outside = TrainingRanges(ranges, list(columns)).outside
    is_out = np.array([bool(outside(row)) for row in zip(*columns.values(), strict=True)], dtype=np.float64)
    tolerated = max(declared.tolerated_share, worst_window(is_out, declared.window_rows))
    least = trips_at(declared.window_rows, tolerated, declared.false_trips)
    if least is None:
        return None
    return {
        "ranges": ranges,
        "window_rows": declared.window_rows,
        "held_out_share": float(is_out.mean()) if len(is_out) else 0.0,
        "tolerated_share": tolerated,
        "trips_at": least,
        "returns_at": returns_at(declared.window_rows, tolerated),
    }


def _ranges(case: Case, beyond: float) -> dict[str, dict[str, Any]]:
    """By feature, what the rows had that the champion was fitted on, and a little more; texts are no vocabulary: none."""
    found: dict[str, dict[str, Any]] = {}
    learnt = case.columns_of(case.learnt.rows)
    for name, feature in case.model.signature["features"].items():
        if feature.get("is_text"):
            continue
        if feature["type"] == "category":
            found[name] = {"known": feature["known"], "is_missing": any(value is None for value in learnt[name])}
            continue
        numbers = np.asarray(learnt[name], dtype=np.float64)
        present = numbers[~np.isnan(numbers)]
        found[name] = {"low": None, "high": None, "is_missing": len(present) < len(numbers)}
        if len(present):
            low, high = float(present.min()), float(present.max())
            found[name] |= {"low": low - beyond * (high - low), "high": high + beyond * (high - low)}
    return found

"""Parity of intervals and sets: whether a way of serving says the same of an answer's uncertainty as the model does."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.methods.ranking import Array
from assets.serving.way_of_serving import Answers
from bentos.runtime import Model


def differences(model: Model, expected: Answers, given: Answers, reach: Array, tolerance: float) -> tuple[float, int, int]:
    """The largest difference of an interval's end, the sets that differ, and those too close to call.

    Parameters
    ----------
    model : Model
        The model.
    expected, given : Answers
        What the model says, and what the way answered: of as many rows, or of the first ones.
    reach : ndarray of shape (n_rows,)
        The threshold of each row.
    tolerance : float
        How far outputs may differ.
    """
    rows, wanted, told = len(given[0]), expected[2], given[2]
    if not wanted:
        return 0.0, 0, 0
    if not set(wanted) <= set(told):
        # what is not said at all is not said alike
        return 0.0, rows, 0
    outputs, reach = expected[0][:rows], reach[:rows]
    scale = max(1.0, float(np.abs(outputs).max())) if model.kind == "regression" else 1.0
    ends = [name for name in ("low", "high") if name in wanted]
    apart = [np.abs(wanted[name][:rows] - told[name].astype(np.float64)) / scale for name in ends]
    differing: np.ndarray[Any, Any] = np.zeros(rows, dtype=bool)
    for name in wanted:
        if name not in ends:
            differing |= wanted[name][:rows] != told[name]
    close = _too_close(model, outputs, reach, tolerance)
    largest = float(np.max(apart)) if apart else 0.0
    return largest, int(np.sum(differing & ~close)), int(np.sum(differing & close))


def _too_close(model: Model, outputs: Array, reach: Array, tolerance: float) -> np.ndarray[Any, Any]:
    """Rows of which a class is in the set, or not, by less than the tolerance."""
    if model.kind == "regression":
        return np.zeros(len(outputs), dtype=bool)
    chances = np.column_stack([1 - outputs, outputs]) if model.kind == "binary" else outputs
    return np.asarray((np.abs(1 - chances - reach[:, np.newaxis]) <= tolerance).any(axis=1))

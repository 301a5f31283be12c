"""From a model's outputs to what is decided: the rule is part of the model, chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def said(answer: Mapping[str, Any]) -> tuple[float | None, str | None]:
    """What an answer says as one number, and what was decided, as text; None where it says nothing.

    The number is the probability of yes, the largest of all classes', or the value.

    Examples
    --------
    >>> said({"probability": 0.75, "is_positive": True})
    (0.75, 'true')
    >>> said({"predicted_class": "gold", "probabilities": {"gold": 0.5, "silver": 0.5}})
    (0.5, 'gold')
    >>> said({"value": 3.5, "planned": 4.0})
    (3.5, '4.0')
    """
    if "is_positive" in answer:
        return answer["probability"], "true" if answer["is_positive"] else "false"
    if "predicted_class" in answer:
        return max(answer["probabilities"].values()), answer["predicted_class"]
    return answer.get("value"), str(answer["planned"]) if "planned" in answer else None


def decide(kind: str, outputs: np.ndarray[Any, Any], decision: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Decide each row.

    Parameters
    ----------
    kind : str
        ``binary``, ``multiclass`` or ``regression``.
    outputs : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Probabilities of yes; probabilities of each class; or predicted values.
    decision : mapping
        ``threshold`` from which the answer is yes; ``costs[true][said]``, of which the expected one is made least; or the
        ``offset`` that is added to a predicted value because too low and too high do not cost the same.

    Returns
    -------
    ndarray of shape (n_samples,)
        Booleans, class numbers, or values.

    Examples
    --------
    >>> decide("multiclass", np.array([[0.6, 0.4]]), {"costs": [[0, 1], [5, 0]]}).tolist()
    [1]
    """
    if kind == "binary":
        return np.asarray(outputs >= decision["threshold"])
    if kind == "multiclass":
        return np.asarray(np.argmin(outputs @ np.asarray(decision["costs"], dtype=np.float64), axis=1))
    return np.asarray(outputs + decision["offset"])

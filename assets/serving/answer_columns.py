"""Answer columns: what a model says of rows, as the columns of a table of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bentos.runtime import Model


def answer_columns(model: Model, outputs: np.ndarray[Any, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that hold the model's answers, by kind of target, and what they say of their own uncertainty.

    Parameters
    ----------
    model : Model
        The model.
    outputs : ndarray of shape (n_rows,) or (n_rows, n_classes)
        What it gave.
    columns : mapping of str to array-like of shape (n_rows,)
        The features by name.
    """
    import pyarrow as pa

    found = _answers(model, outputs)
    if model.uncertainty is not None:
        types = {"prediction_set": pa.string(), "low": pa.float64(), "high": pa.float64()}
        told = model.uncertainty.as_columns(outputs, columns)
        found |= {name: pa.array(values, types.get(name, pa.bool_())) for name, values in told.items()}
    return found


def _answers(model: Model, outputs: np.ndarray[Any, Any]) -> dict[str, Any]:
    import pyarrow as pa

    decided = model.decide(outputs)
    if model.kind == "binary":
        threshold = pa.array([model.decision["threshold"]] * len(outputs), pa.float64())
        return {"probability": pa.array(outputs), "is_positive": pa.array(decided), "threshold": threshold}
    if model.kind == "regression":
        margin = model.decision["margin"]
        return {
            "prediction": pa.array(outputs),
            "planned": pa.array(decided),
            "low": pa.array(outputs - margin),
            "high": pa.array(outputs + margin),
        }
    classes = model.signature["classes"]
    chances = {f"probability_{name}": pa.array(outputs[:, index]) for index, name in enumerate(classes)}
    return {"predicted_class": pa.array([classes[index] for index in decided], pa.string()), **chances}

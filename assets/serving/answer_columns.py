"""Answer columns: what a model says of rows, as the columns of a table of predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from bentos.runtime import Model


def answer_columns(model: Model, outputs: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The columns that hold the model's answers, by kind of target."""
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

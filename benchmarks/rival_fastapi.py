"""The hand-written rival: FastAPI, a typed row and onnxruntime, as someone in a hurry would write it well.

``uvicorn benchmarks.rival_fastapi:app``; ``LOOPLINE_RIVAL`` names the model folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel, Field, create_model

FOLDER = Path(os.environ["LOOPLINE_RIVAL"])
SIGNATURE: dict[str, Any] = json.loads((FOLDER / "model.json").read_text(encoding="utf-8"))
FEATURES: dict[str, dict[str, Any]] = SIGNATURE["features"]


def _field(feature: dict[str, Any]) -> Any:
    kind: Any = str if feature["type"] == "category" else Annotated[float, Field(ge=feature["min"], le=feature["max"])]
    return (kind, ...) if feature["required"] else (kind | None, None)


Row: Any = create_model("Row", **{name: _field(feature) for name, feature in FEATURES.items()})


class Answer(BaseModel):
    """The answer for one row."""

    probability: float
    is_positive: bool


options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(FOLDER / "model.onnx", options, providers=["CPUExecutionProvider"])
app = FastAPI()


@app.post("/predict")
async def predict(row: Row) -> Answer:
    """Predict one row."""
    given = row.model_dump()
    feeds = {
        name: np.array([[given[name] or ""]], dtype=object)
        if feature["type"] == "category"
        else np.array([[np.nan if given[name] is None else given[name]]], dtype=np.float64)
        for name, feature in FEATURES.items()
    }
    probability = float(session.run(None, feeds)[0][0, 1])
    return Answer(probability=probability, is_positive=probability >= SIGNATURE["decision"]["threshold"])

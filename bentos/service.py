"""The service: typed rows in, probabilities out, each answer stamped with the model's version and digest.

It reads everything it needs from the files beside it in the bento: `model/` and `promoted.json`, the promise of which
digest that folder must have. It refuses to start when they disagree.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, create_model

from bentos.runtime import Model

HERE = Path(__file__).resolve().parent
PROMOTED: dict[str, Any] = json.loads((HERE / "promoted.json").read_text(encoding="utf-8"))
SIGNATURE: dict[str, Any] = json.loads((HERE / "model" / "model.json").read_text(encoding="utf-8"))


def _row_type(signature: dict[str, Any]) -> type[BaseModel]:
    """The type of one row: a field for each feature, with its range; a category may be one never seen."""
    fields: dict[str, Any] = {}
    for name, feature in signature["features"].items():
        if feature["type"] == "category":
            kind: Any = Annotated[str, Field(min_length=1, max_length=200, description=feature["description"])]
        else:
            bounds = {"ge": feature["min"], "le": feature["max"], "description": feature["description"]}
            kind = Annotated[float, Field(allow_inf_nan=False, **bounds)]
        fields[name] = (kind, ...) if feature["required"] else (kind | None, None)
    return create_model("Row", __config__=ConfigDict(extra="forbid"), **fields)


Row: Any = _row_type(SIGNATURE)


class Prediction(BaseModel):
    """The answer for one row."""

    probability: float = Field(ge=0, le=1, description=f"Probability that {SIGNATURE['positive_means']}")
    is_positive: bool = Field(description="Whether the probability reaches the threshold")
    unknown_categories: list[str] = Field(description="Features whose category was not seen in training")


class Answer(BaseModel):
    """The answer for one row, and which model gave it."""

    prediction: Prediction
    threshold: float
    model_version: int
    model_digest: str


class BatchAnswer(BaseModel):
    """The answers for many rows, in their order, and which model gave them."""

    predictions: list[Prediction]
    threshold: float
    model_version: int
    model_digest: str


@bentoml.service(name=PROMOTED["product"], workers=PROMOTED["workers"], traffic={"timeout": 30})
class ModelService:
    """Answers from the promoted model, and from no other."""

    def __init__(self) -> None:
        self.model = Model.load(HERE / "model", PROMOTED["model_digest"])

    @bentoml.api(route="/predict")
    def predict(self, row: Row, context: bentoml.Context) -> Answer:
        """Predict one row."""
        return Answer(prediction=self._predict([row])[0], **self._stamp(context))

    @bentoml.api(route="/predict_batch")
    def predict_batch(
        self,
        rows: Annotated[list[Row], Field(min_length=1, max_length=SIGNATURE["max_batch_rows"])],
        context: bentoml.Context,
    ) -> BatchAnswer:
        """Predict many rows."""
        return BatchAnswer(predictions=self._predict(rows), **self._stamp(context))

    @bentoml.api(route="/model")
    def describe(self, context: bentoml.Context) -> dict[str, Any]:
        """Say which model answers: its version, digest, lineage and features."""
        return {**SIGNATURE, **self._stamp(context)}

    def _predict(self, rows: list[Any]) -> list[Prediction]:
        given = [row.model_dump() for row in rows]
        columns = {name: [row[name] for row in given] for name in SIGNATURE["features"]}
        probabilities = self.model.predict(columns)
        return [
            Prediction(
                probability=float(np.clip(probability, 0, 1)),
                is_positive=bool(probability >= self.model.threshold),
                unknown_categories=self.model.unknown_categories(row),
            )
            for row, probability in zip(given, probabilities, strict=True)
        ]

    def _stamp(self, context: bentoml.Context) -> dict[str, Any]:
        """Put version and digest on the response's headers, and return them for its body."""
        context.response.headers["X-Model-Version"] = str(PROMOTED["model_version"])
        context.response.headers["X-Model-Digest"] = self.model.digest
        return {
            "threshold": self.model.threshold,
            "model_version": PROMOTED["model_version"],
            "model_digest": self.model.digest,
        }

"""The service: typed rows in, predictions out, each answer stamped with the model's version and digest.

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
        # by alias, as a column may be called like a method of BaseModel
        given = Field(alias=name) if feature["required"] else Field(default=None, alias=name)
        fields[f"feature_{name}"] = (kind if feature["required"] else kind | None, given)
    return create_model("Row", __config__=ConfigDict(extra="forbid"), **fields)


def _prediction_type(signature: dict[str, Any]) -> type[BaseModel]:
    """The type of the answer for one row, by kind of target."""
    means, unit = signature["target_means"], signature["unit"] or "the target's unit"
    unknown: Any = (list[str], Field(description="Features whose category was not seen in training"))
    if signature["kind"] == "binary":
        probability = (float, Field(ge=0, le=1, description=f"Probability that {means}"))
        said: Any = (bool, Field(description="Whether the probability reaches the threshold"))
        return create_model("Prediction", probability=probability, is_positive=said, unknown_categories=unknown)
    if signature["kind"] == "multiclass":
        said = (str, Field(description=f"The class of least expected cost: {means}"))
        chances = (dict[str, float], Field(description="Probability of each class"))
        return create_model("Prediction", predicted_class=said, probabilities=chances, unknown_categories=unknown)
    return create_model(
        "Prediction",
        value=(float, Field(description=f"{means}, in {unit}")),
        planned=(float, Field(description="The value that costs least to plan with")),
        low=(float, Field(description="Lower end of the 90 % prediction interval")),
        high=(float, Field(description="Upper end of the 90 % prediction interval")),
        unknown_categories=unknown,
    )


Row: Any = _row_type(SIGNATURE)
Prediction: Any = _prediction_type(SIGNATURE)


class Stamp(BaseModel):
    """Which model gave an answer, and by which rule it decided."""

    decision: dict[str, Any]
    model_version: int
    model_digest: str


class Answer(Stamp):
    """The answer for one row."""

    prediction: Prediction


class BatchAnswer(Stamp):
    """The answers for many rows, in their order."""

    predictions: list[Prediction]


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

    def _predict(self, rows: list[Any]) -> list[Any]:
        given = [row.model_dump(by_alias=True) for row in rows]
        columns = {name: [row[name] for row in given] for name in SIGNATURE["features"]}
        outputs = self.model.predict(columns)
        answers = self._answers(outputs)
        return [
            Prediction(**answer, unknown_categories=self.model.unknown_categories(row))
            for row, answer in zip(given, answers, strict=True)
        ]

    def _answers(self, outputs: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
        """The fields of each row's prediction, by kind of target."""
        decided = self.model.decide(outputs)
        if self.model.kind == "binary":
            chances = np.clip(outputs, 0, 1)
            return [{"probability": float(p), "is_positive": bool(said)} for p, said in zip(chances, decided, strict=True)]
        if self.model.kind == "multiclass":
            names = SIGNATURE["classes"]
            return [
                {"predicted_class": names[said], "probabilities": dict(zip(names, map(float, row), strict=True))}
                for row, said in zip(outputs, decided, strict=True)
            ]
        margin = self.model.decision["margin"]
        return [
            {"value": float(value), "planned": float(plan), "low": float(value - margin), "high": float(value + margin)}
            for value, plan in zip(outputs, decided, strict=True)
        ]

    def _stamp(self, context: bentoml.Context) -> dict[str, Any]:
        """Put version and digest on the response's headers, and return them for its body."""
        context.response.headers["X-Model-Version"] = str(PROMOTED["model_version"])
        context.response.headers["X-Model-Digest"] = self.model.digest
        return {
            "decision": self.model.decision,
            "model_version": PROMOTED["model_version"],
            "model_digest": self.model.digest,
        }

"""What a request may hold and what an answer holds, made from the model's signature: plain dictionaries, strictly checked."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

STRICT = ConfigDict(extra="forbid", strict=True)
STAMP = {
    "decision": Annotated[dict[str, Any], Field(description="The rule by which the model decides")],
    "model_version": int,
    "model_digest": str,
}
"""Which model gave an answer, and by which rule it decided."""
FALLBACK: dict[str, Any] = {
    "fallback": NotRequired[
        Annotated[str, Field(description="Why the fallback answered, by whose digest it is known; left out, the model did")]
    ]
}
"""What stands beside the stamp where a product has a fallback."""


def row_type(signature: dict[str, Any]) -> Any:
    """The type of one row: a field for each feature, with its range; a category may be one never seen."""
    fields: dict[str, Any] = {}
    for name, feature in signature["features"].items():
        told = {"description": feature["description"], "examples": _examples(signature, name)}
        if feature["type"] == "category":
            kind: Any = Annotated[str, Field(min_length=1, max_length=200, **told)]
        else:
            kind = Annotated[float, Field(ge=feature["min"], le=feature["max"], allow_inf_nan=False, **told)]
        fields[name] = kind if feature["required"] else NotRequired[kind | None]
    return typed("Row", fields)


def prediction_type(signature: dict[str, Any]) -> Any:
    """The type of the answer for one row, by kind of target."""
    means, unit = signature["target_means"], signature["unit"] or "the target's unit"
    declared = signature.get("uncertainty")
    told = "90 %" if declared is None else f"{100 * declared['coverage']:g} %"
    fields: dict[str, Any]
    if signature["kind"] == "binary":
        fields = {
            "probability": Annotated[float, Field(ge=0, le=1, description=f"Probability that {means}")],
            "is_positive": Annotated[bool, Field(description="Whether the probability reaches the threshold")],
        }
    elif signature["kind"] == "multiclass":
        fields = {
            "predicted_class": Annotated[str, Field(description=f"The class of least expected cost: {means}")],
            "probabilities": Annotated[dict[str, float], Field(description="Probability of each class")],
        }
    else:
        fields = {
            "value": Annotated[float, Field(description=f"{means}, in {unit}")],
            "planned": Annotated[float, Field(description="The value that costs least to plan with")],
            "low": Annotated[float, Field(description=f"Lower end of the {told} prediction interval")],
            "high": Annotated[float, Field(description=f"Upper end of the {told} prediction interval")],
        }
    if declared is not None and signature["kind"] != "regression":
        held = f"The classes that are likely enough: the one that comes is among them for {told} of the rows"
        fields["prediction_set"] = Annotated[list[str], Field(description=held)]
        fields["is_certain"] = Annotated[bool, Field(description="Whether the set holds exactly one class")]
    if declared is not None and "abstain" in declared:
        fields["is_abstained"] = Annotated[bool, Field(description="Whether the answer is too uncertain to decide by")]
    unknown = Annotated[list[str], Field(description="Features whose category was not seen in training")]
    return typed("Prediction", {**fields, "unknown_categories": unknown})


def requests(signature: dict[str, Any], max_batch_rows: int) -> dict[str, Any]:
    """The types of the bodies, by path."""
    row: Any = row_type(signature)
    one = typed("OneRow", {"row": row})
    many = typed("ManyRows", {"rows": Annotated[list[row], Field(min_length=1, max_length=max_batch_rows)]})
    return {"/predict": one, "/predict_batch": many, "/explain": one}


def answers(signature: dict[str, Any], *, has_fallback: bool = False) -> dict[str, Any]:
    """The types of the answers, by path."""
    prediction, stamp = prediction_type(signature), stamp_of(has_fallback=has_fallback)
    numbers = dict[str, float]
    return {
        "/predict": typed("Answer", {"prediction": prediction, **stamp}),
        "/predict_batch": typed("BatchAnswer", {"predictions": list[prediction], **stamp}),  # type: ignore[valid-type]
        "/explain": typed(
            "Explanation",
            {
                "prediction": prediction,
                "explained": Annotated[str, Field(description="Which output is explained")],
                "output": Annotated[float, Field(description="The row's output: base and all contributions add up to it")],
                "base": Annotated[float, Field(description="The mean output over the background rows of the model")],
                "contributions": Annotated[numbers, Field(description="Shapley value of each feature, largest first")],
                "standard_errors": Annotated[numbers, Field(description="Of each contribution, as orders are sampled")],
                **stamp,
            },
        ),
    }


def stamp_of(*, has_fallback: bool) -> dict[str, Any]:
    """The fields of the stamp of a product's answers."""
    return {**STAMP, **FALLBACK} if has_fallback else STAMP


def typed(name: str, fields: dict[str, Any]) -> Any:
    """A type of dictionaries of these fields, and no others."""
    # as Any: a type checker wants a dictionary type's fields written out
    factory: Any = TypedDict
    made = factory(name, fields)
    made.__pydantic_config__ = STRICT
    return made


def optional(kind: Any) -> Any:
    """A field that may be left out."""
    return NotRequired[kind]


def _examples(signature: dict[str, Any], name: str) -> list[Any]:
    """A value of the feature that a real row had."""
    value = signature["background"][0][name]
    return [] if value is None else [value]

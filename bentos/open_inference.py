"""Open Inference Protocol: tensors in and out, translated to the rows and answers of ``/predict_batch``; it computes nothing.

Each feature is an input tensor with one element a row: of the type BYTES for a category, of a number's type otherwise. Each
field of an answer is an output tensor.

References
----------
KServe, Open Inference Protocol, REST:
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from bentos.bodies import Row
from bentos.refusals import RefusedError
from bentos.served import Served
from bentos.uncertainty import SEPARATOR

NUMBERS = ("FP64", "FP32", "INT64", "INT32")
"""The types of tensors that a number may come in; the first is the one that the model's metadata names."""
TEXTS = ("BYTES",)
WHOLE = frozenset({"INT64", "INT32"})
PLATFORM = "onnx_onnxv1"
Parameters = dict[str, str | int | float | bool]
"""The protocol defines none yet. They are read, and change nothing."""


class Input(msgspec.Struct, forbid_unknown_fields=True):
    """An input tensor of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: Parameters | None = None


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """An output tensor that a request asks for."""

    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    inputs: list[Input]
    id: str | None = None
    outputs: list[Wanted] | None = None
    parameters: Parameters | None = None


_DECODER = msgspec.json.Decoder(InferRequest)


def decode(body: bytes) -> InferRequest:
    """The request that a body holds.

    Raises
    ------
    RefusedError
        If it is no JSON (400) or not of the protocol's form (422).
    """
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$")
        told = f"{place.strip('.`') or 'body'}: {problem}"
        raise RefusedError(422, f"{told}. Send what the Open Inference Protocol calls an inference request.") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RefusedError(400, f"The body is no JSON: {error}. Send an object.") from error


def rows_of(served: Served, request: InferRequest) -> list[Row]:
    """The checked rows of a request: the first axis of each tensor counts them.

    Parameters
    ----------
    served : Served
        Who answers.
    request : InferRequest
        The request, whose tensors have the shape ``[n_rows]`` or ``[n_rows, 1]``. A missing value is null; the tensor of a
        feature that may be missing may be left out.

    Raises
    ------
    RefusedError
        If a tensor is unknown, missing, given twice, or of another type or shape.
    pydantic.ValidationError
        If a value is not what ``/predict_batch`` takes.
    """
    features = served.model.signature["features"]
    columns: dict[str, list[Any]] = {}
    for tensor in request.inputs:
        if tensor.name not in features:
            raise _refused(tensor.name, f"there is no such input. Inputs are: {', '.join(features)}")
        if tensor.name in columns:
            raise _refused(tensor.name, "is given twice. Send each input once")
        columns[tensor.name] = _values(tensor, _types(features[tensor.name]))
    if lacking := [name for name, feature in features.items() if feature["required"] and name not in columns]:
        raise _refused(lacking[0], f"is missing. Required are: {', '.join(n for n in features if features[n]['required'])}")
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise RefusedError(422, f"The inputs' first axes differ: {told}. Give each input one element for each row.")
    return served.bodies.checked([dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)])


def outputs_of(served: Served, answers: Sequence[dict[str, Any]], wanted: Sequence[Wanted] | None) -> list[dict[str, Any]]:
    """Answers as output tensors, in the order in which they are wanted; all of them where none is named.

    Parameters
    ----------
    served : Served
        Who answered.
    answers : sequence of dict
        The answer of each row.
    wanted : sequence of Wanted, optional
        Which tensors; `require_known` has checked them.
    """
    classes = served.model.signature["classes"]
    found = []
    for name in [item.name for item in wanted or ()] or list(output_types(served)):
        values: list[Any] = [answer[name] for answer in answers]
        tensor: dict[str, Any] = {"name": name, "shape": [len(values)], "datatype": output_types(served)[name]}
        if name == "probabilities":
            tensor["shape"], tensor["parameters"] = [len(values), len(classes)], {"classes": json.dumps(classes)}
            values = [value[item] for value in values for item in classes]
        elif name == "unknown_categories":
            values = [",".join(names) for names in values]
        elif name == "prediction_set":
            values = [SEPARATOR.join(names) for names in values]
        found.append({**tensor, "data": values})
    return found


def require_known(served: Served, wanted: Sequence[Wanted] | None) -> None:
    """Refuse an output that the model does not have."""
    known = output_types(served)
    for item in wanted or ():
        if item.name not in known:
            raise _refused(item.name, f"there is no such output. Outputs are: {', '.join(known)}")


def output_types(served: Served) -> dict[str, str]:
    """The output tensors' types, by name: the fields of an answer."""
    kind = served.model.kind
    if kind == "binary":
        found = {"probability": "FP64", "is_positive": "BOOL"}
    elif kind == "multiclass":
        found = {"predicted_class": "BYTES", "probabilities": "FP64"}
    else:
        found = dict.fromkeys(("value", "planned", "low", "high"), "FP64")
    if (uncertainty := served.model.uncertainty) is not None:
        found |= {} if kind == "regression" else {"prediction_set": "BYTES", "is_certain": "BOOL"}
        found |= {"is_abstained": "BOOL"} if uncertainty.abstains else {}
    return {**found, "unknown_categories": "BYTES"}


def server_metadata(served: Served) -> dict[str, Any]:
    """The server, as ``GET /v2`` tells it."""
    return {"name": "loopline", "version": served.version, "extensions": []}


def model_metadata(served: Served) -> dict[str, Any]:
    """The model, as ``GET /v2/models/NAME`` tells it; rows are counted by the first axis, which is -1."""
    classes = served.model.signature["classes"]
    inputs = [_metadata(name, _types(feature)[0]) for name, feature in served.model.signature["features"].items()]
    outputs = [_metadata(name, kind) for name, kind in output_types(served).items()]
    for tensor in outputs:
        if tensor["name"] == "probabilities":
            tensor["shape"] = [-1, len(classes)]
    properties = {"model_digest": served.model.digest, **({"classes": json.dumps(classes)} if classes else {})}
    told = {"name": served.promise["product"], "versions": [served.version], "platform": PLATFORM}
    return {**told, "inputs": inputs, "outputs": outputs, "properties": properties}


def _metadata(name: str, datatype: str) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1]}


def _types(feature: dict[str, Any]) -> tuple[str, ...]:
    """The types in which a feature may come."""
    return TEXTS if feature["type"] == "category" else NUMBERS


def _values(tensor: Input, types: Sequence[str]) -> list[Any]:
    """A tensor's elements, one for each row."""
    if tensor.datatype not in types:
        raise _refused(tensor.name, f"has the datatype '{tensor.datatype}', but must have {' or '.join(types)}")
    shape, values = tensor.shape, tensor.data
    if len(shape) not in (1, 2) or shape[0] < 0 or shape[1:] not in ([], [1]):
        raise _refused(tensor.name, f"has the shape {shape}, but must have [rows] or [rows, 1]")
    if len(shape) == 2 and any(isinstance(value, list) for value in values):
        if not all(isinstance(value, list) and len(value) == 1 for value in values):
            raise _refused(tensor.name, f"its data are not of its shape {shape}. Give a list of one element for each row")
        values = [value[0] for value in values]
    if len(values) != shape[0]:
        raise _refused(tensor.name, f"has {len(values)} elements, but its shape {shape} takes {shape[0]}")
    if tensor.datatype in WHOLE and not all(value is None or type(value) is int for value in values):
        raise _refused(tensor.name, f"has the datatype {tensor.datatype}, and an element that is no whole number")
    return values


def _refused(name: str, problem: str) -> RefusedError:
    """A refusal that names a tensor."""
    told = name[:100]
    field = {"field": told, "problem": problem, "type": "tensor"}
    return RefusedError(422, f"Tensor '{told}': {problem}. See GET /v2/models/NAME for what is allowed.", [field])

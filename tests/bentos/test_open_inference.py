"""The Open Inference Protocol, held against its published REST specification: fields, types, shapes, errors; and /predict's answers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from assets.storage.home import Home
from bentos import api_keys
from bentos.access_settings import AccessSettings
from bentos.app import ModelApp
from bentos.runtime import Model
from bentos.served import Served
from tests.bentos.serving import answering
from tests.models import promised

ROWS: list[dict[str, Any]] = [
    {"age": 30.0, "plan": "free", "visits": 2.0},
    {"age": 41.5, "plan": "never seen", "visits": None},
    {"age": 80.0, "plan": "pro", "visits": 0.0},
]
TYPES = {
    "enum": ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"]
}
TENSOR = {"name": {"type": "string"}, "datatype": TYPES, "shape": {"type": "array", "items": {"type": "integer"}}}
PARAMETERS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


def schema(required: list[str], **fields: Any) -> dict[str, Any]:
    """A JSON schema of an object, as the specification writes them."""
    return {"type": "object", "required": required, "properties": fields}


METADATA_TENSOR = schema(["name", "datatype", "shape"], **TENSOR)
TENSORS = {"type": "array", "items": METADATA_TENSOR}
SERVER = schema(
    ["name", "version", "extensions"],
    name={"type": "string"},
    version={"type": "string"},
    extensions={"type": "array", "items": {"type": "string"}},
)
MODEL = schema(
    ["name", "platform", "inputs", "outputs"],
    name={"type": "string"},
    versions={"type": "array", "items": {"type": "string"}},
    platform={"enum": ["onnx_onnxv1"]},
    inputs=TENSORS,
    outputs=TENSORS,
    properties={"type": "object", "additionalProperties": {"type": "string"}},
)
DATA = {"type": "array", "items": {"type": ["number", "string", "boolean"]}}
OUTPUT = schema(["name", "shape", "datatype", "data"], **TENSOR, data=DATA, parameters=PARAMETERS)
ANSWER = schema(
    ["model_name", "outputs", "id"],
    model_name={"type": "string"},
    model_version={"type": "string"},
    id={"type": "string"},
    parameters=PARAMETERS,
    outputs={"type": "array", "items": OUTPUT},
)
ERROR = schema(["error"], error={"type": "string", "minLength": 1})


@pytest.fixture
def churn(shop: Home, models: dict[str, Model], tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the yes-or-no service."""
    small = promised(shop, models["churn"], tmp_path / "package", max_batch_rows=5, max_body_bytes=10_000)
    with answering(ModelApp(small)) as client:
        yield client


def tensors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as input tensors."""
    types = {"age": "FP64", "plan": "BYTES", "visits": "FP64"}
    return [
        {"name": name, "shape": [len(rows)], "datatype": kind, "data": [row[name] for row in rows]}
        for name, kind in types.items()
    ]


def changed(name: str, **parts: Any) -> dict[str, Any]:
    """A body with one tensor changed."""
    return {"inputs": [{**tensor, **(parts if tensor["name"] == name else {})} for tensor in tensors(ROWS)]}


def test_metadata_and_health_have_the_fields_that_are_required(served: Served) -> None:
    """Server, model, and whether either is ready; each feature is an input."""
    name = served.promise["product"]
    with answering(ModelApp(served)) as client:
        assert client.get("/v2/health/live").json() == {"live": True}
        assert client.get("/v2/health/ready").json()["ready"] is True
        jsonschema.validate(client.get("/v2").json(), SERVER)
        assert client.get("/v2/", follow_redirects=True).json() == client.get("/v2").json()
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/1"):
            told = client.get(path).json()
            jsonschema.validate(told, MODEL)
            assert told["name"] == name
            assert {item["name"]: item["datatype"] for item in told["inputs"]} == {
                "age": "FP64",
                "plan": "BYTES",
                "visits": "FP64",
            }
            assert client.get(f"{path}/ready").json() == {"name": name, "ready": True}


def test_tensors_are_answered_as_rows_are(served: Served) -> None:
    """Each field of each row's answer stands in a tensor of the type and shape that the metadata promises."""
    name = served.promise["product"]
    with answering(ModelApp(served)) as client:
        expected = client.post("/predict_batch", json={"rows": ROWS}).json()
        answer = client.post(f"/v2/models/{name}/versions/1/infer", json={"id": "42", "inputs": tensors(ROWS)})
        promised_ = {item["name"]: item for item in client.get(f"/v2/models/{name}").json()["outputs"]}
    found = answer.json()
    jsonschema.validate(found, ANSWER)
    assert answer.status_code == 200
    assert (found["id"], answer.headers["X-Request-ID"]) == ("42", "42")
    assert (found["model_name"], found["model_version"]) == (name, "1")
    assert found["parameters"]["model_digest"] == expected["model_digest"] == answer.headers["X-Model-Digest"]
    assert json.loads(found["parameters"]["decision"]) == expected["decision"]
    rows: list[dict[str, Any]] = [{} for _ in ROWS]
    for tensor in found["outputs"]:
        shape, told = tensor["shape"], promised_[tensor["name"]]
        assert tensor["datatype"] == told["datatype"]
        assert [-1, *shape[1:]] == told["shape"]
        width = shape[1] if len(shape) > 1 else 1
        assert shape[0] == len(ROWS)
        assert len(tensor["data"]) == shape[0] * width
        for place, row in enumerate(rows):
            values = tensor["data"][place * width : (place + 1) * width]
            if tensor["name"] == "probabilities":
                row["probabilities"] = dict(zip(json.loads(tensor["parameters"]["classes"]), values, strict=True))
            elif tensor["name"] == "unknown_categories":
                row["unknown_categories"] = values[0].split(",") if values[0] else []
            else:
                row[tensor["name"]] = values[0]
    assert rows == expected["predictions"]


def test_shapes_and_types_that_say_the_same_are_answered_the_same(churn: httpx.Client) -> None:
    """Columns, rows of one element, flat data of two axes, whole numbers, and an optional tensor that is left out."""
    url = "/v2/models/churn/infer"
    whole = [{**row, "age": int(row["age"])} for row in ROWS]
    expected = churn.post(url, json={"inputs": tensors(whole)}).json()["outputs"]
    age = [row["age"] for row in whole]
    for parts in (
        {"shape": [3, 1], "data": [[value] for value in age]},
        {"shape": [3, 1]},
        {"datatype": "INT64"},
        {"datatype": "FP32", "parameters": {"content_type": "np"}},
    ):
        body = changed("age", **{"data": age, **parts})
        assert churn.post(url, json=body).json()["outputs"] == expected
    no_visits = [{**row, "visits": None} for row in ROWS]
    left_out = churn.post(url, json={"inputs": tensors(ROWS)[:2]}).json()["outputs"]
    assert left_out == churn.post(url, json={"inputs": tensors(no_visits)}).json()["outputs"]


def test_only_the_outputs_that_are_named_come_back(churn: httpx.Client) -> None:
    """In their order; and an id is made where none was given."""
    body = {
        "inputs": tensors(ROWS),
        "outputs": [{"name": "is_positive"}, {"name": "probability", "parameters": {"binary_data": False}}],
    }
    answer = churn.post("/v2/models/churn/infer", json=body, headers={"X-Request-ID": "order-17"}).json()
    assert [item["name"] for item in answer["outputs"]] == ["is_positive", "probability"]
    assert [item["datatype"] for item in answer["outputs"]] == ["BOOL", "FP64"]
    assert answer["id"] == "order-17"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"{", 400, "The body is no JSON"),
        (b"\xff", 400, "The body is no JSON"),
        ([], 422, "body: Expected `object`, got `array`"),
        ({}, 422, "missing required field `inputs`"),
        ({"inputs": [], "input": []}, 422, "unknown field `input`"),
        ({"inputs": [{"name": "age"}]}, 422, "inputs[0]: Object missing required field `shape`"),
        ({"inputs": tensors(ROWS), "parameters": {"a": []}}, 422, "parameters"),
        ({"inputs": [*tensors(ROWS), {**tensors(ROWS)[0], "name": "wage"}]}, 422, "'wage': there is no such input. Inputs are: age, "),
        ({"inputs": [*tensors(ROWS), tensors(ROWS)[0]]}, 422, "'age': is given twice"),
        ({"inputs": []}, 422, "'age': is missing"),
        ({"inputs": tensors(ROWS)[1:]}, 422, "'age': is missing"),
        ({"inputs": tensors(ROWS), "outputs": [{"name": "odds"}]}, 422, "'odds': there is no such output. Outputs are: probability, "),
        (changed("age", datatype="BYTES"), 422, "'age': has the datatype 'BYTES', but must have FP64 or FP32 or INT64 or INT32"),
        (changed("age", datatype="BOOL"), 422, "has the datatype 'BOOL'"),
        (changed("plan", datatype="FP64"), 422, "'plan': has the datatype 'FP64', but must have BYTES"),
        (changed("age", datatype="INT64"), 422, "an element that is no whole number"),
        (changed("age", shape=[4]), 422, "'age': has 3 elements, but its shape [4] takes 4"),
        (changed("age", shape=[3, 2]), 422, "has the shape [3, 2], but must have [rows] or [rows, 1]"),
        (changed("age", shape=[]), 422, "has the shape []"),
        (changed("age", shape=[-1]), 422, "has the shape [-1]"),
        (changed("age", shape=[3, 1], data=[[1], [2], 3]), 422, "its data are not of its shape [3, 1]"),
        (changed("age", shape=[2], data=[1, 2]), 422, "The inputs' first axes differ: age 2, plan 3, visits 3"),
        (changed("age", data=[1.0, "x", 2.0]), 422, "rows.1.age: Input should be a valid number"),
        (changed("age", data=[1.0, [2.0], 2.0]), 422, "rows.1.age: Input should be a valid number"),
        (changed("age", data=[1.0, True, 2.0]), 422, "rows.1.age: Input should be a valid number"),
        (changed("age", data=[1.0, 2.0, -3.0]), 422, "rows.2.age: Input should be greater than or equal to 0"),
        (changed("age", data=[1.0, None, 3.0]), 422, "rows.1.age: Input should be a valid number"),
        (changed("plan", data=["free", 3, "pro"]), 422, "rows.1.plan: Input should be a valid string"),
        ({"inputs": tensors([])}, 422, "rows: List should have at least 1 item"),
        ({"inputs": tensors(ROWS * 2)}, 422, "rows: List should have at most 5 items"),
        (b" " * 20_000, 413, "more than 10000 bytes"),
    ],
)  # fmt: skip
def test_a_bad_request_is_an_error_that_names_what_is_wrong(churn: httpx.Client, body: Any, status: int, told: str) -> None:
    """In the protocol's form; and the service answers on."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    answer = churn.post("/v2/models/churn/infer", content=content, headers=kind)
    jsonschema.validate(answer.json(), ERROR)
    assert answer.status_code == status
    assert told in answer.json()["error"]
    assert churn.post("/v2/models/churn/infer", json={"inputs": tensors(ROWS)}).status_code == 200


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/other/ready", "/v2/models/churn/versions/2", "/v2/other"])
def test_what_is_not_there_is_an_error(churn: httpx.Client, path: str) -> None:
    """A model, a version, a path; and a version that does not answer is not ready."""
    answer = churn.get(path)
    jsonschema.validate(answer.json(), ERROR)
    assert answer.status_code == 404
    asked = churn.post("/v2/models/churn/versions/2/infer", json={"inputs": tensors(ROWS)})
    assert (asked.status_code, churn.get("/v2/models/churn/versions/2/ready").status_code) == (404, 503)
    assert "version 1 does" in asked.json()["error"]
    assert churn.get("/v2/models/churn/infer").status_code == 405


def test_without_a_version_to_serve_nothing_is_ready(shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """Live, and not ready; a request is refused with 503."""
    app = ModelApp(promised(shop, models["churn"], tmp_path / "package"))
    with answering(app) as client:
        app.switch(None)
        assert client.get("/v2/health/live").status_code == 200
        for path in ("/v2/health/ready", "/v2/models/churn/ready"):
            assert client.get(path).status_code == 503
            assert client.get(path).json()["ready"] is False
        refused = client.post("/v2/models/churn/infer", json={"inputs": tensors(ROWS)})
        jsonschema.validate(refused.json(), ERROR)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")


def test_strangers_see_health_only(shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """As on all other paths, a key is asked for."""
    app = ModelApp(promised(shop, models["churn"], tmp_path / "package"))
    settings = AccessSettings.of({"LOOPLINE_ACCESS": "closed", "LOOPLINE_KEY_HASHES": api_keys.write("churn", {})}, "churn")
    with answering(settings.guard(app.asgi(), app.metrics)) as client:
        told = {
            path: client.get(path).status_code for path in ("/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/churn")
        }
        assert list(told.values()) == [200, 200, 401, 401]
        answer = client.post("/v2/models/churn/infer", json={"inputs": tensors(ROWS)})
        jsonschema.validate(answer.json(), ERROR)
        assert answer.status_code == 401


def test_a_request_is_logged_with_its_id_and_entity(shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """Like a batch of rows: the header's id before the body's, and a body's id that is unfit for a log comes back only."""
    entity = {"name": "customer", "keep": "plain"}
    served = promised(shop, models["churn"], tmp_path / "package", entity=entity)
    with answering(ModelApp(served, log_folder=tmp_path / "log")) as client:
        for given, header in (("42", {}), ("43", {"X-Request-ID": "ours"}), ("two words", {})):
            headers = {"X-Entity-Key": "C00001", **header}
            answer = client.post("/v2/models/churn/infer", json={"id": given, "inputs": tensors(ROWS)}, headers=headers)
            assert answer.json()["id"] == given
        unfit = answer.headers["X-Request-ID"]
        refused = client.post("/v2/models/churn/infer", json={"inputs": tensors(ROWS)}, headers={"X-Entity-Key": "two words"})
        assert refused.status_code == 422
        assert 'loopline_requests_total{path="/v2/models/{name}/infer",status="200"} 3.0' in client.get("/metrics").text
    (file,) = (tmp_path / "log").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("select request_id, entity, count(*) from predictions group by 1, 2").fetchall()
    assert sorted(found) == sorted([("42", "C00001", 3), ("ours", "C00001", 3), (unfit, "C00001", 3)])

"""The service's OpenAPI description, made from the types that check its requests, with an example that a real row gave."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from bentos import outcome_bodies, schemas
from bentos.arrow_batches import KIND
from bentos.by_key import PATH as KEYED
from bentos.entity_key import PATHS, PATTERN
from bentos.keyed_bodies import answer_type, body_type
from bentos.served import Served

TOLD = {
    "/predict": "Predict one row.",
    "/predict_batch": "Predict many rows; requests that arrive together are answered together.",
    "/explain": "Predict one row and say what each feature adds to it.",
    KEYED: "Predict by key: the features that the request does not bring are looked up in the online store.",
}
REFUSALS = {
    "400": "The body is no JSON",
    "404": "No features are known of the key",
    "413": "The body is too large",
    "415": "The body is not declared as something that this path takes",
    "422": "A field is missing, unknown, of another type or out of its range; the answer names it",
    "503": "Overloaded, or no model may be served; try again after Retry-After seconds",
    "504": "Not answered within the declared time",
}
ARROW_IN = "An Arrow IPC stream, not compressed: a column for each feature, null where a value is missing"
ARROW_OUT = "An Arrow IPC stream: a column for each field of a prediction; the stamp stands in the schema's metadata"
ERROR = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {
        "error": {"type": "string", "description": "What is wrong, where, and what is allowed"},
        "request_id": {"type": "string"},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "problem", "type"],
                "properties": {name: {"type": "string"} for name in ("field", "problem", "type")},
            },
        },
    },
}
IDENTIFIED = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Comes back in the answer's header, if it is 1 to 64 letters, digits, '_', '.' or '-'; else one is made",
}


def describe(served: Served, *, takes_outcomes: bool = False, by_key: bool = False) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a served model, whose service may take outcomes, and look features up by key."""
    example = served.example
    signature = {**served.model.signature, "background": [{**dict.fromkeys(served.model.signature["features"]), **example}]}
    bodies = schemas.requests(signature, served.limits["max_batch_rows"])
    has_fallback = served.fallback is not None
    answers = schemas.answers(signature, has_fallback=has_fallback)
    if by_key:
        bodies[KEYED], answers[KEYED] = body_type(signature, served.online), answer_type(signature, has_fallback=has_fallback)
    kinds = [("validation", kind) for kind in bodies.values()] + [("serialization", kind) for kind in answers.values()]
    adapters: list[Any] = [(number, mode, TypeAdapter(kind)) for number, (mode, kind) in enumerate(kinds)]
    made, definitions = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")
    schema_of: list[Any] = [made[number, mode] for number, mode, _ in adapters]
    paths: dict[str, Any] = {
        path: _asked(path, schema_of[number], schema_of[len(bodies) + number], _example(path, served))
        for number, path in enumerate(bodies)
    }
    if served.limits["arrow"]:
        batch = paths["/predict_batch"]["post"]
        for told, what in ((batch["requestBody"], ARROW_IN), (batch["responses"]["200"], ARROW_OUT)):
            told["content"][KIND.decode()] = {"schema": {"type": "string", "format": "binary", "description": what}}
    if served.entity is not None:
        for path in sorted(PATHS.intersection(paths)):
            paths[path]["post"]["parameters"].append(_named(served.entity["name"]))
    if takes_outcomes:
        paths[outcome_bodies.PATH] = {"post": _outcomes(served)}
    paths["/model"] = {"get": _told("Say which model answers: version, digest, since when, lineage, features and limits.")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": served.promise["product"],
            "version": str(served.promise["model_version"]),
            "description": signature["description"],
        },
        "paths": paths,
        "components": {"schemas": {**definitions.get("$defs", {}), "Error": ERROR}},
    }


def _example(path: str, served: Served) -> dict[str, Any]:
    """A body of a path."""
    row = served.example
    if path != KEYED:
        return {"rows": [row, row]} if path == "/predict_batch" else {"row": row}
    made_up = {"text": "example", "number": 1, "any": "example"}
    given = {name: row[name] for name in served.keyed.request if name in row}
    return {"key": {name: made_up[kind] for name, kind in served.keyed.key.items()}, **({"features": given} if given else {})}


def _asked(path: str, body: dict[str, Any], answer: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "post": {
            "summary": TOLD[path],
            "operationId": path.strip("/"),
            "parameters": [IDENTIFIED],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body, "example": given}}},
            "responses": {
                "200": {"description": "The answer", "content": {"application/json": {"schema": answer}}},
                **{status: {"description": told, "content": error} for status, told in REFUSALS.items()},
            },
        }
    }


def _outcomes(served: Served) -> dict[str, Any]:
    name = None if served.entity is None else served.entity["name"]
    body = TypeAdapter(outcome_bodies.body_type(served.model.signature, name, served.limits["max_batch_rows"])).json_schema()
    schema = TypeAdapter(outcome_bodies.answer_type()).json_schema()
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "summary": "Tell what became of answers; each outcome is kept, and joined with its answer when it is read.",
        "operationId": "outcomes",
        "parameters": [IDENTIFIED],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _inlined(body)}}},
        "responses": {
            "202": {"description": "They are kept", "content": {"application/json": {"schema": schema}}},
            **{status: {"description": told, "content": error} for status, told in REFUSALS.items()},
        },
    }


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references: its definitions stand where they are named."""
    definitions = schema.pop("$defs", {})

    def resolved(item: Any) -> Any:
        if isinstance(item, dict):
            if "$ref" in item:
                return resolved(definitions[item["$ref"].rpartition("/")[2]])
            return {name: resolved(part) for name, part in item.items()}
        return [resolved(part) for part in item] if isinstance(item, list) else item

    found: dict[str, Any] = resolved(schema)
    return found


def _named(entity: str) -> dict[str, Any]:
    told = f"The key of the {entity} that all rows of the request are about; answers without one are logged without one"
    schema = {"type": "string", "pattern": f"^{PATTERN}$"}
    return {"name": "X-Entity-Key", "in": "header", "required": False, "schema": schema, "description": told}


def _told(summary: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "summary": summary,
        "operationId": "model",
        "parameters": [IDENTIFIED],
        "responses": {
            "200": {"description": "The model", "content": content},
            "503": {"description": REFUSALS["503"], "content": refusal},
        },
    }

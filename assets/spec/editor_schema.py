"""The JSON Schema of declarations, as editors and `dg check yaml` use it: templates are allowed, mistakes have their place."""

from __future__ import annotations

from typing import Any

ABOUT = {"description", "title", "default", "examples"}
"""The keywords that constrain nothing."""
SCALARS = {"type", "enum", "const"}
"""What tells the schema of a single value from that of a choice or a reference."""
NOT_TEMPLATED = ("object", "array", "null")
NULL, TEMPLATE = {"type": "null"}, {"type": "string", "pattern": "[{][{]"}


def editor_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that Pydantic wrote, with a template allowed in the place of each single value.

    What may be absent is written as a condition, not as a choice: of a choice that fits nowhere, only its own place is told.

    Examples
    --------
    >>> editor_schema({"type": "array", "items": {"type": "integer", "description": "Years."}})["items"]
    {'description': 'Years.', 'if': {'type': 'string', 'pattern': '[{][{]'}, 'else': {'type': 'integer'}}
    >>> editor_schema({"anyOf": [{"$ref": "#/$defs/TuneSpec"}, {"type": "null"}]})
    {'if': {'type': 'null'}, 'else': {'$ref': '#/$defs/TuneSpec'}}
    """
    made = dict(schema)
    for keyword in {"properties", "patternProperties"} & schema.keys():
        made[keyword] = {name: editor_schema(part) for name, part in schema[keyword].items()}
    for keyword in {"items", "additionalProperties"} & schema.keys():
        if isinstance(schema[keyword], dict):
            made[keyword] = editor_schema(schema[keyword])
    about = {key: value for key, value in made.items() if key in ABOUT}
    constraints = {key: value for key, value in made.items() if key not in ABOUT}
    if "anyOf" in schema:
        choices = [editor_schema(part) for part in schema["anyOf"] if part != NULL]
        inner = choices[0] if len(choices) == 1 else {"anyOf": choices}
        return {**about, "if": NULL, "else": inner} if NULL in schema["anyOf"] else {**about, **inner}
    if SCALARS.isdisjoint(constraints) or constraints.get("type") in NOT_TEMPLATED or constraints == {"type": "string"}:
        return made
    return {**about, "if": TEMPLATE, "else": constraints}

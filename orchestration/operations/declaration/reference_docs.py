"""The reference: JSON Schema of the declarations for editors, pages of declarations and of registries for people.

``make reference`` writes them; a test compares them with the code.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from assets.registries import REGISTRIES, registry
from assets.spec import ProductSpec, SourceSpec, WarehouseSpec
from assets.storage.home import REPOSITORY

DOCS = REPOSITORY / "docs"
COMPONENTS: dict[str, type[BaseModel]] = {"ModelProduct": ProductSpec, "Source": SourceSpec, "Warehouse": WarehouseSpec}


def schema(component: str) -> dict[str, Any]:
    """The JSON Schema of a `defs.yaml` that declares this component, for completion and checks in an editor."""
    attributes = COMPONENTS[component].model_json_schema()
    definitions = attributes.pop("$defs", {})
    if "$ref" in attributes:
        attributes = definitions[attributes["$ref"].rsplit("/", 1)[1]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"orchestration.components.{component}",
        "type": "object",
        "properties": {"type": {"const": f"orchestration.components.{component}"}, "attributes": attributes},
        "required": ["type", "attributes"],
        "$defs": definitions,
    }


def schema_path(component: str) -> Path:
    """Where the schema of a component is published."""
    return DOCS / "schema" / f"{component}.json"


def page() -> str:
    """The page `docs/product-spec.md`: every field of every declaration, with an example."""
    lines = [
        "# What a `defs.yaml` may declare",
        "",
        "Made from the code by `make reference`; do not edit. Editors complete and check a declaration that begins with",
        "`# yaml-language-server: $schema=../../../docs/schema/ModelProduct.json`, as those made by `loopline new` do.",
        "`loopline check` tells what can be known before anything is run. Each field is shown with an example.",
    ]
    for component, model in COMPONENTS.items():
        lines += ["", f"## {component}", "", f"`type: orchestration.components.{component}`"]
        for path, owner in _sections(model, "attributes"):
            lines += ["", f"### `{path}`", "", _first(owner.__doc__), "", "| field | type | default | what to give | example |"]
            lines.append("|---|---|---|---|---|")
            lines += [_row(name, field) for name, field in owner.model_fields.items()]
    return "\n".join(lines) + "\n"


def registered(name: str) -> list[dict[str, str]]:
    """The items of a registry: name, description, where its limits are declared, and the extension that adds it."""
    items = registry(name)
    return [
        {
            "name": item.name,
            "description": item.description,
            "declared": getattr(item, "declared", ""),
            "added_by": items.added.get(item.name, ""),
        }
        for item in items.values()
    ]


def registries_page() -> str:
    """The page `docs/registries.md`: every item of every registry."""
    lines = [
        "# Registries",
        "",
        "Made from the code by `make reference`; do not edit. `loopline registries` prints the same.",
        "[extending.md](extending.md) shows how to add an item.",
    ]
    for name, module in REGISTRIES.items():
        items = registered(name)
        columns = [column for column in ("name", "description", "declared", "added_by") if any(item[column] for item in items)]
        lines += ["", f"## {name.replace('_', ' ').capitalize()}", "", f"`{module}.{name}`", ""]
        lines += [f"| {' | '.join(column.replace('_', ' ') for column in columns)} |", "|---" * len(columns) + "|"]
        for item in items:
            cells = [
                item[column] if column == "description" else f"`{item[column]}`" * bool(item[column]) for column in columns
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write() -> list[Path]:
    """Write pages and schemas."""
    (DOCS / "schema").mkdir(parents=True, exist_ok=True)
    files = {DOCS / "product-spec.md": page(), DOCS / "registries.md": registries_page()}
    files |= {schema_path(component): json.dumps(schema(component), indent=1) + "\n" for component in COMPONENTS}
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from _sections(inner, f"{path}.{name}{_depth(field.annotation) * '.<name>'}")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)


def _depth(annotation: Any) -> int:
    """How many mappings by name lie around a model."""
    return int(get_origin(annotation) is dict) + max((_depth(argument) for argument in get_args(annotation)), default=0)


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _shown(field.get_default(call_default_factory=True))
    example = _shown(field.examples[0]) if field.examples else ""
    cells = [f"`{field.alias or name}`", _type(field.annotation), default, _first(field.description), f"`{example}`"]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments if argument is not type(None))
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin is dict:
        return f"mapping of name to {_type(arguments[1])}"
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping, see below"
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return names.get(annotation, "anything")


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False)
    return str(text).strip().removesuffix("...").strip()


def _first(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    for written in write():
        print(written)  # noqa: T201 - a command of its own

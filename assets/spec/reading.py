"""Read a `defs.yaml` and turn each mistake in it into one clear error.

The form of the message is fixed: who, which field, what is allowed, what was found, where, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from assets.errors import SpecificationError
from assets.spec.base import Declaration
from assets.spec.templates import TemplateError, resolved

_OVERLAID: dict[str, Mapping[str, Any]] = {}
"""What replaces parts of declarations, by their names."""
Declared = TypeVar("Declared", bound=Declaration)


@contextmanager
def overlaid(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Let parts of declarations be replaced while they are read, such as by the parameters of a data repository's revision.

    Parameters
    ----------
    parts : mapping of str to mapping
        For the name of a declaration, fields of its attributes with their values.

    Raises
    ------
    SpecificationError
        From `read_declaration`, if what replaces a part is wrong.
    """
    before = dict(_OVERLAID)
    _OVERLAID.update(parts)
    try:
        yield
    finally:
        _OVERLAID.clear()
        _OVERLAID.update(before)


def read_declaration(
    path: Path,
    model: type[Declared],
    *,
    whole: bool = False,
    drafted_for: str | None = None,
    secrets: frozenset[str] = frozenset(),
) -> Declared:
    """Read the `attributes` of a `defs.yaml` as `model`, with its templates resolved.

    Parameters
    ----------
    path : Path
        The YAML file.
    model : type of Declaration
        What the file declares.
    whole : bool
        Whether the whole document is the declaration, not its `attributes`.
    drafted_for : str, optional
        The file that a draft is of. A mistake is told of this one, as nobody has the draft.
    secrets : frozenset of str
        The fields that hold secrets: their templates are texts as they stand, and no error shows a value of the file.

    Raises
    ------
    SpecificationError
        If the file is not YAML, a template names what is not set, or something is declared that `model` does not allow.
        The first mistake is told in full, the others are counted.
    """
    place = _short(path)
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        document = loader.construct_document(node) if node is not None else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        remedy = 'Put templates in quotes: "{{ env.NAME }}"' if "unhashable key" in str(error) else "Mend the syntax"
        raise SpecificationError(f"{place}: not readable as YAML: {error}. {remedy}.") from error
    attributes = document if whole or not isinstance(document, dict) else document.get("attributes")
    if not isinstance(attributes, dict):
        needed = "" if whole else " with 'type' and 'attributes'"
        raise SpecificationError(f"{place}: needs a mapping{needed}. See docs/guide.md.")
    name = attributes.get("name", model.__name__)
    if not whole:
        attributes = {**attributes, **_OVERLAID.get(str(name), {})}

    def line(where: tuple[Any, ...]) -> str:
        return f"{place}:{_line(node, where if whole else ('attributes', *where))}"

    try:
        return model.model_validate(resolved(attributes, texts=secrets))
    except TemplateError as error:
        field = ".".join(str(part) for part in error.where)
        raise SpecificationError(f"{name}: '{field}' {error.told} ({line(error.where)}). {error.remedy}.") from error
    except ValidationError as error:
        # an unknown field first: it is often the misspelling of one that is then missed
        problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        first = problems[0]
        where = tuple(first["loc"])
        more = f" ({len(problems) - 1} more like this after it)" if len(problems) > 1 else ""
        text = _explain(first, where, model, is_shown=not secrets)
        told = line(where) if drafted_for is None else f"drafted for {drafted_for}"
        if not whole and where and where[0] in _OVERLAID.get(str(name), {}):
            told = "params.yaml of the data repository"
        raise SpecificationError(f"{name}: {text.format(place=told)}{more}") from error


def _explain(problem: Any, where: tuple[Any, ...], model: type[BaseModel], *, is_shown: bool) -> str:
    """Say one mistake in a sentence; `{place}` is left for the caller."""
    field = ".".join(str(part) for part in where) or "attributes"
    found = _brace(repr(problem.get("input")))[:80]
    context = problem.get("ctx", {})
    owner = _owner(model, where)
    about = _about(owner, where)
    kind = problem["type"]
    if kind == "extra_forbidden":
        allowed = sorted(owner.model_fields) if owner else []
        near = difflib.get_close_matches(str(where[-1]), allowed, n=1)
        remedy = f"Did you mean '{near[0]}'?" if near else "Remove it."
        return f"'{field}' is not a field ({{place}}). Allowed here: {', '.join(allowed)}. {remedy}"
    if kind == "missing":
        return f"'{field}' is required and missing ({{place}}). {about or 'Add it.'}"
    if kind == "value_error":
        return f"'{field}' {_brace(str(context.get('error', problem['msg'])))} ({{place}})."
    must = {
        "greater_than_equal": f"a number >= {context.get('ge')}",
        "greater_than": f"a number > {context.get('gt')}",
        "less_than_equal": f"a number <= {context.get('le')}",
        "less_than": f"a number < {context.get('lt')}",
        "literal_error": f"one of {context.get('expected')}",
        "int_type": "an integer",
        "float_type": "a number",
        "string_type": "text",
        "bool_type": "true or false",
        "list_type": "a list",
        "tuple_type": "a list",
        "dict_type": "a mapping",
        "model_type": "a mapping",
        "too_short": f"something that holds at least {context.get('min_length')}",
        "string_pattern_mismatch": f"text like {_brace(str(context.get('pattern')))}",
    }.get(kind, _brace(problem["msg"]))
    got = f", got {found}" if is_shown or kind == "literal_error" else ""
    return f"'{field}' must be {must}{got} ({{place}}). {about or 'Correct it.'}"


def _about(owner: type[BaseModel] | None, where: tuple[Any, ...]) -> str:
    if owner is None or not where or str(where[-1]) not in owner.model_fields:
        return ""
    text = (owner.model_fields[str(where[-1])].description or "").strip().replace("\n", " ")
    return _brace(text)


def _owner(model: type[BaseModel], where: tuple[Any, ...]) -> type[BaseModel] | None:
    """The model that holds the last part of `where`."""
    owner: type[BaseModel] | None = model
    for part in where[:-1]:
        if owner is not None and isinstance(part, str) and part in owner.model_fields:
            owner = _model_in(owner.model_fields[part].annotation) or owner
    return owner


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)


def _line(node: Any, path: tuple[Any, ...]) -> int:
    """The line of the deepest part of `path` that the document has."""
    line: int = node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _brace(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _short(path: Path) -> str:
    """The path as a user would type it from the folder they are in."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)

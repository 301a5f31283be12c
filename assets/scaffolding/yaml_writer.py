"""How a drafted declaration is written as YAML: a comment before each block, columns one a line, and why beside them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from assets.spec.templates import escaped

NESTED = ("source", "tables", "data", "features", "groups", "all", "columns", "target", "model", "gates")
"""The mappings that are written over several lines, but for columns, whatever a column is called."""
LONGEST_KEY = 1000
"""YAML reads keys of up to 1,024 characters in one line; longer ones need a mark of their own."""
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
WORDS = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null"])
"""What YAML may read as something else than text."""


@dataclass(frozen=True)
class Remarked:
    """A value with a comment beside it."""

    value: Any
    remark: str


def written(
    blocks: Sequence[tuple[str | Sequence[str], Mapping[str, Any]]], kind: str = "orchestration.components.ModelProduct"
) -> str:
    """Write a declaration.

    Parameters
    ----------
    blocks : sequence of (str or sequence of str, mapping)
        Each block with the paragraphs of its comment.
    kind : str
        The component that is declared.
    """
    lines = [f"type: {kind}", "attributes:"]
    for comment, block in blocks:
        lines.append("")
        for paragraph in [comment] if isinstance(comment, str) else comment:
            lines += textwrap.wrap(printable(paragraph), 118, initial_indent="  # ", subsequent_indent="  # ")
        for key, value in block.items():
            lines += _lines(key, value, 2)
    return "\n".join(lines[:2] + lines[3:]) + "\n"


def printable(text: str) -> str:
    """The text on one line, and without what YAML does not allow in a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _lines(key: str, value: Any, indent: int, *, is_column: bool = False) -> list[str]:
    pad, name, remark = " " * indent, inline(key), ""
    if isinstance(value, Remarked):
        value, remark = value.value, f"  # {printable(value.remark)}"
    if isinstance(value, dict) and key in NESTED and not is_column:
        within = (_lines(inner, item, indent + 2, is_column=key == "columns") for inner, item in value.items())
        return [f"{pad}{name}:{remark}", *(line for lines in within for line in lines)]
    if len(name) > LONGEST_KEY:
        return [f"{pad}? {name}", f"{pad}: {inline(escaped(value))}{remark}"]
    return [f"{pad}{name}: {inline(escaped(value))}{remark}"]


def inline(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    dumped = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    return str(dumped).strip().removesuffix("...").strip()


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Texts that are more than one line stay in one, quoted."""


def _text(dumper: Any, text: str) -> Any:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)

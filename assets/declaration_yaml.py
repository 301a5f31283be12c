"""How a drafted declaration is written as YAML: a comment before each block, and columns one a line."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

NESTED = ("source", "tables", "data", "features", "groups", "columns", "target", "model")
"""The mappings that are written over several lines."""


def written(blocks: list[tuple[str, Mapping[str, Any]]], kind: str = "orchestration.components.ModelProduct") -> str:
    """Write a declaration.

    Parameters
    ----------
    blocks : list of (str, mapping)
        Each block with its comment.
    kind : str
        The component that is declared.
    """
    lines = [f"type: {kind}", "attributes:"]
    for comment, block in blocks:
        lines += ["", *textwrap.wrap(comment, 118, initial_indent="  # ", subsequent_indent="  # ")]
        for key, value in block.items():
            lines += _lines(key, value, 2)
    return "\n".join(lines[:2] + lines[3:]) + "\n"


def _lines(key: str, value: Any, indent: int) -> list[str]:
    pad, name = " " * indent, _inline(key)
    if isinstance(value, dict) and key in NESTED:
        return [f"{pad}{name}:", *(line for inner, item in value.items() for line in _lines(inner, item, indent + 2))]
    return [f"{pad}{name}: {_inline(value)}"]


def _inline(value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    return str(written).strip().removesuffix("...").strip()

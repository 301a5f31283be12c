"""Errors: the tree that `assets/errors.py` shows is the tree that the code has."""

from __future__ import annotations

import ast
import re

from assets import errors
from assets.storage.home import REPOSITORY


def shown() -> dict[str, str]:
    """The base of each error in the docstring, by the depth at which it stands."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in str(errors.__doc__).splitlines():
        if (drawn := re.match(r"    ((?:│   |    )*)([├└]── )?(\w*(?:Error|Exception))\b", line)) is not None:
            depth = len(drawn[1]) // 4 + (drawn[2] is not None)
            above[depth:] = [drawn[3]]
            if depth:
                found[drawn[3]] = above[depth - 1]
    return found


def defined() -> dict[str, str]:
    """The base of each error that a module of ours defines; one that a module catches itself, by its name, is nobody else's."""
    found: dict[str, str] = {}
    for folder in ("assets", "orchestration", "bentos"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
                if isinstance(node, ast.ClassDef) and any(base.endswith(("Error", "Exception")) for base in bases):
                    found[node.name] = bases[0].rpartition(".")[2]
    return {name: base for name, base in found.items() if not name.startswith("_")}


def test_every_error_of_ours_stands_in_the_tree_at_its_place() -> None:
    """One that is defined anywhere is shown with its base, and none is shown that is defined nowhere."""
    expected = {"LooplineError": "Exception", **shown()}
    assert expected.pop("ValueError") == "Exception", "Python's own stands there for the one that is based on it"
    assert defined() == expected

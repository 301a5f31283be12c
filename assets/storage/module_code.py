"""What a module does and imports, without its comments, docstrings and layout; kept beside the bytecode that Python keeps."""

from __future__ import annotations

import ast
import atexit
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from assets.storage.digests import value_digest

CODE = (
    "co_name", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_names", "co_varnames", "co_freevars",
    "co_cellvars",
)  # fmt: skip
"""What of a code object is told as it is."""
KEPT = 1000
"""How many answers are kept: some 300 modules, as they were at their last changes."""
_NEW: list[str] = []


class ModuleCode(NamedTuple):
    """What a module does: a digest of its code, what it imports, and the registries that it declares."""

    described: str
    imports: list[str]
    registries: list[str]


def module_code(module: str, source: str) -> ModuleCode:
    """What a module does.

    Every command asks this of some 300 modules, so the answers are kept by the digest of what was read, where Python keeps
    compiled modules and on its terms: nothing is written under ``PYTHONDONTWRITEBYTECODE``.

    Parameters
    ----------
    module : str
        Its name, by which relative imports are resolved.
    source : str
        Its text.
    """
    key = hashlib.sha256(f"{module}\n{source}".encode()).hexdigest()
    known = _kept()
    if key not in known:
        known[key] = _read(module, source)
        _NEW.append(key)
        _keep_at_exit()
    return ModuleCode(*known[key])


def keep() -> None:
    """Keep what was read anew for the next process; a process that skips Python's own end calls it first."""
    if _NEW and not sys.dont_write_bytecode:
        _write()
        _NEW.clear()


def _read(module: str, source: str) -> ModuleCode:
    tree = ast.parse(source)
    imports: list[str] = []
    registries: list[str] = []
    for node in _statements(tree.body):
        if isinstance(node, ast.ImportFrom):
            # a relative import is of the module's own package, or of one above it
            above = module.split(".")[: -node.level] if node.level else []
            package = ".".join([*above, *([node.module] if node.module else [])])
            imports += [package, *(f"{package}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(made := getattr(node, "value", None), ast.Call) and getattr(made.func, "id", "") == "Registry":
            registries.append(str(ast.literal_eval(made.args[0])))
    return ModuleCode(value_digest(_described(compile(tree, module, "exec", optimize=2))), imports, registries)


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Statements, however deep they stand in others; no expression holds an import."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, part, ()))


def _described(constant: Any) -> Any:
    """A code object, or a constant of one, as JSON: what it does, without where it stands.

    Compiled with ``optimize=2``, code has no docstrings; line numbers stand in fields that are not read. Compiling is several
    times faster than to write out the syntax tree.
    """
    if isinstance(constant, CodeType):
        return [getattr(constant, name) for name in CODE] + [
            constant.co_code.hex(), constant.co_exceptiontable.hex(), _described(constant.co_consts)
        ]  # fmt: skip
    if isinstance(constant, tuple):
        return [_described(item) for item in constant]
    if isinstance(constant, frozenset):
        return sorted(repr(item) for item in constant)  # the order of a set differs from process to process
    return repr(constant)


def _file() -> Path:
    """Where the answers are kept: a file for each version of Python, because compilers differ."""
    folder = Path(sys.pycache_prefix) if sys.pycache_prefix else Path(__file__).parent / "__pycache__"
    return folder / f"module_code.{sys.implementation.cache_tag}-{sys.hexversion:x}.json"


@cache
def _kept() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        kept = json.loads(_file().read_text(encoding="utf-8"))
        if isinstance(kept, dict) and all(isinstance(value, list) and len(value) == 3 for value in kept.values()):
            return kept
    return {}


@cache
def _keep_at_exit() -> None:
    atexit.register(keep)


def _write() -> None:
    """Write the latest answers whole or not at all."""
    file = _file()
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with suppress(OSError):  # a folder that cannot be written costs time only
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(dict(list(_kept().items())[-KEPT:])), encoding="utf-8")
        draft.replace(file)

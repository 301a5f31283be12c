"""Code versions: digests of a module, of all that it imports of ours, of its templates, and of libraries."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from types import CodeType
from typing import Any

from assets.registries import EXTENSIONS, extending, extension_folders
from assets.storage.digests import file_digest, value_digest
from assets.storage.home import REPOSITORY

CODE = (
    "co_name", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_names", "co_varnames", "co_freevars",
    "co_cellvars",
)  # fmt: skip
"""What of a code object is told as it is."""
_PARTS: dict[str, dict[str, Any]] = {}


def code_version(*modules: str, parameters: Any = None, distributions: Iterable[str] = ()) -> str:
    """A version of what makes an asset: its code and what that imports of ours, its parameters, and its libraries.

    Comments, docstrings and layout do not count.

    Parameters
    ----------
    *modules : str
        Where the asset's body stands, as ``assets.training.model_asset``.
    parameters : JSON-compatible, optional
        The part of the declaration that is read.
    distributions : iterable of str
        Installed distributions whose version changes what is made.
    """
    libraries = {name: _installed(name) for name in distributions}
    parts = {"code": _closure(*modules), "declaration": parameters, "libraries": libraries}
    version = value_digest(parts)[:16]
    _PARTS[version] = parts
    return version


def parts_of(version: str) -> dict[str, Any] | None:
    """What a version that this process took was made of: ``code`` by module, ``declaration`` and ``libraries``."""
    return _PARTS.get(version)


def estimator_version(path: str) -> str:
    """A version of a declared estimator: its module's bytes if it is in this repository, else its distribution's version.

    Nothing is imported for it.
    """
    module = path.rpartition(".")[0]
    own = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
    if own.is_file():
        return file_digest(own)
    try:
        return _installed(module.split(".", maxsplit=1)[0])
    except PackageNotFoundError:
        return ""


@cache
def _installed(distribution: str) -> str:
    """A distribution's version, whose metadata are parsed once."""
    return installed(distribution)


def _closure(*modules: str) -> dict[str, str]:
    """Digests of the code of modules and of all our modules that they import, however far."""
    waiting = list(modules)
    seen: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name not in seen and (read := _read(name)) is not None:
            seen[name], imported = read
            waiting += imported
    return dict(sorted(seen.items()))


@cache
def _read(module: str) -> tuple[str, list[str]] | None:
    """A module's digest, with the templates beside it that it names, and what it imports; None if it is not ours."""
    path = _source(module)
    if path is None:
        return None
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    imported: list[str] = []
    for node in _statements(tree.body):
        if isinstance(node, ast.ImportFrom):
            # a relative import is of the module's own package, or of one above it
            above = module.split(".")[: -node.level] if node.level else []
            package = ".".join([*above, *([node.module] if node.module else [])])
            imported += [package, *(f"{package}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(made := getattr(node, "value", None), ast.Call) and getattr(made.func, "id", "") == "Registry":
            # what extensions add to a registry is as good as imported where it is declared
            imported += extending(str(ast.literal_eval(made.args[0])))
    templates = [file_digest(file) for file in sorted(path.parent.glob("*.j2")) if file.name in source]
    return value_digest([_described(compile(tree, module, "exec", optimize=2)), *templates]), imported


def _source(module: str) -> Path | None:
    """The file of one of our modules or extensions that can change what a stage gives; how a declaration is read cannot."""
    package, *below = module.split(".")
    if package not in ("assets", "bentos", EXTENSIONS) or module.startswith(("assets.spec", "assets.errors")):
        return None
    folders = extension_folders() if package == EXTENSIONS else [REPOSITORY / package]
    paths = [folder.joinpath(*below) for folder in folders]
    return next((file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Statements, however deep they stand in others; no expression holds an import."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, part, ()))


def _described(constant: Any) -> Any:
    """A code object, or a constant of one, as JSON: what it does, without where it stands.

    Compiled with ``optimize=2``, code has no docstrings; line numbers stand in fields that are not read. Compiling is several
    times faster than to write out the syntax tree, and every command does it.
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

"""Code versions: digests of a module, of all that it imports of ours, of its templates, and of libraries."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from assets.registries import EXTENSIONS, extending, extension_folders
from assets.storage.digests import file_digest, value_digest
from assets.storage.home import REPOSITORY
from assets.storage.module_code import module_code

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
    top = module.split(".", maxsplit=1)[0]
    for distribution in (top, f"{top}-cpu"):  # a wheel without what a graphics card needs, such as XGBoost's
        with suppress(PackageNotFoundError):
            return _installed(distribution)
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
    code = module_code(module, source)
    # what extensions add to a registry is as good as imported where it is declared
    imported = [*code.imports, *(name for registry in code.registries for name in extending(registry))]
    templates = [file_digest(file) for file in sorted(path.parent.glob("*.j2")) if file.name in source]
    return value_digest([code.described, *templates]), imported


def _source(module: str) -> Path | None:
    """The file of one of our modules or extensions that can change what a stage gives; how a declaration is read cannot."""
    package, *below = module.split(".")
    if package not in ("assets", "bentos", EXTENSIONS) or module.startswith(("assets.spec", "assets.errors")):
        return None
    folders = extension_folders() if package == EXTENSIONS else [REPOSITORY / package]
    paths = [folder.joinpath(*below) for folder in folders]
    return next((file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)

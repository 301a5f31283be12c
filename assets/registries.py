"""Registries: one list for each kind of item, and the modules outside of the project that add items to it.

A registry stands in the folder of its stage. A module of the namespace package `loopline_extensions`, in this repository or
in an installed distribution, adds items by a tuple that has the registry's name (docs/extending.md). Extensions are imported
when a registry is first read, never when one is declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Protocol, TypeVar

from assets.errors import ExtensionError

EXTENSIONS = "loopline_extensions"
"""The namespace package of extensions."""
REGISTRIES = {
    "GATE_RULES": "assets.promotion.gate_rules",
    "EXAMINATIONS": "assets.evaluation.examinations",
    "FILE_FORMATS": "assets.ingestion.file_formats",
    "WAYS_OF_SERVING": "assets.serving.ways_of_serving",
    "RETRAINING_TRIGGERS": "assets.monitoring.retraining_triggers",
    "WAYS_OF_LEARNING": "assets.training.ways_of_learning",
}
"""Where each registry stands."""


class Named(Protocol):
    """An item of a registry."""

    @property
    def name(self) -> str:
        """By what name it is declared and shown."""

    @property
    def description(self) -> str:
        """What it does, in a sentence."""


Item = TypeVar("Item", bound=Named)


class Registry(Mapping[str, Item]):
    """Items by name, in the order in which they are shown: the project's own, then those of extensions.

    Parameters
    ----------
    name : str
        Its name in `REGISTRIES`; the code version of a module that declares it covers the extensions that add to it.
    own : iterable of items
        The project's own items, at least one.
    """

    def __init__(self, name: str, own: Iterable[Item]) -> None:
        self.name, self.own = name, tuple(own)

    @cached_property
    def _items(self) -> dict[str, Item]:
        items = {item.name: item for item in self.own}
        for module in _extending(self.name):
            for item in getattr(module, self.name):
                if not isinstance(item, type(self.own[0])):
                    wanted = type(self.own[0]).__name__
                    raise ExtensionError(f"{module.__name__}: {self.name} holds {item!r}. Give a tuple of {wanted}.")
                if item.name in items:
                    raise ExtensionError(f"{module.__name__}: {self.name} has '{item.name}' already. Rename it.")
                items[item.name] = item
        return items

    def __getitem__(self, name: str) -> Item:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def added(self) -> dict[str, str]:
        """The items of extensions, with the module that adds each."""
        return {item.name: module.__name__ for module in _extending(self.name) for item in getattr(module, self.name)}


def registry(name: str) -> Registry[Any]:
    """A registry by its name. For modules that stand below it and must not import it: they need the names of its items."""
    found: Registry[Any] = getattr(import_module(REGISTRIES[name]), name)
    return found


def extending(name: str) -> list[str]:
    """The extension modules that add to a registry."""
    return [module.__name__ for module in _extending(name)]


def extension_folders() -> list[Path]:
    """The folders that make up the namespace package; none where nothing extends the project."""
    try:
        return [Path(folder) for folder in import_module(EXTENSIONS).__path__]
    except ModuleNotFoundError:
        return []


def _extending(name: str) -> list[ModuleType]:
    return [module for module in _extensions() if hasattr(module, name)]


@cache
def _extensions() -> tuple[ModuleType, ...]:
    """Every extension, imported; a module whose name begins with an underscore is for the others.

    Raises
    ------
    ExtensionError
        If one cannot be imported, or adds to no registry.
    """
    modules = []
    found = sorted(item.name for item in iter_modules(map(str, extension_folders())) if not item.name.startswith("_"))
    for name in (f"{EXTENSIONS}.{item}" for item in found):
        try:
            module = import_module(name)
        except Exception as error:
            raise ExtensionError(f"{name}: cannot be imported ({type(error).__name__}: {error}). Mend or remove it.") from error
        if not any(hasattr(module, registry) for registry in REGISTRIES):
            raise ExtensionError(f"{name}: adds to no registry. Give it one of {', '.join(REGISTRIES)}; see docs/extending.md.")
        modules.append(module)
    return tuple(modules)

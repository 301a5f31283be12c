"""Service requirements: the packages that a product's service imports, and the lock that its image is installed from."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import PackagingError
from assets.serving.online_promise import asks_redis
from assets.storage.home import REPOSITORY

if TYPE_CHECKING:
    from assets.spec import ProductSpec

LOCKS = REPOSITORY / "requirements"
REQUIREMENTS = tuple(re.findall(r"^[a-z][a-z-]*", (LOCKS / "serving.in").read_text(encoding="utf-8"), re.MULTILINE))
"""What every service imports."""


def lock(spec: ProductSpec) -> Path:
    """The locked packages of a product's service, which its image installs."""
    return LOCKS / f"serving{'_arrow' * spec.serving.arrow}{'_redis' * asks_redis(spec)}.txt"


def requirements(spec: ProductSpec) -> tuple[str, ...]:
    """The packages that a product's service imports: those that its lock is compiled from."""
    return (*REQUIREMENTS, *["pyarrow"] * spec.serving.arrow, *["redis"] * asks_redis(spec))


def pinned(spec: ProductSpec) -> list[str]:
    """The same, each with the version that is installed here.

    Raises
    ------
    PackagingError
        If one is not installed.
    """
    try:
        return [f"{name}=={version(name)}" for name in requirements(spec)]
    except PackageNotFoundError as error:
        raise PackagingError(
            f"{spec.name}: its service needs {error.name}, which is not installed. Run `make stores`."
        ) from error

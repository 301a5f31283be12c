"""Embedding: the champion as a small wheel that any Python program installs, with the model, its schema and typed functions."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from assets.promotion import adapted_uncertainty, current_artifacts, ledger
from assets.promotion.known_heads import HEAD
from assets.promotion.ledger_state import Entry
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.digests import file_digest
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.publishing import write_json
from bentos import embedded
from bentos.runtime import FILES, Model

SOURCES = ("decisions.py", "embedded.py", "runtime.py", "uncertainty.py")
REQUIREMENTS = ("numpy>=1.26", "onnxruntime>=1.20")
MOMENT = 1_577_836_800
"""The time of each file in a wheel, so that the same model gives the same bytes."""
PROJECT = """[project]
name = "{name}"
version = "{version}"
description = "{description}"
requires-python = ">=3.10"
dependencies = {dependencies}

[tool.flit.module]
name = "{module}"
"""
FRONT = '''"""{description}

    from {module} import predict, predict_rows, signature
"""

from .embedded import InvalidRowError, Predictions, predict, predict_rows, signature
from .runtime import TamperedModelError

__all__ = ["InvalidRowError", "Predictions", "TamperedModelError", "predict", "predict_rows", "signature"]
__version__ = "{version}"
'''


@dataclass(frozen=True)
class Wheel:
    """A built wheel."""

    path: Path
    digest: str
    size_bytes: int


def embed(home: Home, spec: ProductSpec, champion: Entry) -> Wheel:
    """Build the champion's wheel; an earlier one of the same version is replaced.

    Parameters
    ----------
    home, spec
        Where the model lies, and its declaration.
    champion : Entry
        The ledger's entry by which the version serves.

    Raises
    ------
    TamperedModelError
        If the model folder's bytes are not those that were promoted.
    """
    from flit_core.wheel import make_wheel_in

    digest, module = champion.model_digest, spec.module
    folder = home.models / spec.name / digest
    Model.load(folder, digest)
    version = wheel_version(champion)
    said = " ".join(spec.description.split()).replace("\\", "/").replace('"', "'")
    with draft_folder(home) as scratch:
        package = scratch / module
        (package / "model").mkdir(parents=True)
        for name in SOURCES:
            shutil.copyfile(Path(embedded.__file__).parent / name, package / name)
        for name in FILES:
            shutil.copyfile(folder / name, package / "model" / name)
        promised = {"model_version": champion.version, "model_digest": digest, HEAD: ledger.head_of(home, champion)}
        promised |= adapted_uncertainty.put_beside(home, champion, package)
        write_json(package / "promoted.json", promised)
        (package / "__init__.py").write_text(FRONT.format(description=said, module=module, version=version), encoding="utf-8")
        (package / "py.typed").touch()
        project = scratch / "pyproject.toml"
        told = {"name": module.replace("_", "-"), "version": version, "module": module, "description": said}
        project.write_text(PROJECT.format(dependencies=list(REQUIREMENTS), **told), encoding="utf-8")
        for file in scratch.rglob("*"):
            os.utime(file, (MOMENT, MOMENT))
        built = make_wheel_in(project, scratch)
        path = home.wheels / spec.name / built.file.name
        manifest.publish(built.file, path)
    done = Wheel(path, file_digest(path), path.stat().st_size)
    current_artifacts.name(home, path, done.digest, champion)
    return done


def wheel_version(champion: Entry) -> str:
    """A wheel's version: ``VERSION+mDIGEST``, eight digits of it.

    The letter keeps a digest of figures alone from being read as a number, which would lose its leading zeros (PEP 440).
    """
    return f"{champion.version}+m{champion.model_digest[:8]}"


def withdraw(home: Home, product: str, digest: str) -> None:
    """Remove the wheels of a model, so that nobody installs them from here."""
    current_artifacts.forget(home.wheels / product, digest)
    for wheel in (home.wheels / product).glob(f"*+m{digest[:8]}-*.whl"):
        manifest.remove(wheel)

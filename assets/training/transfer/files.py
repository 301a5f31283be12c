"""Transfer files: where a model file lies that a product is learnt from."""

from __future__ import annotations

from pathlib import Path

from assets.spec.ways_of_learning import LightgbmFileSpec, OnnxFileSpec
from assets.storage.home import REPOSITORY


def place(given: OnnxFileSpec | LightgbmFileSpec) -> Path:
    """Where a declared file lies: relative to the repository."""
    return REPOSITORY / (given.onnx if isinstance(given, OnnxFileSpec) else given.lightgbm)

"""The process in which models are trained and examined, where there is a core for it."""

from __future__ import annotations

import sys
from importlib import import_module

from assets.processes.companion import Beside

COMPUTE_PROCESS = Beside()
"""Models are trained and looked at in a process of their own, where one was started: what that imports takes as long as what
comes before it."""
IMPORTED = ("pandas", "sklearn.compose", "sklearn.ensemble", "onnx", "onnxruntime", "skops.io", "matplotlib.figure", "shap")


def make_ready() -> None:
    """Import what training and examining need."""
    for module in IMPORTED:
        import_module(module)


def prepare() -> None:
    """Start it, unless this process holds what it would import."""
    if any(module not in sys.modules for module in IMPORTED):
        COMPUTE_PROCESS.start(make_ready)

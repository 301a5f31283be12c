"""Examining: every stage that looks at a model, and the gate's verdict on what they find. Without Dagster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from assets import evaluation, explanations, footprint, leakage, robustness
from assets.companion import Beside
from assets.evidence import Evidence
from assets.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.storage import Home

EXAMINATIONS: Mapping[str, Callable[[Home, ProductSpec, Snapshot, str], Evidence]] = {
    "evaluation": evaluation.evaluate,
    "leakage": leakage.look,
    "robustness": robustness.stressed,
    "explanations": explanations.explain_model,
    "footprint": footprint.measure,
}
"""What is found out about a model, by stage."""

LABORATORY = Beside()
"""Models are trained and looked at in a process of their own, where one was started: what that imports takes as long as what
comes before it."""
IMPORTED = ("pandas", "sklearn.compose", "sklearn.ensemble", "onnx", "onnxruntime", "skops.io", "matplotlib.figure", "shap")


def make_ready() -> None:
    """Import what training and examining need."""
    for module in IMPORTED:
        import_module(module)


def examined(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> dict[str, Evidence]:
    """All that can be found out about a model on a snapshot, as it is declared now."""
    return {stage: look(home, spec, snapshot, model_digest) for stage, look in EXAMINATIONS.items()}

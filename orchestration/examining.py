"""Examining: every stage that looks at a model, and the gate's verdict on what they find. Without Dagster."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from assets import evaluation, explanations, footprint, leakage, robustness
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


def examined(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> dict[str, Evidence]:
    """All that can be found out about a model on a snapshot, as it is declared now."""
    return {stage: look(home, spec, snapshot, model_digest) for stage, look in EXAMINATIONS.items()}

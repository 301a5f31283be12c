"""The registry of examinations: every way of looking at a model."""

from __future__ import annotations

from assets.evaluation import (
    evaluation,
    explanations,
    federation,
    latency_and_size,
    leakage,
    prequential,
    robustness,
    simple_models,
    transfer_gain,
    uncertainty,
)
from assets.evaluation.evidence import Evidence
from assets.evaluation.examination import Examination
from assets.features.snapshots import Snapshot
from assets.registries import Registry
from assets.spec import ProductSpec
from assets.storage.home import Home

EXAMINATIONS = Registry(
    "EXAMINATIONS",
    [
        evaluation.EXAMINATION,
        simple_models.EXAMINATION,
        leakage.EXAMINATION,
        robustness.EXAMINATION,
        explanations.EXAMINATION,
        latency_and_size.EXAMINATION,
        uncertainty.EXAMINATION,
        transfer_gain.EXAMINATION,
        prequential.EXAMINATION,
        federation.EXAMINATION,
    ],
)
"""By name, in the order in which they are shown."""


def examinations_of(spec: ProductSpec) -> dict[str, Examination]:
    """Those that look at models of a product, by name."""
    return {name: examination for name, examination in EXAMINATIONS.items() if examination.applies(spec)}


def examined(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> dict[str, Evidence]:
    """All that can be found out about a model on a snapshot, as it is declared now."""
    return {name: examination.look(home, spec, snapshot, model_digest) for name, examination in examinations_of(spec).items()}

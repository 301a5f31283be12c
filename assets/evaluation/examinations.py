"""The registry of examinations: every way of looking at a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assets.errors import DataError
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
from assets.training.learning import LEARNING
from bentos.runtime import Model

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
    """All that can be found out about a model on a snapshot, as it is declared now.

    Raises
    ------
    DataError
        If the model was learnt in another way than is declared, or does not say how sure it is.
    """
    _require_as_declared(spec, Model.load(home.models / spec.name / model_digest, model_digest).signature)
    return {name: examination.look(home, spec, snapshot, model_digest) for name, examination in examinations_of(spec).items()}


def _require_as_declared(spec: ProductSpec, signature: Mapping[str, Any]) -> None:
    """What is looked at, and what the gate asks, is chosen by the declaration: the model must have it."""
    way = signature.get(LEARNING, {}).get("way")
    declared = None if spec.model.learning is None else spec.model.learning.way
    told = []
    if way != declared:
        told.append(f"was learnt {_named(way)}, and {_named(declared)} is declared")
    if spec.uncertainty is not None and "uncertainty" not in signature:
        told.append("does not say how sure it is, and 'uncertainty' is declared")
    if told:
        raise DataError(
            f"{spec.name}: the model {' and '.join(told)}, so it cannot be judged by what is declared now. Declare what it was "
            "made by, or train anew; `loopline rollback` goes back to a version that served."
        )


def _named(way: str | None) -> str:
    return "from its own rows at once" if way is None else f"by 'model.learning.{way}'"

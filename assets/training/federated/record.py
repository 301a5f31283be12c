"""Federated record: what a model's signature says of its clients, and what stands there for rows, which it must not show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from assets.methods.federated.boosting import Boosted
from assets.methods.federated.rounds import Federated
from assets.spec import ProductSpec
from assets.training.federated.declaration import columns_by_type, declared, plan_of

BACKGROUND = 32
"""How many rows are made up."""


def record_of(spec: ProductSpec, found: Federated | Boosted) -> dict[str, Any]:
    """What the model's signature says of how it was learnt."""
    said = declared(spec)
    told: dict[str, Any] = {
        "by": said.by,
        "strategy": said.strategy,
        "rounds": said.rounds,
        **({"told_bytes": found.told_bytes} if isinstance(found, Boosted) else _of_updates(spec)),
        "clients": dict(sorted(found.rows.items())),
        "failures": dict(sorted(found.failures.items())),
        "odd_clients": sorted(found.odd),
    }
    if (private := said.privacy) is not None and isinstance(found, Federated) and found.epsilon is not None:
        planned = plan_of(spec).privacy
        assert planned is not None  # noqa: S101 - for the type checker: the same declaration was planned by
        told["privacy"] = {**asdict(planned), "epsilon": found.epsilon, "delta": private.delta}
    return told


def _of_updates(spec: ProductSpec) -> dict[str, Any]:
    """How updates of a linear model are made and put together."""
    return {"local_steps": plan_of(spec).local_steps, "robust": declared(spec).robust}


def vocabularies_of(spec: ProductSpec, found: Federated | Boosted) -> dict[str, list[str]]:
    """The agreed values of each category."""
    names = columns_by_type(spec)[0]
    agreed = found.bins.vocabularies if isinstance(found, Boosted) else found.encoding.vocabularies
    return {name: [value for value in known.tolist() if value] for name, known in zip(names, agreed, strict=True)}


def background_of(spec: ProductSpec, found: Federated | Boosted, vocabularies: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Rows made up of what was agreed on: numbers within the declared range, and known values.

    Numbers are of the agreed mean and spread; for trees they are thresholds, which lie as rows do.
    """
    random = np.random.default_rng(spec.model.seed)
    numbers = columns_by_type(spec)[1]
    if isinstance(found, Boosted):
        drawn = np.tile(found.bins.middles, (BACKGROUND, 1))
        for place, known in enumerate(found.bins.thresholds[len(found.bins.vocabularies) :]):
            if len(known):
                drawn[:, place] = random.choice(known, BACKGROUND)
    else:
        drawn = random.normal(found.encoding.means, found.encoding.scales, (BACKGROUND, len(numbers)))
    rows: list[dict[str, Any]] = []
    for values in drawn.tolist():
        row: dict[str, Any] = {name: random.choice(known).item() if known else None for name, known in vocabularies.items()}
        for name, value in zip(numbers, values, strict=True):
            low, high = spec.columns[name].min, spec.columns[name].max
            row[name] = float(np.clip(value, -np.inf if low is None else low, np.inf if high is None else high))
        rows.append({name: row[name] for name in spec.columns})
    return rows

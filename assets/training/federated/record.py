"""Federated record: what a model's signature says of its clients, and what stands there for rows, which it must not show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from assets.methods.federated.rounds import Federated
from assets.spec import ProductSpec
from assets.training.federated.declaration import columns_by_type, declared, plan_of

BACKGROUND = 32
"""How many rows are made up."""


def record_of(spec: ProductSpec, found: Federated) -> dict[str, Any]:
    """What the model's signature says of how it was learnt."""
    said = declared(spec)
    told: dict[str, Any] = {
        "by": said.by,
        "strategy": said.strategy,
        "rounds": said.rounds,
        "local_steps": said.local_steps,
        "robust": said.robust,
        "clients": dict(sorted(found.rows.items())),
        "failures": dict(sorted(found.failures.items())),
        "odd_clients": sorted(found.odd),
    }
    if (private := said.privacy) is not None and found.epsilon is not None:
        planned = plan_of(spec).privacy
        assert planned is not None  # noqa: S101 - for the type checker: the same declaration was planned by
        told["privacy"] = {**asdict(planned), "epsilon": found.epsilon, "delta": private.delta}
    return told


def vocabularies_of(spec: ProductSpec, found: Federated) -> dict[str, list[str]]:
    """The agreed values of each category."""
    names = columns_by_type(spec)[0]
    return {
        name: [value for value in known.tolist() if value]
        for name, known in zip(names, found.encoding.vocabularies, strict=True)
    }


def background_of(spec: ProductSpec, found: Federated, vocabularies: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Rows made up of what was agreed on: numbers of the agreed mean and spread within the declared range, and known values."""
    random = np.random.default_rng(spec.model.seed)
    numbers = columns_by_type(spec)[1]
    drawn = random.normal(found.encoding.means, found.encoding.scales, (BACKGROUND, len(numbers)))
    rows: list[dict[str, Any]] = []
    for values in drawn.tolist():
        row: dict[str, Any] = {name: random.choice(known).item() if known else None for name, known in vocabularies.items()}
        for name, value in zip(numbers, values, strict=True):
            low, high = spec.columns[name].min, spec.columns[name].max
            row[name] = float(np.clip(value, -np.inf if low is None else low, np.inf if high is None else high))
        rows.append({name: row[name] for name in spec.columns})
    return rows

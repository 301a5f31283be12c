"""Examination: one way of looking at a model, as a stage declares it; `examinations` lists them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assets.evaluation.evidence import Evidence
from assets.features.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.spec.applicability import Condition, every
from assets.storage.home import Home


@dataclass(frozen=True)
class Examination:
    """One way of looking at a model: what it does, what it rests on, and what the UI shows of it.

    Parameters
    ----------
    name : str
        The asset's name, and that of its record.
    look : callable
        Finds out about a model on a snapshot, and writes the record.
    figures : callable
        What the UI shows of a record.
    description : str
        What it finds out.
    distributions : tuple of str
        The libraries that it rests on.
    reads : frozenset of str
        The parts of the declaration that it reads, beside those that a model is learnt from.
    gate : str, optional
        The gate whose settings it reads.
    plots : str, optional
        The file of its plots beside the record: SVG by title.
    applies : callable
        Whether it looks at models of a product (`assets.spec.applicability`).
    """

    name: str
    look: Callable[[Home, ProductSpec, Snapshot, str], Evidence]
    figures: Callable[[ProductSpec, Mapping[str, Any]], dict[str, Any]]
    description: str
    distributions: tuple[str, ...]
    reads: frozenset[str] = frozenset()
    gate: str | None = None
    plots: str | None = None
    applies: Condition = every

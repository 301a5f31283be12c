"""The coverage of 90 % intervals and sets on flights, month by month: static, and following the labels.

A model of two months, with thresholds of a third one, answers the flights of the nine months after. Each day is answered with
the labels that had arrived before it began (`label_known_utc`). Size is the width of an interval in minutes, or the number of
classes in a set. Step and window (`assets/methods/adaptive_conformal.py`) were set before these flights were looked at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assets.evaluation.coverage_history import CoverageHistory, history
from assets.features import publish
from assets.features.snapshots import Snapshot
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.ranking import mean_of
from assets.processes.settings import settle_process
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import Home
from assets.training import training
from bentos.runtime import Model
from orchestration.declarations import DEFS
from orchestration.resources import home_from_environment

PRODUCTS = {"arrival_delay": "width", "flight_delay": "classes"}
DECLARED: dict[str, Any] = {"coverage": 0.9, "by": ["origin"], "adaptive": True}
SPLIT = {"by": "months", "train": 2, "validation": 1, "test": 9, "end": "2013-12"}
OVER_THE_YEAR, IN_A_MONTH = 0.01, 0.03


def rows() -> Iterator[tuple[str, str, str]]:
    """Figure, measured, and what is asked."""
    settle_process()
    home = home_from_environment()
    for name, size in PRODUCTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            spec = declared(name, uncertainty=DECLARED)
            found = played(home, Home(Path(scratch)).prepare(), spec)
            yield from _months(name, found, size)
            yield from _year(spec, name, found, size)


def declared(name: str, **parts: Any) -> ProductSpec:
    """The repository's product with these parts, split so that most of the year comes after it is made."""
    spec = read_declaration(DEFS / name / "defs.yaml", ProductSpec)
    return ProductSpec.model_validate({**spec.model_dump(), "split": SPLIT, **parts})


def snapshot_of(home: Home, scratch: Home, spec: ProductSpec) -> Snapshot:
    """A snapshot of the home's warehouse, in another home."""
    with publish.candidate(home, spec) as connection:
        return publish.write(scratch, spec, connection)


def played(home: Home, scratch: Home, spec: ProductSpec) -> CoverageHistory:
    """The year after the model was made, of rows of the home's warehouse."""
    snapshot = snapshot_of(home, scratch, spec)
    made = training.train(scratch, spec, snapshot)
    return history(spec, Model.load(made.folder, made.digest, threads=2), snapshot)


def _months(name: str, found: CoverageHistory, size: str) -> Iterator[tuple[str, str, str]]:
    for month in found.by_month():
        static, adaptive = (
            f"{month[f'{kind}_coverage']:.1%} ({size} {month[f'{kind}_size']:.2f})" for kind in ("static", "adaptive")
        )
        missed = abs(month["adaptive_coverage"] - DECLARED["coverage"])
        told = f"within {IN_A_MONTH:.0%}: {'yes' if missed <= IN_A_MONTH else 'no'}"
        yield f"{name}, {month['month']}, {month['labelled']:,} flights", f"static {static}, adaptive {adaptive}", told


def _year(spec: ProductSpec, name: str, found: CoverageHistory, size: str) -> Iterator[tuple[str, str, str]]:
    known = found.labelled
    days = np.unique(found.days[known], return_inverse=True)[1]
    weights = cluster_weights(days, 500, spec.model.seed)
    for kind, reach, sizes in (
        ("static", found.static, found.static_size),
        ("adaptive", found.adaptive, found.adaptive_size),
    ):
        of = mean_of(found.inside(reach)[known])
        told = interval(of(np.ones(int(known.sum()))), replicate({"": of}, days, weights)[""], 0.95)
        asked = f"within {OVER_THE_YEAR:.0%} of 90 %" if kind == "adaptive" else ""
        measured = f"{told.value:.2%} [{told.low:.2%}, {told.high:.2%}], {size} {sizes[known].mean():.2f}"
        yield f"{name}, April to December, {kind}", measured, asked

"""The coverage of 90 % intervals and sets on flights, month by month: static, and following the labels.

A model of two months, with thresholds of a third one, answers the flights of the nine months after. Each day is answered with
the labels that had arrived before it began (`label_known_utc`). Size is the width of an interval in minutes, or the number of
classes in a set. The overhead is the processor time of one request more, with sets by origin, of those without, by
`Served.predict` and the answer's JSON, as a share of the whole request of docs/serving.md.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import to_json

from assets.evaluation.coverage_history import CoverageHistory, history
from assets.features import publish
from assets.methods.bootstrap import cluster_weights, interval, replicate
from assets.methods.ranking import mean_of
from assets.processes.settings import settle_process
from assets.spec import ProductSpec, read_declaration
from assets.storage.home import Home
from assets.training import training
from bentos.runtime import Model
from bentos.served import Served
from orchestration.declarations import DEFS
from orchestration.resources import home_from_environment

PRODUCTS = {"arrival_delay": "width", "flight_delay": "classes"}
DECLARED: dict[str, Any] = {"coverage": 0.9, "by": ["origin"], "adaptive": True}
SPLIT = {"by": "months", "train": 2, "validation": 1, "test": 9, "end": "2013-12"}
OVER_THE_YEAR, IN_A_MONTH, MOST_OVERHEAD = 0.01, 0.03, 0.05
REQUEST = 100e-6
"""Seconds of processor time for a request of one row: `make bench-serving`."""
ROUNDS, CALLS = 9, 3000


def rows() -> Iterator[tuple[str, str, str]]:
    """Figure, measured, and what is asked."""
    settle_process()
    home = home_from_environment()
    for name, size in PRODUCTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            spec = declared(name, uncertainty=DECLARED)
            found, model = played(home, Home(Path(scratch)).prepare(), spec)
            yield from _months(name, found, size)
            yield from _year(spec, name, found, size)
            if name == "flight_delay":
                yield _overhead(model)


def declared(name: str, **parts: Any) -> ProductSpec:
    """The repository's product with these parts, split so that most of the year comes after it is made."""
    spec = read_declaration(DEFS / name / "defs.yaml", ProductSpec)
    return ProductSpec.model_validate({**spec.model_dump(), "split": SPLIT, **parts})


def played(home: Home, scratch: Home, spec: ProductSpec) -> tuple[CoverageHistory, Model]:
    """The year after the model was made, of rows of the home's warehouse."""
    with publish.candidate(home, spec) as connection:
        snapshot = publish.write(scratch, spec, connection)
    made = training.train(scratch, spec, snapshot)
    model = Model.load(made.folder, made.digest, threads=2)
    return history(spec, model, snapshot), model


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


def _overhead(model: Model) -> tuple[str, str, str]:
    """What sets cost a request of one row."""
    plain = {name: value for name, value in model.signature.items() if name != "uncertainty"}
    promise = {"model_version": 1, "limits": {"max_batch_rows": 1000, "max_body_bytes": 1_000_000}}
    both = [Served(promise, Model(signature, model.digest, model.session)) for signature in (model.signature, plain)]
    taken = [[_seconds(served) for served in both] for _ in range(ROUNDS)]
    sets, without = np.median(np.array(taken), axis=0)
    told = f"{1e6 * (sets - without):.1f} us, {(sets - without) / REQUEST:.1%} of a request"
    return "overhead of sets in the service, one row", told, f"at most {MOST_OVERHEAD:.0%}"


def _seconds(served: Served) -> float:
    """Processor time of one request's answer."""
    row = served.bodies.row(served.model.signature["background"][0])
    began = time.process_time()
    for _ in range(CALLS):
        _, (answer,) = served.predict([row])
        to_json(answer)
    return (time.process_time() - began) / CALLS

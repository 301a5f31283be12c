"""Footprint: how long answers take through the runtime that is packaged, and how large the model's files are.

Times are of this machine in this minute; what they may be is for the gate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assets.evaluation.evidence import Case, Evidence
from assets.evaluation.examination import Examination
from assets.features.snapshots import Snapshot
from assets.methods.bootstrap import quantile_interval
from assets.spec import ProductSpec
from assets.storage.home import Home
from bentos.runtime import FILES, Model

ROW_CALLS, BATCH_CALLS = 1000, 50
WARM_UP, FEWEST, SECONDS = 20, 30, 3.0
"""Calls that are not timed, and after how many calls and seconds timing a slow model ends early."""


def measure(home: Home, spec: ProductSpec, snapshot: Snapshot, model_digest: str) -> Evidence:
    """Load the model as the service does, ask it row by row and batch by batch, and weigh its files.

    The record holds milliseconds at the median and the 99th percentile, with its interval, and bytes.
    """
    case = Case.load(home, spec, snapshot, model_digest)
    folder = home.models / spec.name / model_digest
    batch_rows = min(spec.serving.max_batch_rows, len(case.parts["test"].rows))
    # plain lists, as they come out of a request
    rows = {name: column.tolist() for name, column in case.columns("test", slice(0, max(ROW_CALLS, batch_rows))).items()}
    available = len(next(iter(rows.values())))

    def answer(given: dict[str, Any]) -> None:
        case.model.decide(case.model.predict(given))

    single = [{name: values[index : index + 1] for name, values in rows.items()} for index in range(min(ROW_CALLS, available))]
    batch = {name: values[:batch_rows] for name, values in rows.items()}
    started = time.perf_counter()
    Model.load(folder, model_digest)
    loaded = time.perf_counter() - started
    return case.publish(
        home,
        "footprint",
        {
            "load_ms": round(1000 * loaded, 3),
            "row_ms": _timed(lambda call: answer(single[call % len(single)]), ROW_CALLS),
            "batch_ms": _timed(lambda _: answer(batch), BATCH_CALLS),
            "batch_rows": batch_rows,
            "bytes": {name: (folder / name).stat().st_size for name in FILES},
        },
    )


def _timed(call: Callable[[int], None], calls: int) -> dict[str, float]:
    for number in range(WARM_UP):
        call(number)
    times: list[float] = []
    while len(times) < calls and (len(times) < FEWEST or sum(times) < 1000 * SECONDS):
        started = time.perf_counter()
        call(len(times))
        times.append(1000 * (time.perf_counter() - started))
    low, high = quantile_interval(np.array(times), 0.99, 0.95)
    shown = {"p50": float(np.quantile(times, 0.5)), "p99": float(np.quantile(times, 0.99)), "p99_low": low, "p99_high": high}
    return {name: round(value, 4) for name, value in shown.items()}


def _figures(_: ProductSpec, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "row_p99_ms": record["row_ms"]["p99"],
        "batch_p99_ms": record["batch_ms"]["p99"],
        "bytes": sum(record["bytes"].values()),
    }


EXAMINATION = Examination(
    "footprint",
    measure,
    _figures,
    "How long answers take through what is packaged, and how large it is.",
    ("numpy", "onnxruntime"),
)

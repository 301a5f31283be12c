"""Where the time of a batch of 1,000 rows goes, as Arrow and as JSON: the processor time of each part, without HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
from pydantic_core import to_json

from benchmarks.batches import ROWS, champion_rows, given_values, stream_of
from benchmarks.load import champion_folders
from bentos import arrow_batches
from bentos.metrics import Metrics
from bentos.runtime import OUTPUTS, Model, as_numbers, as_text
from bentos.served import Served
from orchestration.resources import home_from_environment

ROUNDS = 25


def rows() -> list[tuple[str, str, str]]:
    """Part, and the milliseconds that it takes of Arrow and of JSON."""
    _, bento = champion_folders(home_from_environment())
    served = Served.load(bento / "src" / "bentos")
    features, model, metrics = served.model.signature["features"], served.model, Metrics()
    asked = champion_rows(model)
    stream, body = stream_of(model, asked), json.dumps({"rows": given_values(asked)}).encode()
    columns, checked = arrow_batches.columns(stream, features, ROWS), served.bodies.many(body)
    scores, fields = served.predict_columns(columns)
    _, answers = served.predict(checked)
    in_columns = dict(zip(served.bodies.features, zip(*checked, strict=True), strict=True))
    feeds = _feeds(model, columns)

    def in_onnxruntime() -> Any:
        return model.session.run([OUTPUTS], feeds)

    def count() -> None:
        metrics.answered(served, scores, fields["unknown_categories"])

    parts: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        (
            "decode and check",
            lambda: arrow_batches.columns(stream, features, ROWS),
            lambda: served.bodies.many(body),
        ),
        ("what onnxruntime takes", lambda: _feeds(model, columns), lambda: _feeds(model, in_columns)),
        ("the model in onnxruntime", in_onnxruntime, in_onnxruntime),
        (
            "columns, the model and the answers' fields",
            lambda: served.predict_columns(columns),
            lambda: served.predict(checked),
        ),
        ("count", count, count),
        ("encode", lambda: arrow_batches.encoded(served, fields), lambda: to_json(answers)),
    ]
    found = [(name, _milliseconds(arrow), _milliseconds(plain)) for name, arrow, plain in parts]
    inside = {parts[1][0], parts[2][0]}
    apart = [item for item in found if item[0] not in inside]
    whole = sum(arrow for _, arrow, _ in apart), sum(plain for _, _, plain in apart)
    return [
        *((name, f"{arrow:.2f}", f"{plain:.2f}") for name, arrow, plain in found),
        ("all: without the second and third, which are parts of the fourth", f"{whole[0]:.2f}", f"{whole[1]:.2f}"),
        ("JSON, all / Arrow, all", f"{whole[1] / whole[0]:.2f}", ""),
        ("JSON, all / the model in onnxruntime alone", f"{whole[1] / found[2][1]:.2f}", ""),
    ]


def _feeds(model: Model, columns: Mapping[str, Any]) -> dict[str, Any]:
    """What `Model.session_outputs` gives to the graph."""
    texts, numbers = model.inputs
    taken = np.float64 if model.is_double else np.float32
    block = as_numbers([columns[name] for name in numbers]).astype(taken, copy=False)[:, :, np.newaxis]
    return {**{name: as_text(columns[name]).reshape(-1, 1) for name in texts}, **dict(zip(numbers, block, strict=True))}


def _milliseconds(part: Callable[[], Any]) -> float:
    """The median processor time of this thread."""
    found = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        part()
        found.append(1000 * (time.thread_time() - began))
    return median(found)


if __name__ == "__main__":
    for line in rows():
        print(*line, sep=" | ")

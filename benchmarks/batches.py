"""Batches of 1,000 rows as Arrow IPC streams against JSON, to one service that takes both."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from assets.serving.bento_package import PROMISE
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from benchmarks.load import PORT, Contender, champion_folders, in_turn
from bentos.arrow_batches import KIND
from bentos.runtime import Model

ROWS = 1000


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    found = in_turn(_contenders)
    speed = found.speed
    arrow, plain = speed
    return [
        *((f"{name}: batches a second, p99", f"{speed[name]:,.0f}/s, {found.tail[name]:.1f} ms", "") for name in speed),
        (f"{arrow} / {plain}, batches a second", f"{speed[arrow] / speed[plain]:.2f}", "at least 5"),
    ]


def _contenders(home: Home, scratch: Path) -> list[Contender]:
    folder, bento = champion_folders(home)
    model = Model.load(folder, folder.name)
    asked = champion_rows(model)
    both = scratch / "bento"
    shutil.copytree(bento, both)
    promise = both / "src" / "bentos" / PROMISE
    told = read_json(promise)
    # a machine that others keep busy gives fewer answers, not refusals: these are not what is measured
    write_json(promise, {**told, "limits": {**told["limits"], "arrow": True, "max_lag_ms": 1e6}})
    command = [sys.executable, "-m", "bentoml", "serve", str(both), "--port", str(PORT)]
    kind = ("Content-Type", KIND.decode())
    return [
        Contender("Arrow", command, "/predict_batch", stream_of(model, asked), {}, headers=(kind,)),
        Contender("JSON", command, "/predict_batch", json.dumps({"rows": given_values(asked)}).encode(), {}),
    ]


def champion_rows(model: Model) -> list[dict[str, object]]:
    """Real rows."""
    known = model.signature["background"]
    return [known[place % len(known)] for place in range(ROWS)]


def given_values(asked: list[dict[str, object]]) -> list[dict[str, object]]:
    """The rows without values that are missing, as JSON has them."""
    return [{name: value for name, value in row.items() if value is not None} for row in asked]


def stream_of(model: Model, asked: list[dict[str, object]]) -> bytes:
    """The rows as an Arrow IPC stream."""
    import pyarrow as pa

    kinds = {
        name: pa.string() if item["type"] == "category" else pa.float64() for name, item in model.signature["features"].items()
    }
    table = pa.table({name: pa.array([row.get(name) for row in asked], kind) for name, kind in kinds.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


if __name__ == "__main__":
    for line in rows():
        print(*line, sep=" | ")

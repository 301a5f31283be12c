"""What a circuit breaker costs: the champion's service with and without one, asked for one row, and for batches.

Both sides are served by this process, each on a port of its own, and asked by wrk in alternating bursts of a second: what
others take of a busy machine, they take of both sides alike. All rows are in range, so every feature of each row that is looked
at is compared, and the model answers.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import uvicorn

from benchmarks.batches import champion_rows, given_values, stream_of
from benchmarks.load import CONNECTIONS, PORT, Contender, champion_folders
from bentos.app import ModelApp
from bentos.arrow_batches import KIND
from bentos.direct_protocol import DirectProtocol
from bentos.fallback import Fallback
from bentos.served import Served
from orchestration.resources import home_from_environment

ROUNDS = 15
"""Bursts of each side; what is told is the median, and of the ratios of bursts that follow each other."""


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    _, bento = champion_folders(home_from_environment())
    served = Served.load(bento / "src" / "bentos")
    # a machine that others keep busy gives fewer answers, not refusals: these are not what is measured
    limits = {**served.limits, "access_log": False, "arrow": True, "max_lag_ms": 1e6}
    without = replace(served, promise={**served.promise, "limits": limits})
    asked = champion_rows(served.model)
    with_one = replace(without, fallback=Fallback(_record(served), "measured"))
    for side in (without, with_one):
        side.warm()
    one, many = (json.dumps(body).encode() for body in ({"row": given_values(asked[:1])[0]}, {"rows": given_values(asked)}))
    ways = (
        ("one row", "/predict", one, b"application/json"),
        (f"{len(asked):,} rows, JSON", "/predict_batch", many, b"application/json"),
        (f"{len(asked):,} rows, Arrow", "/predict_batch", stream_of(served.model, asked), KIND),
    )
    found = []
    with ExitStack() as stack:
        ports = [
            stack.enter_context(_answering(ModelApp(side), PORT + place)) for place, side in enumerate((without, with_one))
        ]
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for way, path, body, kind in ways:
            asker = Contender(way, [], path, body, {}, headers=(("Content-Type", kind.decode()),))
            bursts = [[_burst(asker, port, scratch) for port in ports] for _ in range(ROUNDS + 1)][1:]
            costs = [median(side) for side in zip(*bursts, strict=True)]
            ratio = median(after / before for before, after in bursts)
            told = f"{costs[0]:,.0f} us, {costs[1]:,.0f} us, {ratio:.3f}"
            found.append((f"{way}: processor time for a request without, with, with / without", told, "at most 1.05"))
    return found


@contextmanager
def _answering(app: ModelApp, port: int) -> Iterator[int]:
    """The application, answered in a thread as in a bento."""
    config = uvicorn.Config(app.asgi(), host="127.0.0.1", port=port, log_config=None, lifespan="on", http=DirectProtocol)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        thread.join()


def _burst(asker: Contender, port: int, scratch: Path) -> float:
    """The microseconds of processor time that an answer takes."""
    url = f"http://127.0.0.1:{port}{asker.path}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", "-s", str(asker.script(scratch)), url]
    began = time.process_time()
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    taken = time.process_time() - began
    answered = re.search(r"(\d+) requests in", told)
    if answered is None or "Non-2xx" in told:
        raise SystemExit(f"{asker.name}: not all was answered:\n{told}")
    return 1e6 * taken / int(answered[1])


def _record(served: Served) -> dict[str, Any]:
    """A fallback with a breaker that has seen the model's background rows, which are those that are asked."""
    ranges: dict[str, Any] = {}
    for name, feature in served.model.signature["features"].items():
        if feature["type"] == "category":
            ranges[name] = {"known": feature["known"], "is_missing": True}
        else:
            values = [float(row[name]) for row in served.model.signature["background"] if row[name] is not None]
            ranges[name] = {"low": min(values), "high": max(values), "is_missing": True}
    breaker = {"ranges": ranges, "window_rows": 200, "trips_at": 32, "returns_at": 10}
    return {"otherwise": [0.5, 0.5], "reach": None, "breaker": breaker}


if __name__ == "__main__":
    for line in rows():
        print(*line, sep=" | ")

"""What a shadow costs the service beside it.

The champion's bento of one worker is asked one row a request by wrk over four connections that are always busy; rounds
alternate. It follows a pointer, as `loopline serve` lets it; for the last contender the pointer also names a shadow, which is
the champion's own package: another model of its size would be as busy. At this rate all cores are taken, so the shadow, which
has a lower priority, answers what it can, and the rest is counted as missed. "At ease" is the load of a service that has
room: 32 connections, each of which waits ten milliseconds on average after an answer.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from assets.storage.home import Home
from benchmarks.experiments.simulated import Row
from benchmarks.load import Contender, champion_folders, contenders, in_turn
from bentos.log_blocks import complete

WITHOUT, LOGGED, SHADOWED = "without log and shadow", "with its log", "with its log and a shadow"

EASE = ", at ease"
CALM_CONNECTIONS, CALM_PAUSE_MS = 32, 10

SETTLE_SECONDS = 8.0
"""How long the services are left alone: the shadow's process starts a moment after the service is ready."""


def rows() -> list[Row]:
    """Figure, measured, and the goal it is held to."""
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        found = in_turn(lambda home, scratch: _services(home, scratch, logs))
        calm = in_turn(lambda home, scratch: [_at_ease(item) for item in _services(home, scratch, logs / "calm")])
        speed, tail = found.speed, found.tail
        answered, heard = (_logged(place) for place in (logs / "shadowed", logs / "shadowed" / "shadow"))
    return [
        *found.rows(),
        *calm.rows(),
        (f"{LOGGED} / without, requests a second", f"{speed[LOGGED] / speed[WITHOUT]:.2f}", "at least 0.9"),
        (f"{SHADOWED} / without, requests a second", f"{speed[SHADOWED] / speed[WITHOUT]:.2f}", "at least 0.5"),
        ("p99 of the champion with a shadow / with its log alone", f"{tail[SHADOWED] / tail[LOGGED]:.2f}", "at most 1.1"),
        ("p99 of the champion with a shadow / without log and shadow", f"{tail[SHADOWED] / tail[WITHOUT]:.2f}", ""),
        (
            "p99 of the champion with a shadow / with its log alone, at ease",
            f"{calm.tail[SHADOWED + EASE] / calm.tail[LOGGED + EASE]:.2f}",
            "at most 1.1",
        ),
        ("requests that the shadow answered, of those logged", f"{heard / answered:.0%}", ""),
    ]


def _services(home: Home, scratch: Path, logs: Path) -> list[Contender]:
    """The service with a pointer, with a log besides, and with a shadow besides."""
    ours, *_ = contenders(home, scratch)
    package = champion_folders(home)[1] / "src" / "bentos"
    shadow = {"experiment": "bench", "folder": str(package)}
    found = []
    for name, log, told in ((WITHOUT, None, {}), (LOGGED, "logged", {}), (SHADOWED, "shadowed", {"shadow": shadow})):
        pointer = scratch / f"{log}.json"
        pointer.write_text(json.dumps({"folder": str(package), **told}), encoding="utf-8")
        variables = {"LOOPLINE_CHAMPION": str(pointer)}
        if log is not None:
            variables["LOOPLINE_PREDICTION_LOG"] = str(logs / log)
        found.append(replace(ours, name=name, variables=variables, settle_seconds=SETTLE_SECONDS))
    return found


def _at_ease(service: Contender) -> Contender:
    """The same service, asked no more than it easily answers."""
    return replace(service, name=service.name + EASE, connections=CALM_CONNECTIONS, pause_ms=CALM_PAUSE_MS)


def _logged(folder: Path) -> int:
    """The rows of a log that services wrote."""
    found = 0
    for file in folder.glob("*.sqlite"):
        complete(file)
        with closing(sqlite3.connect(file)) as connection:
            found += int(connection.execute("select count(*) from predictions").fetchone()[0])
    return found

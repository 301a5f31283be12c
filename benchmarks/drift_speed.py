"""How fast drift is told, beside Evidently, on made-up columns: ``python -m benchmarks.drift_speed FILE`` looks at one file."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assets.methods.shift import assignments, divergence, judged
from assets.monitoring import evidently_report, histograms
from assets.storage.home import REPOSITORY
from benchmarks.measuring import measure

EVIDENTLY = REPOSITORY / ".venv-evidently" / "bin" / "python"
COLUMNS = {f"number_{number}": False for number in range(15)} | {f"category_{number}": True for number in range(5)}


def evidently(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """What Evidently's defaults say."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch) / name for name in ("before.parquet", "after.parquet")]
        for path, frame in zip(paths, (before, after), strict=True):
            frame.to_parquet(path)
        command = [str(EVIDENTLY), "-P", str(evidently_report.__file__), *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def made_up(path: Path, rows: int) -> Path:
    """Rows of 15 numbers and 5 categories over 60 days, some of which move in the last 20."""
    import duckdb

    late = "(case when i % 60 >= 40 then 1 else 0 end)"
    numbers = [
        f"(sqrt(-2 * ln(1 - random())) * cos(6.2832 * random()) + {late} * {0.02 * k})::float as number_{k}" for k in range(15)
    ]
    texts = [f"chr(65 + least(((random() + 0.1 * {late} * {k % 2}) * {4 + 4 * k})::int, 40)) as category_{k}" for k in range(5)]
    with duckdb.connect() as connection:
        connection.execute("select setseed(0.5)")
        connection.execute(
            f"copy (select (i % 60)::int as day, {', '.join([*numbers, *texts])} from range({rows}) as t(i)) "
            f"to '{path}' (format parquet)"
        )
    return path


def compared(path: str) -> dict[str, Any]:
    """Count all rows of a file and judge its last 20 days against the first 40; the raw distances of the categories."""
    import duckdb

    started = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '1500MB'")
        relation = f"read_parquet('{path}')"
        bins = histograms.cut(connection, relation, COLUMNS, where="day < 40")
        counts = histograms.count(connection, relation, bins, units=60, unit="day")
    now, one = np.arange(60) >= 40, np.zeros(60, dtype=int)
    sides = assignments(now, one, 499, 1)
    statistics = {name: divergence(item.rows, sides, one) for name, item in counts.items()}
    judged(statistics)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "distances": {name: float(np.sqrt(values[0])) for name, values in statistics.items()}}


def speed(scratch: Path) -> str:
    """Our time and memory, and Evidently's time, in one run."""
    large = made_up(scratch / "large.parquet", 10_000_000)
    taken = measure(["-m", "benchmarks.drift_speed", str(large)], scratch)
    small = made_up(scratch / "small.parquet", 100_000)
    frame = pd.read_parquet(small)
    own, rival = [], []
    for _ in range(3):
        own.append(compared(str(small)))
        rival.append(evidently(*(frame[side].drop(columns="day") for side in (frame["day"] < 40, frame["day"] >= 40))))
    faster = np.median([item["seconds"] for item in rival]) / np.median([item["seconds"] for item in own])
    differences = [
        abs(item["value"] / np.sqrt(np.log(2)) - own[0]["distances"][name])  # theirs is in nats, ours in bits
        for name, item in rival[0]["columns"].items()
        if item["method"] == "Jensen-Shannon distance"
    ]
    lines = [
        ("20 columns x 10,000,000 rows, start to end", f"{taken.seconds:.1f} s", "at most 10 s"),
        ("its peak memory", f"{taken.peak_mb:,.0f} MB", "at most 2,000 MB"),
        ("20 columns x 100,000 rows", f"{np.median([item['seconds'] for item in own]):.2f} s", ""),
        ("evidently's report of them, imports aside", f"{np.median([item['seconds'] for item in rival]):.1f} s", ""),
        ("evidently / ours", f"{faster:.0f}", "at least 20"),
        ("largest difference of the categories' Jensen-Shannon distances", f"{max(differences):.1g}", "none"),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    compared(sys.argv[1])

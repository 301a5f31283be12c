"""Readings of meters: a product of several rows a key, whose features age, with a store of them and a log of look-ups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from assets.features import publish
from assets.features.snapshots import Snapshot
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json

NOW = datetime.now(UTC).replace(microsecond=0)
"""The moment of the tests: services read the clock, so the rows must be of these days."""
READINGS = [
    # meter, hours ago, plan, level, flow
    ("a", 48, "free", 1.0, 0.5),
    ("a", 24, "free", 2.0, None),
    ("a", 2, "pro", 3.0, 1.5),
    ("b", 30, "basic", 7.0, 2.5),
    ("c", -5, "pro", 9.0, 9.5),
]
"""The last one is known in five hours only."""


def ago(hours: float) -> datetime:
    """A moment of so many hours ago."""
    return NOW - timedelta(hours=hours)


def readings(rows: list[tuple[Any, ...]] | None = None) -> pd.DataFrame:
    """The rows of the product's file as they are landed."""
    frame = pd.DataFrame(READINGS if rows is None else rows, columns=["meter", "hours", "plan", "level", "flow"])
    frame["read_at"] = [pd.Timestamp(ago(hours)).tz_localize(None) for hours in frame.pop("hours")]
    return frame.assign(reading=[f"r{number}" for number in range(len(frame))], high=["yes", "no", *["yes"] * (len(frame) - 2)])


def meters(**online: Any) -> ProductSpec:
    """The product, asked by meter; `pressure` is what only a request knows."""
    columns = {
        "reading": {"type": "text"},
        "meter": {"type": "text"},
        "read_at": {"type": "timestamp"},
        "plan": {"type": "text"},
        "level": {"type": "number", "min": 0, "max": 100},
        "flow": {"type": "number", "nullable": True},
        "high": {"type": "text"},
    }
    return ProductSpec.model_validate(
        {
            "name": "meters",
            "description": "Whether a meter reads high.",
            "source": {"file": "meters.csv", "key": ["reading"], "columns": columns},
            "features": {
                "entity": "reading",
                "event_time": "read_at",
                "groups": {"place": {"meter": {}, "plan": {}}, "reading": {"level": {}, "flow": {"max_missing": 0.9}}},
            },
            "target": {"column": "high", "kind": "binary", "positive": "yes", "meaning": "it reads high"},
            "split": {"by": "time", "train": 0.6, "validation": 0.2, "test": 0.2},
            "model": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "cost": {"missed": 1.0, "false_alarm": 1.0},
            "baseline": {"by": {"plan": None}},
            "serving": {"online": {"key": ["meter"], **online}},
        }
    )


def published(home: Home, spec: ProductSpec, frame: pd.DataFrame) -> Snapshot:
    """These rows as the current snapshot of a product."""
    landed = home.temporary / "landed.parquet"
    frame.to_parquet(landed)
    with publish.candidate(home, spec, [landed]) as connection:
        snapshot = publish.write(home, spec, connection)
    write_json(home.snapshots / spec.name / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
    return snapshot


def entities_file(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    """A file of entities."""
    path = folder / name
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path

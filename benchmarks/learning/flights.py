"""The flights of one airport beside those of the others: snapshots of two products, cut from that of `flight_delay`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from assets.features import snapshots
from assets.features.snapshots import Snapshot
from assets.spec import ProductSpec, read_declaration
from assets.storage.digests import file_digest
from assets.storage.home import REPOSITORY, Home
from benchmarks.measuring import measure

SPEC = REPOSITORY / "orchestration" / "defs" / "flight_delay" / "defs.yaml"
STEPS = (("flights",), ("warehouse",), ("flight_delay", "snapshot"))


def home_with_flights() -> Home:
    """A home that holds the snapshot of `flight_delay`: that of BENCH_HOME where it has one, else a new one."""
    home = Home(Path(os.environ.get("BENCH_HOME") or tempfile.mkdtemp())).prepare()
    if not (home.snapshots / "flight_delay" / "current.json").exists():
        for step in STEPS:
            measure(["-m", "orchestration", "step", *step], home.root)
    return home


def flights(home: Home) -> pd.DataFrame:
    """All flights, as the product's snapshot holds them."""
    return snapshots.read(snapshots.current(home, "flight_delay"))


def product(name: str, **model: Any) -> ProductSpec:
    """`flight_delay` by another name, without its origin, and what is served of it."""
    spec = read_declaration(SPEC, ProductSpec)
    declared = spec.model_dump(mode="json", exclude_none=True)
    for group in declared["features"]["groups"].values():
        group.pop("origin", None)
    declared["evaluation"]["slices"] = ["carrier"]
    for part in ("experiments", "landed_key", "serving", "monitoring", "retrain"):
        declared.pop(part, None)
    return ProductSpec.model_validate({**declared, "name": name, "model": {**declared["model"], **model}})


def snapshot_of(home: Home, spec: ProductSpec, rows: pd.DataFrame) -> Snapshot:
    """Rows as a snapshot of a product."""
    folder = home.snapshots / spec.name
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "draft.parquet"
    rows.to_parquet(draft, index=False)
    digest = file_digest(draft)
    draft.replace(folder / f"{digest}.parquet")
    return snapshots.opened(home, spec.name, digest)

"""Models of each kind, trained in a moment on the shop's customers, and what a service is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from assets.features import publish
from assets.features.snapshots import Snapshot
from assets.promotion.ledger_state import Entry
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import training
from bentos.fallback import FALLBACK, RECORD
from bentos.runtime import Model
from bentos.served import Served
from tests.shop import customers, product


def snapshot_of(home: Home, spec: ProductSpec, frame: pd.DataFrame) -> Snapshot:
    """A snapshot of these rows, as the product makes it from its landed file."""
    landed = home.temporary / f"{spec.name}.parquet"
    frame.to_parquet(landed)
    with publish.candidate(home, spec, [landed]) as connection:
        return publish.write(home, spec, connection)


def trained(home: Home, name: str, **parts: Any) -> Model:
    """A model of one of the shop's products."""
    spec = product(name, **parts)
    made = training.train(home, spec, snapshot_of(home, spec, customers()))
    return Model.load(made.folder, made.digest)


def champion_of(model: Model, version: int = 1) -> Entry:
    """A ledger's entry by which a model serves."""
    return Entry(
        1, "2024-01-01T00:00:00+00:00", model.signature["product"], "promotion", version, model.digest, "s", None, None, "tester",
        "for a test", 0, 0, "", "entry",
    )  # fmt: skip


def promised(home: Home, model: Model, folder: Path, *, fallback: dict[str, Any] | None = None, **limits: Any) -> Served:
    """A service's package of a model, with some limits changed and with the record of a fallback, loaded."""
    name = model.signature["product"]
    folder.mkdir(parents=True)
    promise = {
        "product": name,
        "model_version": 1,
        **bento_package.pack(model, home.models / name / model.digest, folder),
        "champion_since_utc": "2024-01-01T00:00:00+00:00",
        "workers": 1,
        # however busy the machine of a test is, it is not what is tested
        "limits": {**product(name).serving.limits, "max_lag_ms": 1e6, **limits},
    }
    if fallback is not None:
        promise[FALLBACK] = file_digest(write_json(folder / RECORD, fallback))
    write_json(folder / bento_package.PROMISE, promise)
    return Served.load(folder)

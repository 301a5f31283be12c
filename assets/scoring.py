"""Scoring: the champion's predictions of the test rows, as one Parquet table that is replaced whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.snapshots import Snapshot, parts_of, read
from assets.spec import ProductSpec
from assets.storage import Home, file_digest, publishing, read_json, write_json
from bentos.runtime import Model

RECORD = "current.json"
"""Which predictions are current, and by which model."""


@dataclass(frozen=True)
class Predictions:
    """A table of predictions: where it lies, its digest, and its rows."""

    path: Path
    digest: str
    rows: int


def score(
    home: Home, spec: ProductSpec, snapshot: Snapshot, *, model_digest: str, version: int, scored_at: datetime
) -> Predictions:
    """Score every row of the test part, labelled or not.

    Parameters
    ----------
    home, spec, snapshot
        Where to write, what to score, and the rows.
    model_digest : str
        The champion's digest; its folder is verified before it is loaded.
    version : int
        The champion's version, written beside each row.
    scored_at : datetime
        The time of scoring (UTC), written beside each row.

    Raises
    ------
    DataError
        If the part holds no rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = read(snapshot)
    mask, window = parts_of(spec, frame)["test"]
    rows = frame[mask]
    if rows.empty:
        raise DataError(f"{spec.name}: the test part holds no rows to score. Land more rows, or change split.")
    model = Model.load(home.models / spec.name / model_digest, model_digest)
    outputs = model.predict({name: rows[name].to_numpy() for name in model.signature["features"]})
    columns = {
        spec.features.entity: pa.array(rows[spec.features.entity].astype(str)),
        **{name: pa.array(rows[name], pa.timestamp("us")) for name in spec.moments},
        **_answers(model, outputs),
        "model_version": pa.array([version] * len(rows), pa.int32()),
        "model_digest": pa.array([model_digest] * len(rows)).dictionary_encode(),
        "snapshot_digest": pa.array([snapshot.digest] * len(rows)).dictionary_encode(),
        "scored_at_utc": pa.array([scored_at.replace(tzinfo=None)] * len(rows), pa.timestamp("us")),
    }
    table = pa.table(columns)
    name = "test" if window is None else f"{window.start:%Y-%m-%d}_{window.end:%Y-%m-%d}"
    path = home.predictions / spec.name / f"{name}.parquet"
    with publishing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    done = Predictions(path, file_digest(path), len(rows))
    named = {"file": path.name, "digest": done.digest, "model_version": version, "model_digest": model_digest}
    write_json(path.parent / RECORD, {**named, "snapshot_digest": snapshot.digest, "rows": done.rows})
    return done


def current(home: Home, product: str) -> Path | None:
    """The file of the current predictions, if there is one."""
    record = home.predictions / product / RECORD
    return home.predictions / product / read_json(record)["file"] if record.exists() else None


def _answers(model: Model, outputs: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The columns that hold the model's answers, by kind of target."""
    import pyarrow as pa

    decided = model.decide(outputs)
    if model.kind == "binary":
        threshold = pa.array([model.decision["threshold"]] * len(outputs))
        return {"probability": pa.array(outputs), "is_positive": pa.array(decided), "threshold": threshold}
    if model.kind == "regression":
        margin = model.decision["margin"]
        return {
            "prediction": pa.array(outputs),
            "planned": pa.array(decided),
            "low": pa.array(outputs - margin),
            "high": pa.array(outputs + margin),
        }
    classes = model.signature["classes"]
    chances = {f"probability_{name}": pa.array(outputs[:, index]) for index, name in enumerate(classes)}
    return {"predicted_class": pa.array([classes[index] for index in decided]), **chances}

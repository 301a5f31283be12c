"""Scoring: the champion's predictions of the test window, as one Parquet table that is replaced whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assets.errors import DataError
from assets.snapshots import Snapshot, read, windows_of
from assets.spec import ProductSpec
from assets.storage import Home, file_digest, publishing
from bentos.runtime import Model


@dataclass(frozen=True)
class Predictions:
    """A table of predictions: where it lies, its digest, and its rows."""

    path: Path
    digest: str
    rows: int
    positives: int


def score(
    home: Home, spec: ProductSpec, snapshot: Snapshot, *, model_digest: str, version: int, scored_at: datetime
) -> Predictions:
    """Score every row of the test window, labelled or not.

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
        If the window holds no rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = read(snapshot)
    window = windows_of(spec, frame).test
    rows = frame[window.holds(frame[spec.features.event_time])]
    if rows.empty:
        raise DataError(f"{spec.name}: no rows from {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d} to score. Land them.")
    model = Model.load(home.models / spec.name / model_digest, model_digest)
    probability = model.predict({name: rows[name].to_numpy() for name in model.signature["features"]})
    said = probability >= model.threshold
    table = pa.table(
        {
            spec.features.entity: pa.array(rows[spec.features.entity].astype(str)),
            spec.features.event_time: pa.array(rows[spec.features.event_time], pa.timestamp("us")),
            spec.features.predicted_at: pa.array(rows[spec.features.predicted_at], pa.timestamp("us")),
            "probability": pa.array(probability),
            "is_positive": pa.array(said),
            "threshold": pa.array([model.threshold] * len(rows)),
            "model_version": pa.array([version] * len(rows), pa.int32()),
            "model_digest": pa.array([model_digest] * len(rows)).dictionary_encode(),
            "snapshot_digest": pa.array([snapshot.digest] * len(rows)).dictionary_encode(),
            "scored_at_utc": pa.array([scored_at.replace(tzinfo=None)] * len(rows), pa.timestamp("us")),
        }
    )
    path = home.predictions / spec.name / f"{window.start:%Y-%m-%d}_{window.end:%Y-%m-%d}.parquet"
    with publishing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return Predictions(path, file_digest(path), len(rows), int(said.sum()))

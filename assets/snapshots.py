"""Reading snapshots: the rows of a product, verified, and cut into training, validation and test in order of time.

Every stage after the features reads its rows here, and nothing here reads the warehouse.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.methods.split import Window, Windows, month_windows
from assets.spec import ProductSpec
from assets.storage import Home, published, verified

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Snapshot:
    """A published snapshot: where it lies, the digest of its bytes, and its rows."""

    path: Path
    digest: str
    rows: int


def current(home: Home, product: str) -> Snapshot:
    """The snapshot that was published last, its bytes verified.

    Raises
    ------
    DigestError
        If there is none, or its bytes changed.
    """
    record = published(home.snapshots / product / "current.json", f"{product}: no snapshot is published")
    return opened(home, product, record["digest"])


def opened(home: Home, product: str, digest: str) -> Snapshot:
    """A snapshot by its digest, its bytes verified."""
    import pyarrow.parquet as pq

    path = verified(home.snapshots / product / f"{digest}.parquet", digest)
    return Snapshot(path, digest, pq.read_metadata(path).num_rows)


def read(snapshot: Snapshot, columns: list[str] | None = None) -> pd.DataFrame:
    """Load a snapshot as a frame of `snapshot.rows` rows, in order of event time and entity."""
    import pyarrow.parquet as pq

    frame: pd.DataFrame = pq.read_table(snapshot.path, columns=columns).to_pandas()
    return frame


@dataclass(frozen=True)
class LabelledRows:
    """The labelled rows of one window, in order of event time."""

    name: str
    window: Window
    rows: pd.DataFrame
    unlabelled: dict[str, int]
    late_labels: int

    def labels(self, spec: ProductSpec) -> pd.Series:
        """The labels as 0.0 and 1.0, shape (n_rows,)."""
        return self.rows[spec.target.column].astype(bool).astype(float)

    def local_times(self, spec: ProductSpec) -> pd.Series:
        """The event times in the product's time zone, shape (n_rows,)."""
        return self.rows[spec.features.event_time].dt.tz_localize("UTC").dt.tz_convert(spec.features.time_zone)

    def days(self, spec: ProductSpec) -> np.ndarray[Any, Any]:
        """The local calendar days, numbered from 0, shape (n_rows,): the clusters of the bootstrap."""
        codes, _ = self.local_times(spec).dt.normalize().factorize(sort=True)
        return np.asarray(codes)


def windows_of(spec: ProductSpec, frame: pd.DataFrame) -> Windows:
    """The windows that a specification cuts a snapshot into."""
    import pandas as pd

    split = spec.split
    end = split.end
    if end is None:
        last = pd.Timestamp(frame[spec.features.event_time].max(), tz="UTC").tz_convert(spec.features.time_zone)
        end = last.strftime("%Y-%m")
    return month_windows(end, split.train_months, split.validate_months, split.test_months, spec.features.time_zone)


def labelled(spec: ProductSpec, frame: pd.DataFrame) -> dict[str, LabelledRows]:
    """Cut a snapshot into the labelled rows of each window.

    A row trains or validates only if its label was known before the next window begins; the others are counted.

    Returns
    -------
    dict
        ``train``, ``validate`` and ``test``.

    Raises
    ------
    DataError
        If a window has no labelled rows, or rows of one class only.
    """
    windows = windows_of(spec, frame)
    parts = {}
    for name, window, known_before in (
        ("train", windows.train, windows.validate.start),
        ("validate", windows.validate, windows.test.start),
        ("test", windows.test, None),
    ):
        inside = frame[window.holds(frame[spec.features.event_time])]
        has_label = inside[spec.target.column].notna()
        known = has_label if known_before is None else has_label & (inside[spec.target.known_at] < known_before)
        rows = inside[known]
        if rows[spec.target.column].nunique() < 2:
            raise DataError(
                f"{spec.name}: the {name} window {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d} holds {len(rows)} labelled "
                f"rows of {rows[spec.target.column].nunique()} class(es); both classes are needed. Land more months, or "
                "change split."
            )
        because = {reason: int(inside.loc[~has_label, reason].sum()) for reason in spec.target.unlabelled_because}
        other = int((~has_label).sum()) - sum(because.values())
        unlabelled = {**because, **({"other": other} if other else {})}
        parts[name] = LabelledRows(name, window, rows, unlabelled, int((has_label & ~known).sum()))
    return parts

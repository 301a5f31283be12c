"""Reading snapshots: the rows of a product, verified. How they are cut stands in `labelled_rows`.

Every stage after the features reads its rows here, and nothing here reads the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import DataError, DigestError
from assets.processes.memory import release_arrow
from assets.storage.digests import verified
from assets.storage.home import Home
from assets.storage.publishing import published

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd


VALUES_AT_ONCE = 20_000_000
"""How many values `series` reads at a time: 160 MB of numbers."""


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


def found(home: Home, product: str, digest: str) -> Snapshot:
    """A snapshot by its digest or the beginning of it.

    Raises
    ------
    DigestError
        If there is none, or more than one.
    """
    names = [path.stem for path in (home.snapshots / product).glob("*.parquet") if path.stem.startswith(digest)]
    if len(names) != 1:
        known = ", ".join(sorted(path.stem[:16] for path in (home.snapshots / product).glob("*.parquet"))) or "none"
        raise DigestError(f"{product}: {len(names)} snapshots have a digest like '{digest}'. There are: {known}.")
    return opened(home, product, names[0])


def require_features(product: str, snapshot: Snapshot, features: Iterable[str]) -> None:
    """Refuse to ask a champion about rows of a snapshot that lacks what it was trained on.

    Raises
    ------
    DataError
        If a feature is no column of the snapshot, as another version of the declaration was published.
    """
    import pyarrow.parquet as pq

    known = set(pq.read_schema(snapshot.path).names)
    if lacking := [name for name in features if name not in known]:
        raise DataError(f"{product}: the champion needs {', '.join(lacking)}, which the snapshot lacks. Promote another.")


def read(snapshot: Snapshot, columns: list[str] | None = None) -> pd.DataFrame:
    """Load a snapshot as a frame of `snapshot.rows` rows, in order of event time and entity."""
    import pyarrow.parquet as pq

    # from a file that is mapped, and each column is let go when it is taken over: the file is not held beside its rows
    table = pq.read_table(snapshot.path, columns=columns, memory_map=True, pre_buffer=False)
    frame: pd.DataFrame = table.to_pandas(self_destruct=True)
    del table
    release_arrow()
    return frame


def series(snapshot: Snapshot, columns: Sequence[str]) -> Iterator[tuple[str, pd.Series]]:
    """The names and values of columns one after the other, of which only some are in memory at a time."""
    at_once = max(1, VALUES_AT_ONCE // max(1, snapshot.rows))
    for start in range(0, len(columns), at_once):
        yield from read(snapshot, list(columns[start : start + at_once])).items()
    release_arrow()


def last_known(frame: pd.DataFrame, time: str, known_at: str | None) -> datetime:
    """The last moment of any row or of any label's arrival (UTC, without a zone)."""
    import pandas as pd

    moments = [frame[time].max(), *([frame[known_at].max()] if known_at else [])]
    found: datetime = max(moment for moment in moments if not pd.isna(moment)).to_pydatetime(warn=False)
    return found

"""Scoring: the champion's predictions of a snapshot's rows, as Parquet tables that are replaced whole.

The snapshot is read in pieces, so that it may be larger than the memory.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import DataError
from assets.features.labelled_rows import part_of
from assets.features.snapshots import Snapshot, read, require_features
from assets.methods.ranking import Array
from assets.methods.split import Window, month_windows
from assets.promotion import adapted_uncertainty, current_artifacts
from assets.promotion.ledger_state import Entry
from assets.serving.answer_columns import answer_columns
from assets.spec import ProductSpec
from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.publishing import publishing
from bentos.runtime import Model
from bentos.uncertainty import ADAPTED

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ALL = "all"
"""The name of the predictions of all rows of a snapshot."""
PIECE = 65_536
"""How many rows are scored at a time."""


@dataclass(frozen=True)
class Predictions:
    """A table of predictions: where it lies, its digest, its rows, and whether it was there already."""

    path: Path
    digest: str
    rows: int
    kept: bool = False

    @property
    def figures(self) -> dict[str, bool]:
        """What the UI shows besides."""
        return {"kept": self.kept}


@dataclass(frozen=True)
class Scorer:
    """The champion, asked about the rows of a snapshot.

    Parameters
    ----------
    home, spec, snapshot
        Where to write, what to score, and the rows.
    champion : Entry
        The ledger's entry by which the version serves; its model is verified before it is loaded.
    scored_at : datetime
        The time of scoring (UTC), written beside each row.
    """

    home: Home
    spec: ProductSpec
    snapshot: Snapshot
    champion: Entry
    scored_at: datetime

    def test(self) -> Predictions:
        """Score every row of the test part, labelled or not.

        Raises
        ------
        DataError
            If the part holds no rows.
        """
        spec = self.spec
        mask, window = part_of(spec, self.snapshot, "test")
        if not mask.any():
            raise DataError(f"{spec.name}: the test part holds no rows to score. Land more rows, or change split.")
        name = "test" if window is None else f"{window.start:%Y-%m-%d}_{window.end:%Y-%m-%d}"
        done = self._write(self.home.predictions / spec.name / f"{name}.parquet", mask)
        more = {"rows": done.rows, "snapshot_digest": self.snapshot.digest}
        current_artifacts.name(self.home, done.path, done.digest, self.champion, **more)
        return done

    def batch(self, month: str | None = None) -> Predictions:
        """Score the rows of one month, in the product's time zone, or all rows.

        What the same version said of the same rows is kept as it is; what another said is replaced whole.

        Parameters
        ----------
        month : str, optional
            ``2013-11``; left out, all rows are scored.

        Raises
        ------
        DataError
            If rows have no moment to tell their month by, or none is in it.
        """
        path = batch_folder(self.home, self.spec.name, self.snapshot.digest) / f"{month or ALL}.parquet"
        if kept := self._already(path):
            return kept
        mask = np.ones(self.snapshot.rows, dtype=bool) if month is None else self._in_month(month)
        if not mask.any():
            raise DataError(
                f"{self.spec.name}: {month or 'the snapshot'} holds no rows to score. Land them first: `loopline run`."
            )
        return self._write(path, mask)

    def between(self, start: datetime, end: datetime) -> pd.DataFrame | None:
        """Score the rows of a stretch of time; None where there are none.

        Parameters
        ----------
        start, end : datetime
            Its first moment and the first after it (UTC, without a zone).

        Returns
        -------
        DataFrame of shape (n_rows, n_columns)
            The table that is written for them.
        """
        import pyarrow.parquet as pq

        moment = str(self.spec.features.event_time)
        mask = Window(start, end).holds(read(self.snapshot, [moment])[moment]).to_numpy()
        if not mask.any():
            return None
        name = f"{start:%Y%m%dT%H%M}_{end:%Y%m%dT%H%M}-{self.champion.model_digest[:12]}.parquet"
        found: pd.DataFrame = pq.read_table(self._write(self.home.predictions / self.spec.name / name, mask).path).to_pandas()
        return found

    @cached_property
    def stamps(self) -> dict[str, str]:
        """By what the answers are given: the version, and the record that followed the labels, if there is one."""
        adapted = adapted_uncertainty.digest_of(self.home, self.spec.name, self.champion.model_digest)
        return {
            "model_version": str(self.champion.version),
            "model_digest": self.champion.model_digest,
            ADAPTED: adapted or "",
        }

    def _in_month(self, month: str) -> np.ndarray[Any, Any]:
        moment = self.spec.features.event_time
        if moment is None:
            raise DataError(f"{self.spec.name}: rows have no moment, so no month. Name features.event_time, or score all rows.")
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
            raise DataError(f"'{month}' is no month. Write it as 2013-11.")
        window = month_windows(month, 0, 0, 1, self.spec.features.time_zone).test
        inside: np.ndarray[Any, Any] = window.holds(read(self.snapshot, [moment])[moment]).to_numpy()
        return inside

    def _already(self, path: Path) -> Predictions | None:
        """The predictions that lie there, if this version made them."""
        import pyarrow.parquet as pq

        if not path.exists():
            return None
        made = pq.read_metadata(path)
        told = made.metadata or {}
        by = {name.decode(): value.decode() for name, value in told.items() if name.decode() in self.stamps}
        if by != self.stamps:
            return None
        return Predictions(path, file_digest(path), made.num_rows, kept=True)

    def _write(self, path: Path, mask: np.ndarray[Any, Any]) -> Predictions:
        import pyarrow as pa
        import pyarrow.parquet as pq

        digest = self.champion.model_digest
        model = Model.load(self.home.models / self.spec.name / digest, digest, threads=os.cpu_count() or 1)
        model = adapted_uncertainty.adapted(self.home, self.spec.name, model)
        require_features(self.spec.name, self.snapshot, model.signature["features"])
        columns = dict.fromkeys((self.spec.features.entity, *self.spec.moments, *model.signature["features"]))
        rows = start = 0
        with publishing(path) as temporary:
            writer = None
            for piece in pq.ParquetFile(self.snapshot.path).iter_batches(PIECE, columns=list(columns)):
                chosen = pa.table(piece).filter(pa.array(mask[start : start + len(piece)]))
                start += len(piece)
                if len(chosen):
                    scored = self._scored(model, chosen)
                    writer = writer or pq.ParquetWriter(temporary, scored.schema, compression="zstd")
                    writer.write_table(scored)
                    rows += len(chosen)
            if writer is not None:
                writer.close()
        return Predictions(path, file_digest(path), rows)

    def _scored(self, model: Model, rows: pa.Table) -> pa.Table:
        """A piece's keys and moments, the answers, and by whom and when they were given."""
        import pyarrow as pa

        count = len(rows)
        table = pa.table(
            {
                **keyed_answers(self.spec, model, rows),
                "model_version": pa.array([self.champion.version] * count, pa.int32()),
                "model_digest": pa.array([self.champion.model_digest] * count).dictionary_encode(),
                "snapshot_digest": pa.array([self.snapshot.digest] * count).dictionary_encode(),
                "scored_at_utc": pa.array([self.scored_at.replace(tzinfo=None)] * count, pa.timestamp("us")),
            }
        )
        return table.replace_schema_metadata(self.stamps)


def keyed_answers(spec: ProductSpec, model: Model, rows: pa.Table) -> dict[str, Any]:
    """The keys and moments of rows, as text and as they are, and what a model says of them, by column."""
    import pyarrow as pa

    columns = {name: rows[name].to_numpy() for name in model.signature["features"]}
    return {
        spec.features.entity: rows[spec.features.entity].cast(pa.string()),
        **{name: rows[name].cast(pa.timestamp("us")) for name in spec.moments},
        **answer_columns(model, model.predict(columns), columns),
    }


def outputs_in(predictions: pd.DataFrame, model: Model) -> Array:
    """The outputs that a table of predictions holds, of shape (n_rows,) or (n_rows, n_classes)."""
    if model.kind == "multiclass":
        return np.asarray(predictions[[f"probability_{name}" for name in model.signature["classes"]]], dtype=np.float64)
    return np.asarray(predictions["probability" if model.kind == "binary" else "prediction"], dtype=np.float64)


def look_up(home: Home, product: str, snapshot_digest: str, entity: str, key: str) -> list[dict[str, Any]]:
    """What batch predictions say of one key, a record for each model that was asked; empty if it was not scored.

    Parameters
    ----------
    home, product, snapshot_digest
        Whose predictions, of which snapshot.
    entity : str
        The column of keys.
    key : str
        The key looked for. Only the row groups whose range holds it are read.
    """
    import pyarrow.parquet as pq

    files = batch_folder(home, product, snapshot_digest).glob("*.parquet")
    rows = [row for file in files for row in pq.read_table(file, filters=[(entity, "==", key)]).to_pylist()]
    # a month and the whole snapshot may both hold it: what was said last stands
    return list({row["model_digest"]: row for row in sorted(rows, key=lambda row: row["scored_at_utc"])}.values())


def batch_folder(home: Home, product: str, snapshot_digest: str) -> Path:
    """Where the batch predictions of a snapshot lie: a file for each month, or one of all rows."""
    return home.predictions / product / snapshot_digest[:16]

"""Batch records: what a stream's folder holds, and which of it counts.

Each batch of rows becomes folders of Parquet, written beside and renamed into place; then one small record is published that
names them. A batch whose record is there is done; folders without one are of a process that was killed, and go. So each row
counts once, whenever the process is killed.

::

    stream.json          whose rows they are
    checkpoint/          what Spark knows of files that were read
    batches/N.json       the record of batch N: rows, reasons, watermark, model
    good/batch=N/        good rows, with the columns of a landed file
    quarantine/batch=N/  bad rows as they came, each with every reason
    predictions/batch=N/ what the champion says of good rows
    keys/batch=N/        the keys that were seen first in this batch
    labelled/batch=N/    predictions of this batch whose outcomes were known already
    outcomes/            the outcomes, laid out like all of this; `labelled` holds the predictions that were made before
    metrics.prom         the figures, in Prometheus's text format
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.errors import EngineError
from assets.storage.publishing import read_json, write_json

GOOD, BAD, PREDICTIONS, KEYS, LABELLED = "good", "quarantine", "predictions", "keys", "labelled"
KINDS = (GOOD, BAD, PREDICTIONS, KEYS, LABELLED)
BESIDE = ("stream.lock", "spark.log")
CHECKPOINT, DECLARED, RECORDS, DRAFTS = "checkpoint", "stream.json", "batches", "drafts"


@dataclass(frozen=True)
class StreamFolder:
    """The folder that a stream writes to.

    Parameters
    ----------
    root : Path
        The folder.
    """

    root: Path

    def begin(self, declared: Mapping[str, Any]) -> None:
        """Make the folder ready, or refuse it.

        Raises
        ------
        EngineError
            If it holds other things, another stream's rows, or rows without Spark's checkpoint.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        told = self.root / DECLARED
        if not told.exists():
            if strange := sorted(path.name for path in self.root.iterdir() if path.name not in BESIDE):
                raise EngineError(f"{self.root} holds {strange[0]}, which no stream wrote. Give an empty folder, or a new one.")
            write_json(told, dict(declared))
        if (found := read_json(told)) != json.loads(json.dumps(dict(declared))):
            differs = sorted(name for name in {*found, *declared} if found.get(name) != declared.get(name))
            raise EngineError(
                f"{self.root} holds rows of another stream: {', '.join(differs)} was declared otherwise. Give another folder."
            )
        if self.batches() and not (self.root / CHECKPOINT).exists():
            raise EngineError(
                f"{self.root} holds batches, but its 'checkpoint' is gone: what was read would be read again. Restore it, or "
                "give another folder."
            )
        shutil.rmtree(self.root / DRAFTS, ignore_errors=True)
        for kind in KINDS:
            for folder in (self.root / kind).glob("batch=*"):
                if not self.is_done(int(folder.name.removeprefix("batch="))):
                    shutil.rmtree(folder)

    def is_done(self, batch: int) -> bool:
        """Whether a batch's record is there."""
        return self._record(batch).exists()

    def records(self) -> list[dict[str, Any]]:
        """The records of all batches, in their order."""
        return [self.record(batch) for batch in self.batches()]

    def batches(self) -> list[int]:
        """The batches that are done."""
        return sorted(int(path.stem) for path in (self.root / RECORDS).glob("*.json"))

    def record(self, batch: int) -> dict[str, Any]:
        """A batch's record."""
        found: dict[str, Any] = read_json(self._record(batch))
        return found

    def last(self) -> dict[str, Any] | None:
        """The record of the last batch, if there is one."""
        done = self.batches()
        return self.record(done[-1]) if done else None

    def draft(self, batch: int) -> Path:
        """An empty folder in which a batch is written."""
        folder = self.root / DRAFTS / str(batch)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def publish(self, batch: int, draft: Path, record: Mapping[str, Any]) -> None:
        """Move what was written of a batch into place, then publish its record."""
        parts = [kind for kind in KINDS if (draft / kind).exists()]
        for kind in parts:
            place = self._folder(kind, batch)
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(exist_ok=True)
            (draft / kind).replace(place)
        write_json(self._record(batch), {**record, "batch": batch, "parts": parts})
        shutil.rmtree(draft, ignore_errors=True)

    def folders(self, kind: str, records: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
        """The folders of one kind of rows, of all batches that are done or of those of these records."""
        return [
            str(self._folder(kind, record["batch"]))
            for record in (self.records() if records is None else records)
            if kind in record["parts"]
        ]

    def _folder(self, kind: str, batch: int) -> Path:
        return self.root / kind / f"batch={batch}"

    def _record(self, batch: int) -> Path:
        return self.root / RECORDS / f"{batch}.json"

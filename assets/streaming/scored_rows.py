"""Scored rows: good rows of a stream and what the champion says of them, as Arrow batches.

The graph runs in onnxruntime inside a worker of Spark, by the same code as in the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.ingestion.csv_dialect import distinct_names
from assets.serving.answer_columns import answer_columns
from assets.streaming.judged_files import SPARK_TYPES, quoted
from bentos.runtime import Model
from bentos.uncertainty import ADAPTED

if TYPE_CHECKING:
    import pyarrow as pa

STAMPS = ("model_version", "model_digest", "source_file", "source_row")
"""What stands beside each answer: the model, and the row's place."""


@cache
def model_in(folder: str, digest: str, adapted: str | None = None) -> Model:
    """The model of a folder, loaded once a process; with the thresholds of the record beside it that has this digest."""
    return Model.load(Path(folder), digest).adapted_beside(Path(folder).parent, {ADAPTED: adapted})


@dataclass(frozen=True)
class RowScorer:
    """Scores rows by one version of a model.

    Parameters
    ----------
    folder, digest, version
        The model's folder, its promised digest, and the version's number.
    kept : sequence of (str, str)
        The columns that are kept of a row, with their declared types: its entity and its moments.
    adapted : str, optional
        The digest of the record beside the model that followed the labels, if its service promises one.
    """

    folder: str
    digest: str
    version: int
    kept: tuple[tuple[str, str], ...]
    adapted: str | None = None

    @property
    def model(self) -> Model:
        """The model as it answers."""
        return model_in(self.folder, self.digest, self.adapted)

    @property
    def features(self) -> list[str]:
        """What the model is asked by."""
        return list(self.model.signature["features"])

    def schema(self) -> str:
        """The schema of predictions, in Spark's words."""
        spark = {"double": "double", "string": "string", "bool": "boolean", "int64": "bigint"}
        answers = self._answers(*self._no_outputs())
        types = [SPARK_TYPES[kind] for _, kind in self.kept] + [spark[str(column.type)] for column in answers.values()]
        types += ["int", "string", "string", "bigint"]
        return ", ".join(f"{quoted(name)}: {kind}" for name, kind in zip(self.names(answers), types, strict=True))

    def names(self, answers: dict[str, Any]) -> list[str]:
        """The columns of predictions: an entity or a moment that is named like one of the others gets a number."""
        own = [*answers, *STAMPS]
        names: list[str] = distinct_names([*own, *(name for name, _ in self.kept)])
        return [*names[len(own) :], *own]

    def score(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The predictions of rows.

        Parameters
        ----------
        batches : iterator of RecordBatch
            The file, the row's number, the columns that are kept, and then the model's features, in their order.
        """
        import pyarrow as pa

        model = self.model
        begin = 2 + len(self.kept)
        for batch in batches:
            if not len(batch):
                continue
            given = dict(zip(model.signature["features"], batch.columns[begin:], strict=True))
            columns = {name: column.to_numpy(zero_copy_only=False) for name, column in as_features(model, given).items()}
            answers = self._answers(model, model.predict(columns), columns)
            stamps = [
                pa.array([self.version] * len(batch), pa.int32()),
                pa.array([self.digest] * len(batch), pa.string()),
                batch.columns[0],
                batch.columns[1],
            ]
            yield pa.RecordBatch.from_arrays([*batch.columns[2:begin], *answers.values(), *stamps], self.names(answers))

    def _answers(self, model: Model, outputs: Any, columns: dict[str, Any]) -> dict[str, Any]:
        return dict(answer_columns(model, outputs, columns))

    def _no_outputs(self) -> tuple[Model, Any, dict[str, Any]]:
        import numpy as np

        model = self.model
        shape: Sequence[int] = (0, len(model.signature["classes"])) if model.kind == "multiclass" else (0,)
        return model, np.zeros(shape), dict.fromkeys(model.signature["features"], ())


def as_features(model: Model, given: dict[str, Any]) -> dict[str, Any]:
    """Typed columns as the model was trained on them: categories as text, as the publication of a snapshot casts them."""
    import pyarrow as pa

    texts = [name for name in model.inputs[0] if not pa.types.is_string(given[name].type)]
    if not texts:
        return given
    import duckdb

    from assets.storage.sql import identifier

    with duckdb.connect() as connection:
        connection.register("given", pa.table({name: given[name] for name in texts}))
        listed = ", ".join(f"{identifier(name)}::varchar as {identifier(name)}" for name in texts)
        cast = connection.sql(f"select {listed} from given").to_arrow_table()
    return {**given, **{name: cast[name].combine_chunks() for name in texts}}

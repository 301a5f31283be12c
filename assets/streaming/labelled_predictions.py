"""Labelled predictions: what the champion says of a batch, and what became of it, however late that is told.

A prediction and its outcome are joined when the later of the two arrives: batches of rows and of outcomes take turns, so each
pair is met once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.streaming.batch_records import GOOD, LABELLED, PREDICTIONS, StreamFolder
from assets.streaming.judged_files import FILE, NUMBER, ROW, quoted
from assets.streaming.scored_rows import RowScorer
from assets.streaming.served_model import ServedModel

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

OUTCOMES = "outcomes"


@dataclass(frozen=True)
class LabelledPredictions:
    """Predictions of a stream, and their outcomes.

    Parameters
    ----------
    session : SparkSession
        Spark.
    out : StreamFolder
        The stream's folder.
    kept : sequence of (str, str)
        The columns that a prediction has beside the answers, with their types.
    entity : str, optional
        The column by which outcomes are told.
    """

    session: SparkSession
    out: StreamFolder
    kept: tuple[tuple[str, str], ...]
    entity: str | None

    @property
    def outcomes(self) -> StreamFolder:
        """The folder of outcomes."""
        return StreamFolder(self.out.root / OUTCOMES)

    def predict(self, model: ServedModel, rows: DataFrame, draft: Path) -> tuple[dict[str, Any], dict[str, float]]:
        """Score a batch's good rows, and join the outcomes that are known already."""
        scorer = RowScorer(str(model.folder), model.digest, model.version, self.kept, model.adapted)
        own = [f"{ROW}.{quoted(name)}" for name, _ in self.kept]
        features = [f"{ROW}.{quoted(name)}" for name in scorer.features]
        named = [f"{column} as c{place}" for place, column in enumerate([FILE, NUMBER, *own, *features])]
        rows.selectExpr(*named).mapInArrow(scorer.score, scorer.schema()).write.parquet(str(draft / PREDICTIONS))
        predictions = self.session.read.parquet(str(draft / PREDICTIONS))
        figures: dict[str, float] = {"predictions": predictions.count()}
        if self.entity is not None and (known := self.outcomes.folders(GOOD)):
            figures |= self._join(predictions, self.session.read.parquet(*known), draft)
        return {"model_version": model.version, "model_digest": model.digest}, figures

    def label(self, outcomes: DataFrame, draft: Path) -> tuple[None, dict[str, float]]:
        """Join a batch's outcomes with the predictions that were made."""
        made = self.out.folders(PREDICTIONS)
        if not made:
            return None, {}
        told = outcomes.selectExpr(f"{ROW}.entity", f"{ROW}.outcome", f"{ROW}.observed_at")
        return None, self._join(self.session.read.parquet(*made), told, draft)

    def _join(self, predictions: DataFrame, outcomes: DataFrame, draft: Path) -> dict[str, float]:
        from pyspark.sql import functions as sql

        told = outcomes.select(
            sql.col("entity").alias("outcome:entity"),
            sql.col("outcome").alias("outcome"),
            sql.col("observed_at").alias("observed_at"),
        )
        keyed = predictions[quoted(str(self.entity))].cast("string") == told["`outcome:entity`"]
        joined = predictions.join(told, keyed).drop("outcome:entity")
        joined.write.parquet(str(draft / LABELLED))
        labelled = self.session.read.parquet(str(draft / LABELLED))
        ((rows, error),) = labelled.select(sql.count("*"), sql.sum(_error(labelled))).collect()
        return {"labelled": rows, "label_error": float(error or 0)}


def _error(labelled: DataFrame) -> Column:
    """What a prediction was wrong by: 1 for a wrong decision, or how far a value was off."""
    from pyspark.sql import functions as sql

    said = next(name for name in ("is_positive", "predicted_class", "prediction") if name in labelled.columns)
    if said == "prediction":
        return sql.abs(sql.col("outcome") - sql.col(said))
    return (sql.col("outcome") != sql.col(said)).cast("int")

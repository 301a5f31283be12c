"""Checked stream: a folder's new files as batches of judged rows, each published exactly once.

Spark finds the files, remembers which were read, and judges them in its workers. What needs more than one file is decided here:
whether a key came before, and whether a row comes too late. Both go by what earlier batches recorded, so a batch that is done
again gives the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.ingestion import file_formats, packed_files
from assets.ingestion.csv_dialect import distinct_names
from assets.ingestion.landed_tables import QUARANTINE, names_in_quarantine
from assets.spec import TableSpec
from assets.spec.source import SOURCE_ROW
from assets.streaming.batch_records import BAD, CHECKPOINT, GOOD, KEYS, StreamFolder
from assets.streaming.judged_files import (
    AGAINST,
    ARRIVED,
    EVENT,
    FILE,
    GIVEN,
    KEY,
    NUMBER,
    ROW,
    TEXT,
    FileJudge,
    quoted,
    schema_of,
)  # fmt: skip
from assets.streaming.window_counts import ALL, ANY_BAD, counted, summed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TWICE, LATE = "duplicate of an earlier row", "later than the watermark"
LISTED = "path string, modificationTime timestamp, length bigint, content binary"
"""What Spark tells of a file; its content is left where it is, and read by a worker."""
FOREVER = "36500d"
"""Spark leaves out files that are a week older than the newest, unless it is told otherwise."""


@dataclass(frozen=True)
class CheckedStream:
    """A stream of files under a table's rules.

    Parameters
    ----------
    session : SparkSession
        Spark.
    judge : FileJudge
        Judges the rows of a file.
    folder : Path
        Where files arrive.
    out : StreamFolder
        Where to write.
    window_seconds, files : int
        The length of a window, and how many files a batch may have.
    delay : timedelta, optional
        How much earlier than the latest moment of earlier batches a row's may be; left out, none is too late.
    more : callable, optional
        Writes more of a batch's good rows to its draft folder, and says by what, and figures that are
        added up over all batches.
    """

    session: SparkSession
    judge: FileJudge
    folder: Path
    out: StreamFolder
    window_seconds: int
    files: int
    delay: timedelta | None = None
    more: Callable[[DataFrame, Path], tuple[Any, dict[str, float]]] = lambda _rows, _draft: (None, {})

    def run(self, done: Callable[[dict[str, Any]], None]) -> None:
        """Read all that is there and was not read yet; `done` is told each batch's record."""

        def batch_of(frame: DataFrame, batch: int) -> None:
            if not self.out.is_done(batch):
                done(self._batch(frame, batch))

        rows = self.session.readStream.format("binaryFile").schema(LISTED).option("pathGlobFilter", known_names())
        rows = rows.option("maxFilesPerTrigger", self.files).option("maxFileAge", FOREVER).load(str(self.folder))
        listed = rows.selectExpr("path", f"modificationTime as {ARRIVED}")
        judged = listed.mapInArrow(self.judge.judge, schema_of(self.judge.table))
        query = (
            judged.writeStream.foreachBatch(batch_of)
            .option("checkpointLocation", str(self.out.root / CHECKPOINT))
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()

    def _batch(self, frame: DataFrame, batch: int) -> dict[str, Any]:
        before, draft = self.out.last(), self.out.draft(batch)
        watermark = self._watermark(before)
        try:
            marked = self._marked(frame.persist(), watermark, draft)
            record = counted(marked, before, self.window_seconds)
            latest = [moment for moment in (record["latest_event"], (before or {}).get("latest_event")) if moment is not None]
            record |= {"latest_event": max(latest, default=None), "watermark": watermark and watermark.isoformat()}
            rows, bad = (record["batch_counts"].get(name, 0) for name in (ALL, ANY_BAD))
            figures: dict[str, Any] = {}
            if rows > bad:
                good = marked.where(f"size({AGAINST}) = 0")
                good.selectExpr(*_landed(self.judge.table)).write.parquet(str(draft / GOOD))
                record["by"], figures = self.more(good, draft)
            record["figures"] = summed((before or {}).get("figures", {}), figures)
            if bad:
                _quarantined(marked, self.judge.table).write.parquet(str(draft / BAD))
            self.out.publish(batch, draft, record)
        finally:
            self.session.catalog.clearCache()
        return self.out.record(batch)

    def _watermark(self, before: dict[str, Any] | None) -> datetime | None:
        """The moment before which rows come too late."""
        if before is None or self.delay is None or before["latest_event"] is None:
            return None
        return datetime.fromisoformat(before["latest_event"]) - self.delay

    def _marked(self, judged: DataFrame, watermark: datetime | None, draft: Path) -> DataFrame:
        """Rows with the reasons that other rows give; the keys that are new are written beside."""
        from pyspark.sql import functions as sql

        late = sql.lit(False)  # noqa: FBT003 - a column of it
        if watermark is not None:
            late = sql.coalesce(sql.col(EVENT) < sql.lit(watermark), sql.lit(False))  # noqa: FBT003
        twice = sql.lit(False)  # noqa: FBT003
        if self.judge.table.key:
            place = sql.struct(ARRIVED, FILE, NUMBER)
            firsts = judged.where(f"{KEY} is not null").groupBy(KEY)
            firsts = firsts.agg(sql.min(place).alias("first"), sql.count("*").alias("times"), sql.max(EVENT).alias(EVENT))
            earlier = self._earlier_keys(watermark)
            if earlier is not None:
                firsts = firsts.join(earlier.withColumn("seen", sql.lit(True)), KEY, "left").persist()  # noqa: FBT003
            else:
                firsts = firsts.withColumn("seen", sql.lit(None).cast("boolean")).persist()
            firsts.where("seen is null").select(KEY, EVENT).write.parquet(str(draft / KEYS))
            repeated = firsts.where("seen or times > 1").selectExpr(KEY, "case when seen is null then first end as first")
            judged = judged.join(repeated.withColumn("repeats", sql.lit(True)), KEY, "left")  # noqa: FBT003
            twice = sql.coalesce(sql.col("repeats") & (sql.col("first").isNull() | (place > sql.col("first"))), sql.lit(False))  # noqa: FBT003
        found = sql.col(AGAINST)
        found = sql.when(twice, sql.array_union(found, sql.array(sql.lit(TWICE)))).otherwise(found)
        found = sql.when(late, sql.concat(found, sql.array(sql.lit(LATE)))).otherwise(found)
        return judged.withColumn(AGAINST, found)

    def _earlier_keys(self, watermark: datetime | None) -> DataFrame | None:
        """The keys of earlier batches that a row may repeat: those of rows before the watermark are forgotten."""
        kept = [
            record
            for record in self.out.records()
            if watermark is None
            or record["latest_event"] is None
            or datetime.fromisoformat(record["latest_event"]) >= watermark
        ]
        folders = self.out.folders(KEYS, kept)
        if not folders:
            return None
        found = self.session.read.schema(f"{KEY} string, {EVENT} timestamp_ntz").parquet(*folders)
        if watermark is None:
            return found.select(KEY)
        from pyspark.sql import functions as sql

        # without a moment of its own a key is kept as long as its batch
        return found.where(sql.col(EVENT).isNull() | (sql.col(EVENT) >= sql.lit(watermark))).select(KEY)


def known_names() -> str:
    """The names of files that are read, as Hadoop's pattern: those of a known format, packed or not."""
    known = sorted({suffix for item in file_formats.FILE_FORMATS.values() for suffix in item.suffixes})
    packed = [f"{suffix}{outer}" for suffix in known for outer in packed_files.SUFFIXES]
    endings = [*known, *packed, ".zip"]
    return f"*{{{','.join([*endings, *(ending.upper() for ending in endings)])}}}"


def _landed(table: TableSpec) -> list[str]:
    """The columns of a landed file."""
    return [f"{NUMBER} as {SOURCE_ROW}" if name == SOURCE_ROW else f"{ROW}.{quoted(name)}" for name in table.landed_columns]


def _quarantined(marked: DataFrame, table: TableSpec) -> DataFrame:
    """Bad rows as the landing keeps them, with the file that each came in."""
    names = names_in_quarantine(table.names)
    file = distinct_names([*QUARANTINE, *names, "source_file"])[-1]
    given = ", ".join(f"{quoted(name)}: string" for name in names)
    from pyspark.sql import functions as sql

    rows = marked.where(f"size({AGAINST}) > 0").withColumn(GIVEN, sql.from_json(sql.col(GIVEN), f"struct<{given}>"))
    return rows.selectExpr(
        f"{FILE} as {quoted(file)}", f"{NUMBER} as source_row", AGAINST, *(f"{GIVEN}.{quoted(name)}" for name in names),
        f"{TEXT} as raw_line",
    )  # fmt: skip

"""The program that runs a stream in Spark's environment: ``python -m assets.streaming.spark_job``, its job on standard input.

It tells one JSON object a line: a batch, an error, or the end. It ends when its standard input does, so that it never outlives
who started it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from assets.errors import LooplineError
from assets.ingestion.forgotten import Forgotten
from assets.processes.spark_session import session
from assets.processes.told_lines import end_with_starter, tell
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.streaming import stream_metrics
from assets.streaming.batch_records import StreamFolder
from assets.streaming.checked_stream import CheckedStream
from assets.streaming.judged_files import FileJudge
from assets.streaming.labelled_predictions import LabelledPredictions
from assets.streaming.served_model import followed
from assets.streaming.stream_job import StreamJob

EVERY_SECONDS = 1.0


def main() -> None:
    """Read the job, and run it."""
    job = StreamJob.read(sys.stdin.readline())
    end_with_starter()
    try:
        job.out.mkdir(parents=True, exist_ok=True)
        with exclusive(job.out / "stream.lock", on_wait=lambda process: tell(waiting=process)):
            run(job)
    except LooplineError as error:
        tell(error=str(error))
        sys.exit(1)


def run(job: StreamJob) -> None:
    """Read rows and outcomes in turns, until nothing is left or for ever."""
    out = StreamFolder(job.out)
    out.begin(job.declared())
    spark = session(f"loopline stream {job.name}")
    predictions = LabelledPredictions(spark, out, job.kept, job.entity)
    forgotten = Forgotten.of(Home(job.home), job.source, job.table, job.rows)
    delay = None if job.delay_seconds is None else timedelta(seconds=job.delay_seconds)
    judge = FileJudge(job.rows, job.tests, forgotten, job.event_time)
    outcomes: CheckedStream | None = None
    if job.outcomes is not None and job.outcome_rows is not None:
        judge_outcomes = FileJudge(job.outcome_rows, (), Forgotten({}, b""), None)
        predictions.outcomes.begin({"folder": str(job.outcomes)})
        outcomes = CheckedStream(
            spark, judge_outcomes, job.outcomes, predictions.outcomes, job.window_seconds, job.files, more=predictions.label
        )
    while True:
        model = None if job.pointer is None else followed(job.pointer)
        if job.pointer is not None and model is None:
            tell(note=f"{job.name}: no version may be served, so rows are checked and not scored")
        more: dict[str, Any] = (
            {} if model is None else {"more": lambda rows, draft, by=model: predictions.predict(by, rows, draft)}
        )
        rows = CheckedStream(spark, judge, job.folder, out, job.window_seconds, job.files, delay, **more)
        told = publish(job, out, predictions)
        rows.run(told("rows"))
        if outcomes is not None:
            outcomes.run(told("outcomes"))
        if job.once:
            tell(done=out.last() or {})
            return
        time.sleep(EVERY_SECONDS)


def publish(
    job: StreamJob, out: StreamFolder, predictions: LabelledPredictions
) -> Callable[[str], Callable[[dict[str, Any]], None]]:
    """What is told of a batch of rows or of outcomes: a line, and the figures."""

    def told(which: str) -> Callable[[dict[str, Any]], None]:
        def tell_batch(record: dict[str, Any]) -> None:
            tell(batch={**record, "of": which})
            last = out.last()
            if last is not None:
                found = stream_metrics.registry_of(job.name, last, predictions.outcomes.last(), job.window_seconds)
                stream_metrics.write(found, job.out)
                if job.gateway is not None and (problem := stream_metrics.push(found, job.gateway, job.name)):
                    tell(note=problem)

        return tell_batch

    return told


if __name__ == "__main__":
    main()

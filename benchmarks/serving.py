"""How fast what is made answers, and write docs/serving.md: ``make bench-serving``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from assets.storage.home import REPOSITORY
from benchmarks import batch, batch_parts, batches, breaker_cost, closed_service, load, precision, service
from benchmarks.measuring import machine, measure, table

PAGE = """# How fast it answers

Measured by `make bench-serving`, which writes this page; each ratio is of one run on one machine, its sides in turn.
Machine: {machine}. A load of ten minutes, and too much of it: [soak.md](soak.md).

## The service

{service}

## One row under load

Each server alone with one worker, asked by wrk over {connections} connections that are always busy; the medians of {rounds}
alternating rounds. All but the bare server answer from the same model; only ours checks ranges, counts and logs each request.

{load}

## Closed

One row a request as above, over a key that is checked, with each answer in the prediction log, and under TLS.

{closed}

## Batches of {batch_rows:,} rows

One service that takes both; each batch is checked, answered and encoded again.

{batches}

Its parts, by `python -m benchmarks.batch_parts`: milliseconds of processor time for one batch, without HTTP. The last row
is the most that any encoding could gain: a batch that takes nothing but the model's time.

{batch_parts}

## With a circuit breaker

The champion's service with a [breaker](incidents.md#circuit-breaker) and without one, by `python -m benchmarks.breaker_cost`:
both in one process, asked by wrk in alternating bursts, without a log of requests.

{breaker_cost}

## Double precision

The served graph of a fitted pipeline, beside skl2onnx's of the same pipeline, which computes in single precision: the time of
`Model.predict`, in one thread, in turn.

{precision}

## Ten million rows

From Parquet to Parquet: the real snapshot, repeated. scikit-learn writes probabilities only; the others write what batch
predictions have: moments, decisions, version and digest too.

{batch}
"""
HEADER = ("figure", "measured", "goal")


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as scratch:
        if "LOOPLINE_HOME" not in os.environ:
            os.environ["LOOPLINE_HOME"] = str(Path(scratch) / "home")
            measure(["-m", "orchestration", "run", load.PRODUCT], Path(scratch) / "home")
        page = PAGE.format(
            machine=machine(),
            service=table(HEADER, service.rows()),
            connections=load.CONNECTIONS,
            rounds=load.ROUNDS,
            load=table(HEADER, load.rows()),
            closed=table(HEADER, closed_service.rows()),
            batch_rows=batches.ROWS,
            batches=table(HEADER, batches.rows()),
            batch_parts=table(("part", "Arrow", "JSON"), batch_parts.rows()),
            breaker_cost=table(HEADER, breaker_cost.rows()),
            precision=table(HEADER, precision.rows()),
            batch=table(HEADER, batch.rows()),
        )
    (REPOSITORY / "docs" / "serving.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()

"""Measure everything and write docs/benchmarks.md: ``make bench``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from assets.storage.home import REPOSITORY
from benchmarks import judging, looking, loop, new_data, quality
from benchmarks.measuring import machine, measure, table

PAGE = """# Benchmarks

Measured by `make bench`, which writes this page; each ratio is of one run on one machine, its two sides in turn.
Machine: {machine}.

## What Dagster costs

The bare script (`benchmarks/bare_loop.py`) calls the same stage functions in the same order, each run in a fresh home.

{loop}

## Looking at a home

After one run of the repository's products; each command is a process of its own (`benchmarks/looking.py`).

{looking}

## A newcomer's data

Set-up aside. The file of {small} rows goes through `loopline new`, `loopline run` and `loopline report` in a clone of its own.

{new_data}

## What judging a model costs

One run of `loopline run` in a fresh home; the import of shap is in whichever product is explained first.

{judging}

How often the gate errs: [gate.md](gate.md).

How fast what is made answers: [serving.md](serving.md).

## What each group of features adds

Trained on January to August, tested on November and December, an hour before departure; 95 % intervals of {replicates}
bootstrap replicates that draw whole days. Random splits are not shown: they leak.

{quality}

A shuffled target must give about 0.5: what is above it would be a leak through the features' order. Structural leaks are
hunted by `tests/dbt/test_point_in_time.py`, which changes the future and looks for changes in the past.
"""


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["LOOPLINE_HOME"] = str(Path(scratch) / "home")
        measure(["-m", "orchestration", "run"], Path(scratch) / "home")
        page = PAGE.format(
            machine=machine(),
            replicates=500,
            small="10,000",
            looking=table(("figure", "measured", "goal"), looking.rows(Path(scratch) / "home")),
            judging=table(("stage", "measured", "goal"), judging.rows()),
            new_data=table(("figure", "measured", "goal"), new_data.rows()),
            quality=table(("features", "ROC AUC", "average precision"), quality.rows()),
            loop=table(("figure", "measured", "goal"), loop.rows()),
        )
    (REPOSITORY / "docs" / "benchmarks.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()

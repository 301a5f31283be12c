"""Streams: rows of a made-up shop arrive as files, and Spark judges and scores them.

One in a hundred is against a rule, and one in a hundred comes a second time; `loopline stream` holds them against contract and
keys, and asks the model. Rows a second are told by the wall clock, from the start of the program to its end, and by the
processor time of Spark, its workers and ours. For the kills the stream is read from many small files, and all of its processes
are ended at once (SIGKILL) at a random moment of one of their next three batches, again and again; then it is read to its
end, and what is there is counted: every row once, each second one refused, each good one scored once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import psutil

from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.storage.home import REPOSITORY, Home
from assets.streaming.stream_job import StreamJob, of_product
from benchmarks.engines.processes import sample
from benchmarks.faults.small_product import DECLARED, write_customers
from benchmarks.measured_page import section
from orchestration import resources
from orchestration.operations.engines import spark_engine

ROWS, FILES = 2_000_000, 40
KILLS, SMALL_ROWS, SMALL_FILES = 24, 60_000, 60


def rows() -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        home, spec = served(folder)
        return [*speed(home, spec, folder / "speed"), *kills(home, spec, folder / "kills")]


def served(folder: Path) -> tuple[Home, ProductSpec]:
    """A home in which a small product is served."""
    from orchestration.assembly import assemble
    from orchestration.components import ModelProduct
    from orchestration.dagster_resources import HomeResource
    from orchestration.staleness.run_loop import run

    spec = ProductSpec.model_validate({name: part for name, part in DECLARED.items() if name != "experiments"})
    declared = folder / "orchestration" / "defs" / spec.name
    declared.mkdir(parents=True)
    write_customers(folder)
    home = Home(folder / "home").prepare()
    with resources.instance(home) as instance:
        made = assemble(ModelProduct(spec, declared).build_defs(None), HomeResource(folder=str(home.root)))
        run(made, instance, home)
    return home, spec


def arriving(folder: Path, count: int, files: int) -> pd.DataFrame:
    """Write customers who arrive, each file's some seconds after the one before; all rows in their order."""
    folder.mkdir(parents=True)
    drawn = np.random.default_rng(1).random((count, 4))
    frame = pd.DataFrame(
        {
            "customer_id": [f"N{number:08d}" for number in range(count)],
            "signed_up_at": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(count), unit="s"),
            "age": (18 + 70 * drawn[:, 0]).astype(int),
            "plan": np.array(["free", "basic", "pro"])[np.searchsorted([0.5, 0.8], drawn[:, 1])],
            "visits": np.floor(10 * drawn[:, 2]),
            "churned": "no",
        }
    )
    frame.loc[drawn[:, 3] < 0.01, "age"] = 200
    again = np.flatnonzero(drawn[:, 3] > 0.99)
    frame.loc[again[again > 0], "customer_id"] = frame["customer_id"].to_numpy()[again[again > 0] // 2]
    for number, part in enumerate(np.array_split(np.arange(count), files)):
        place = folder / f"{number:04d}.csv"
        frame.iloc[part].to_csv(place, index=False)
        os.utime(place, (1.76e9 + number, 1.76e9 + number))
    return frame


def speed(home: Home, spec: ProductSpec, folder: Path) -> list[tuple[str, str, str]]:
    """Rows a second, with contract and scoring."""
    frame = arriving(folder / "in", ROWS, FILES)
    job = job_of(home, spec, folder, 8)
    began = time.perf_counter()
    seconds = ended(start(job))
    wall = time.perf_counter() - began
    told = exact(job, frame)
    what = f"rows judged and scored, {len(frame):,} in {FILES} files"
    return [
        (f"{what}: wall clock", f"{len(frame) / wall:,.0f} a second", "20,000"),
        ("the same by processor time, two cores", f"{2 * len(frame) / seconds:,.0f} a second ({seconds:.0f} s)", "20,000"),
        ("rows that are exact after it", told, "all"),
    ]


def kills(home: Home, spec: ProductSpec, folder: Path) -> list[tuple[str, str, str]]:
    """Exact counts after many deaths."""
    frame = arriving(folder / "in", SMALL_ROWS, SMALL_FILES)
    job, chance, died, moments = job_of(home, spec, folder, 1), np.random.default_rng(2), 0, []
    while died < KILLS:
        began, goal, program = time.time(), records(job) + int(chance.integers(0, 3)), start(job)
        wait(program, lambda began=began, goal=goal: records(job) >= goal and is_writing(job, began))  # type: ignore[misc]
        time.sleep(chance.uniform(0, 2))
        if program.poll() is not None:
            break
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        died += 1
        moments.append(records(job))
    before = records(job)
    ended(start(job))
    told = exact(job, frame)
    what = f"rows that are exact after them, {len(frame):,} in {SMALL_FILES} files, {before} batches before the last start"
    return [
        ("kills (SIGKILL of all processes) survived", f"{died}, at {len(set(moments))} different counts of batches", "20"),
        (what, told, "all"),
    ]


def job_of(home: Home, spec: ProductSpec, folder: Path, files: int) -> StreamJob:
    """The stream of a folder."""
    given: dict[str, Any] = {"folder": folder / "in", "out": folder / "out", "home": home.root, "files": files, "once": True}
    return of_product(spec, bento_package.pointer(home, spec.name), **given)


def start(job: StreamJob) -> subprocess.Popen[str]:
    """A program that runs the stream, in a group of processes of its own."""
    program = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.engines.stream"],
        cwd=REPOSITORY,
        # what is killed removes no folder of its own
        env={**os.environ, "TMPDIR": str(job.out.parent)},
        stdin=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    if program.stdin is not None:
        program.stdin.write(job.text())
        program.stdin.close()
    return program


def ended(program: subprocess.Popen[str]) -> float:
    """Wait for a program; the processor seconds of it and of all that it started."""
    seen: dict[int, float] = {}
    while program.poll() is None:
        with suppress(psutil.Error):
            sample(program.pid, seen)
        time.sleep(0.1)
    if program.returncode:
        raise RuntimeError(f"the stream ended by {program.returncode}")
    return sum(seen.values())


def wait(program: subprocess.Popen[str], is_time: Callable[[], bool]) -> None:
    """Wait until it is time, or the program ended."""
    while not is_time() and program.poll() is None:
        time.sleep(0.02)


def records(job: StreamJob) -> int:
    """The batches that are done."""
    return len(list((job.out / "batches").glob("*.json")))


def is_writing(job: StreamJob, began: float) -> bool:
    """Whether a batch was begun since a moment; what a killed program left is older."""
    with suppress(FileNotFoundError):  # a batch may be done meanwhile
        return any(path.stat().st_mtime > began for path in (job.out / "drafts").glob("*"))
    return True


def exact(job: StreamJob, frame: pd.DataFrame) -> str:
    """Whether every row is there once, as it should be."""
    with duckdb.connect() as connection:

        def count(kind: str, what: str = "count(*)") -> int:
            place = f"'{job.out}/{kind}/*/*.parquet'"
            found = connection.execute(f"select {what} from read_parquet({place}, hive_partitioning = false)").fetchone()
            return int(found[0]) if found else 0

        second = frame["customer_id"].duplicated()
        wrong = frame["age"] > 120
        expected = (int((~second & ~wrong).sum()), int((second | wrong).sum()), int(second.sum()))
        refused = count("quarantine", "count(*) filter (list_contains(reasons, 'duplicate of an earlier row'))")
        found = (count("good"), count("quarantine"), refused)
        scored = (count("predictions"), count("predictions", "count(distinct customer_id)"))
    if found != expected or scored != (expected[0], expected[0]):
        return f"NOT EXACT: good, quarantined, second {found} of {expected}; scored {scored}"
    return f"all: {found[0]:,} good and scored, {found[1]:,} quarantined, of them {found[2]:,} second ones"


def main() -> None:
    """Print the table of figures; without arguments, run the stream of standard input to its end."""
    if len(sys.argv) > 1:
        sys.stdout.write(section(sys.modules[__name__]) + "\n")
        return
    job = StreamJob.read(sys.stdin.read())
    environment = resources.spark_environment()
    for line in spark_engine.run(job, environment, spark_engine.require_spark(environment)):
        if "note" in line:
            sys.stderr.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()

"""The warehouse of `flight_delay` by DuckDB and by Spark, from the same landed files, and whether their rows are equal.

One copy is all real flights of 2013 with their weather. In each further copy airlines, airports and aeroplanes are others
(a number behind their codes), so a copy has histories of its own, and each row has as much to do as in the real data. Files
are Parquet, of ten copies each. dbt builds all relations without their tests: in DuckDB into its file (two threads, 4 GB,
beyond which it spills), in Spark into Parquet (a local session of two cores, 6 GB for Java). Wall and processor seconds are of
the whole program, with Spark's start. Then every relation is read back and compared row for row.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil

from assets.errors import EngineError
from assets.storage.home import REPOSITORY, Home
from assets.warehouse import dbt_build, parquet_relations
from assets.warehouse.spark_build import SparkBuild
from benchmarks.engines.processes import environment
from benchmarks.measuring import table
from orchestration import resources
from orchestration.declarations import warehouses
from orchestration.operations.engines import spark_engine

COPIES = (1, 10, 100)
FLIGHTS = 336_776
AT_A_TIME = 10
"""How many copies a file has."""
DUCKDB_MEMORY, SPARK_GB = "4GB", 6.0
CODES = {
    "flights": ("carrier", "tailnum", "origin", "dest"),
    "weather": ("origin",),
    "planes": ("tailnum",),
    "airports": ("faa",),
    "airlines": ("carrier",),
}
"""The tables, and their columns that differ from copy to copy."""


@dataclass(frozen=True)
class Program:
    """What a program took: wall and processor seconds, and the most memory of its processes."""

    seconds: float
    processor: float
    peak_mb: float

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.processor:.0f} s of the processor, {self.peak_mb / 1e3:.1f} GB"


def rows(sizes: Sequence[int] = COPIES) -> list[tuple[str, str, str]]:
    """Figure, measured, and the goal it is held to."""
    try:
        spark_engine.require_spark(resources.spark_environment())
    except EngineError as error:
        return [("Spark", f"skipped: {error}", "")]
    with tempfile.TemporaryDirectory() as folder:
        real = landed(Path(folder))
        return [row for copies in sizes for row in measured(Path(folder), real, copies)]


def landed(folder: Path) -> Home:
    """A home in which all real flights are landed."""
    home = Home(folder / "real").prepare()
    command = [sys.executable, "-m", "orchestration", "step", "flights"]
    subprocess.run(command, cwd=REPOSITORY, env=environment(home.root, REPOSITORY), check=True, stdout=subprocess.DEVNULL)
    return home


def measured(folder: Path, real: Home, copies: int) -> list[tuple[str, str, str]]:
    """Both engines at one size."""
    place = folder / str(copies)
    copied(real, place, copies)
    took = {engine: run(engine, place) for engine in ("duckdb", "spark")}
    told = json.loads((place / "done.json").read_text(encoding="utf-8"))
    found = list(parquet_relations.compared(Home(place / "home"), place / "out", told["relations"]))
    differing = "; ".join(str(item) for item in found if not item.is_equal)
    total = sum(item.rows for item in found)
    size = f"{copies * FLIGHTS:,} flights"
    shutil.rmtree(place)
    return [
        (f"{size}, DuckDB", str(took["duckdb"]), "both measured"),
        (f"{size}, Spark", str(took["spark"]), "both measured"),
        (f"{size}: rows that are equal", differing or f"all {total:,} of {len(found)} relations", "all"),
    ]


def copied(real: Home, place: Path, copies: int) -> None:
    """Write the landed tables so many times; the first copy has the real codes."""
    place.mkdir()
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'; set memory_limit = '4GB'")
        for name, codes in CODES.items():
            files = f"read_parquet('{real.landing}/flights/{name}/**/*.parquet', hive_partitioning = false)"
            connection.execute(f"create or replace table landed as from {files}")
            if name == "airports":  # a copy of these is in no seed
                connection.execute(
                    f"insert into landed by name select airport_code as faa, time_zone as tzone "
                    f"from read_csv('{REPOSITORY}/dbt_project/seeds/airport_time_zones.csv')"
                )
            other = ", ".join(f"{code} || case when n = 0 then '' else '~' || n end as {code}" for code in codes)
            for start in range(0, copies, AT_A_TIME):
                end = min(start + AT_A_TIME, copies)
                connection.execute(
                    f"copy (select landed.* replace ({other}) from landed, range({start}, {end}) as t(n)) "
                    f"to '{place}/{name}-{start:04d}.parquet'"
                )


def run(engine: str, place: Path) -> Program:
    """Build by one engine in a program of its own, and watch its processes."""
    variables = environment(place / "home", REPOSITORY) | {"LOOPLINE_WAREHOUSE_MEMORY": DUCKDB_MEMORY}
    began, seen, peak = time.monotonic(), dict[int, float](), 0.0
    program = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.engines.spark_warehouse", engine, str(place)], cwd=REPOSITORY, env=variables
    )
    while program.poll() is None:
        time.sleep(1)  # reading what some gigabytes are takes a part of a second itself
        memory = 0.0
        try:
            for process in [own := psutil.Process(program.pid), *own.children(recursive=True)]:
                times = process.cpu_times()
                seen[process.pid] = times.user + times.system
                memory += process.memory_full_info().uss
        except psutil.Error:
            continue
        peak = max(peak, memory)
    if program.returncode:
        raise RuntimeError(f"the build by {engine} ended by {program.returncode}")
    return Program(time.monotonic() - began, sum(seen.values()), peak / 1e6)


def build(engine: str, place: Path) -> None:
    """Build all relations of the copied tables."""
    (house,) = warehouses()
    files = {table: sorted(place.glob(f"{table}-*.parquet")) for table in CODES}
    project = REPOSITORY / house.project
    if engine == "duckdb":
        given = {("flights", table): found for table, found in files.items()}
        done = dbt_build.build(Home(place / "home").prepare(), project, house.parameters, given, tests=False)
        if done.failed:
            raise RuntimeError(dbt_build.explain(done.failed))
        return
    (place / "out").mkdir()
    names = {f"flights.{table}": list(map(str, found)) for table, found in files.items()}
    job = SparkBuild(project, house.parameters, names, None, place / "out", SPARK_GB, tests=False)
    variables = resources.spark_environment()
    *_, last = spark_engine.lines(
        "assets.warehouse.spark_build",
        job.text(),
        place / "spark.log",
        environment=variables,
        python=spark_engine.require_spark(variables),
        what="the build in Spark",
    )
    if failed := [node["message"] for node in last["done"]["nodes"] if not node["passed"]]:
        raise RuntimeError("; ".join(failed))
    (place / "done.json").write_text(json.dumps(last["done"]), encoding="utf-8")


def main() -> None:
    """Print the figures for so many copies, or all sizes; with an engine and a folder, build there."""
    if len(sys.argv) > 2 and not sys.argv[1].isdigit():
        build(sys.argv[1], Path(sys.argv[2]))
        return
    print(table(("figure", "measured", "asked"), rows([int(text) for text in sys.argv[1:]] or COPIES)))


if __name__ == "__main__":
    main()

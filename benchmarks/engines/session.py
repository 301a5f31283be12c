"""A Spark session on this machine: what its start and one small query take, before it does any work of ours.

Spark in local mode with two cores, in an environment of its own; the shortest of three.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from assets.storage.home import REPOSITORY
from benchmarks.engines.costs import Overhead, keep_overheads
from benchmarks.engines.processes import ended, environment
from orchestration.operations.engines.spark_engine import PYTHON

TIMES = 3
PROGRAM = """
from pyspark.sql import SparkSession
session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
assert session.range(1000).selectExpr("sum(id)").collect()[0][0] == 499500
session.stop()
"""


def rows() -> list[tuple[str, str, str]]:
    """Each figure with what was measured and what is asked."""
    if not PYTHON.exists():
        return [("Spark", "skipped, as it is not set up: make spark", "")]
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(Path(folder) / "home", REPOSITORY) | {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": str(PYTHON),
        }
        variables.pop("PYTHONPATH")
        found = [ended([str(PYTHON), "-c", PROGRAM], Path(folder), variables) for _ in range(TIMES)]
    least = min(found, key=lambda item: item.processor)
    keep_overheads({"spark": Overhead(0.0, 0.0, least.peak_mb, least.processor)})
    told = f"{least.seconds:.1f} s, {least.processor:.1f} s of the processor, {least.peak_mb:.0f} MB"
    return [("a session, one query", told, "")]

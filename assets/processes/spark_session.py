"""Spark's session: on this machine, on the loopback, in UTC, and quiet."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session(name: str, **settings: str) -> SparkSession:
    """The session of this process.

    Parameters
    ----------
    name : str
        What Spark calls the program.
    **settings
        More of Spark's settings, and others than these, by their names.
    """
    from pyspark.sql import SparkSession

    cores = str(len(os.sched_getaffinity(0)))
    chosen = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        # most of the work is the workers': compiling Spark's own code further costs more than it gives
        "spark.driver.extraJavaOptions": f'-XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Djava.io.tmpdir={tempfile.gettempdir()}"',
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        # names of columns are told apart by their case, as in the landed files
        "spark.sql.caseSensitive": "true",
        # a shuffle of a batch needs no more parts than there are cores
        "spark.sql.shuffle.partitions": cores,
        "spark.default.parallelism": cores,
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
        **settings,
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName(name)
    for key, value in chosen.items():
        builder = builder.config(key, value)
    found = builder.getOrCreate()
    found.sparkContext.setLogLevel("ERROR")
    return found

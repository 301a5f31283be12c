"""The warehouse in Spark: ``python -m assets.warehouse.spark_build``, its job on standard input, by dbt's target `spark`.

Runs in Spark's environment and knows no home: landed Parquet files go in, and a folder of Parquet files for each relation
comes out. It tells one JSON object a line: a step, an error, or what dbt did with each node and which relations there are.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.errors import LooplineError
from assets.processes.told_lines import end_with_starter, tell
from assets.warehouse.dbt_build import LANDING
from assets.warehouse.dbt_invocation import Node, made, node, run_dbt

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TARGET, SCRATCH = "spark", ".spark"
SETTINGS = {
    # a timestamp is one without a zone, as in DuckDB and in the landed files
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    # sorts are long here, and worth compiling; small parts are joined again by Spark itself
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.sql.shuffle.partitions": "64",
}


@dataclass(frozen=True)
class SparkBuild:
    """What is to be built.

    Parameters
    ----------
    project : Path
        The dbt project.
    parameters : mapping
        The dbt variables.
    landed : mapping of str to sequence of str
        The Parquet files that hold each landed table, by ``source.table``.
    models : sequence of str, optional
        What dbt selects; None builds all.
    out : Path
        The folder to write into, which is there and empty.
    memory_gb : float
        What Java may take.
    tests : bool
        Whether to test them too.
    """

    project: Path
    parameters: Mapping[str, Any]
    landed: Mapping[str, Sequence[str]]
    models: Sequence[str] | None
    out: Path
    memory_gb: float
    tests: bool = True

    def text(self) -> str:
        """All of it, in one line."""
        return json.dumps({**asdict(self), "project": str(self.project), "out": str(self.out)})

    @classmethod
    def read(cls, text: str) -> SparkBuild:
        """What `text` gave."""
        given = json.loads(text)
        return cls(**{**given, "project": Path(given["project"]), "out": Path(given["out"])})


def main() -> None:
    """Read the job, and build."""
    job = SparkBuild.read(sys.stdin.readline())
    end_with_starter()
    try:
        nodes, relations = run(job)
    except LooplineError as error:
        tell(error=str(error))
        sys.exit(1)
    tell(done={"nodes": [asdict(item) for item in nodes], "relations": relations})


def run(job: SparkBuild) -> tuple[list[Node], list[str]]:
    """Build and test, then leave each relation that was built as ``SCHEMA/NAME`` in the folder.

    Returns
    -------
    nodes : list of Node
        Failed tests are in it, not raised.
    relations : list of str
        As ``schema.name``.
    """
    from assets.processes.spark_session import session

    scratch = job.out / SCRATCH
    spark = session(
        "loopline warehouse",
        **SETTINGS,
        **{
            "spark.driver.memory": f"{int(job.memory_gb * 1024)}m",
            "spark.sql.warehouse.dir": str(scratch / "tables"),
            "spark.local.dir": str(scratch / "spilled"),
        },
    )
    for name, files in job.landed.items():
        source, _, table = name.partition(".")
        land(spark, source, table, files)
    tell(step="build")
    arguments = ["build", "--target", TARGET, "--indirect-selection", "buildable"]
    arguments += [] if job.models is None else ["--select", *job.models]
    arguments += [] if job.tests else ["--exclude-resource-type", "test", "unit_test"]
    with redirect_stdout(sys.stderr):  # what dbt says is no line of ours
        results = run_dbt(arguments, job.project, scratch / "dbt", job.parameters)
    tell(step="write")
    places = {(item.schema, item.alias): scratch / "tables" / f"{item.schema}.db" / item.alias for item in made(results)}
    for (schema, name), built in places.items():
        (job.out / schema).mkdir(exist_ok=True)
        if not built.is_dir():  # a view, which may read tables: these are moved last
            spark.table(f"`{schema}`.`{name}`").write.parquet(str(job.out / schema / name))
    spark.stop()
    for (schema, name), built in places.items():
        if built.is_dir():
            built.rename(job.out / schema / name)
    shutil.rmtree(scratch)
    return [node(result) for result in results], [f"{schema}.{name}" for schema, name in places]


def land(spark: SparkSession, source: str, table: str, files: Sequence[str]) -> None:
    """A view of a landed table's files."""
    schema = f"`{LANDING}{source}`"
    spark.sql(f"create schema if not exists {schema}")
    rows = " union all ".join("select * from parquet.`" + file.replace("`", "``") + "`" for file in files)
    spark.sql(f"create or replace view {schema}.`{table}` as {rows}")


if __name__ == "__main__":
    main()

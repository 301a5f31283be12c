"""Run each ``*.sql`` of a folder in Spark, over its ``asked.parquet``; the answers lie in folders of the queries' names.

It runs in `.venv-spark` (`make spark`), and imports nothing of ours.
"""

import sys
import tempfile
from pathlib import Path


def main(folder: Path) -> None:
    """Run them all in one session."""
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", f'"-Djava.io.tmpdir={tempfile.gettempdir()}"')
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    session.read.parquet(str(folder / "asked.parquet")).createOrReplaceTempView("asked")
    for file in sorted(folder.glob("*.sql")):
        session.sql(file.read_text(encoding="utf-8")).write.parquet(str(folder / file.stem))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

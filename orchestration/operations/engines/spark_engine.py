"""Spark's environment: whether it and its Java are there, and the program that runs a stream in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from assets.errors import EngineError
from assets.storage.home import REPOSITORY
from assets.streaming.stream_job import StreamJob

PYTHON = REPOSITORY / ".venv-spark" / "bin" / "python"
JAVA = (17, 21)
"""The versions of Java that Spark 4 is built for."""
LOG = "spark.log"


def require_spark(environment: Mapping[str, str], python: Path | None = None) -> Path:
    """Spark's Python, if it and a Java that it runs on are there.

    Raises
    ------
    EngineError
        If one is not.
    """
    python = python or PYTHON
    if not python.exists():
        raise EngineError("Spark is not set up: make spark")
    needed = " or ".join(map(str, JAVA))
    home = environment.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java", path=environment.get("PATH"))
    if java is None:
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "there is no 'java' on the path"
        raise EngineError(f"Spark needs Java {needed}, and {where}. On Debian 12: apt-get install openjdk-17-jre-headless")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', told)
    if version is None or int(version[1]) not in JAVA:
        found = f"version {version[1]}" if version else "none that tells its version"
        raise EngineError(f"Spark needs Java {needed}, and {java} is {found}. Install one of them, and set JAVA_HOME to it.")
    return python


def run(job: StreamJob, environment: Mapping[str, str], python: Path) -> Iterator[dict[str, Any]]:
    """Run a stream, and yield what it tells.

    Raises
    ------
    EngineError
        With what went wrong.
    """
    _require_folders(job)
    job.out.mkdir(parents=True, exist_ok=True)
    yield from lines(
        "assets.streaming.spark_job",
        job.text(),
        job.out / LOG,
        environment=environment,
        python=python,
        what=f"{job.name}: the stream",
    )


def lines(
    module: str, job: str, log_file: Path, *, environment: Mapping[str, str], python: Path, what: str
) -> Iterator[dict[str, Any]]:
    """Run a program in Spark's environment, and yield what it tells, the last time that it is done.

    Parameters
    ----------
    module, job : str
        The program, and what it is handed, in one line.
    log_file : Path
        Where Spark says what it does.
    environment, python
        Those of the program.
    what : str
        What it is called in errors.

    Raises
    ------
    EngineError
        With what went wrong.
    """
    # Spark leaves its own temporary folders behind when it is ended early
    folder = tempfile.TemporaryDirectory(prefix="loopline-spark-", ignore_cleanup_errors=True)
    with folder as scratch, log_file.open("ab") as log:
        program = subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=REPOSITORY,
            env={**environment, "PYSPARK_PYTHON": str(python), "PYSPARK_DRIVER_PYTHON": str(python), "TMPDIR": scratch},
            text=True,
        )
        given, told_by, ended = cast("IO[str]", program.stdin), cast("IO[str]", program.stdout), False
        try:
            with suppress(BrokenPipeError):  # it ended at once: its log says why
                given.write(job + "\n")
                given.flush()
            for line in told_by:
                told = json.loads(line)
                if "error" in told:
                    raise EngineError(told["error"])
                ended = ended or "done" in told
                yield told
        finally:
            # it ends when its input does
            with suppress(BrokenPipeError):
                given.close()
            told_by.close()
            program.wait()
    if not ended:
        raise EngineError(f"{what} ended by {program.returncode}: {_last_error(log_file)}")


def _require_folders(job: StreamJob) -> None:
    out = job.out.resolve()
    if out.is_relative_to(job.home.resolve()):
        raise EngineError(f"{out} lies in the home, whose every file is accounted for. Give a folder outside of it.")
    for folder in (job.folder, job.outcomes):
        if folder is None:
            continue
        if not folder.is_dir():
            raise EngineError(f"{folder} is no folder. Make it, or name the one in which files arrive.")
        read = folder.resolve()
        if read == out or read in out.parents or out in read.parents:
            raise EngineError(f"{out} lies in {read}, or that in it: what is written would be read. Give a folder beside it.")
    if job.outcomes is not None and job.outcomes.resolve() == job.folder.resolve():
        raise EngineError(f"{job.outcomes} cannot hold both rows and outcomes. Give two folders.")


def _last_error(log: Path) -> str:
    """The last line of the log that names an error, and where the others are."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return f"{(named or lines or ['nothing was said'])[-1][:300]}. See {log}."

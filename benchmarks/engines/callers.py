"""One small product made whole by each engine, in a home of its own: what it took, and the digests of what came out."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assets.storage.digests import value_digest
from assets.storage.home import REPOSITORY
from benchmarks.engines.processes import Ended, ended, environment, loopline
from orchestration.operations.engines import kubeflow_export
from orchestration.operations.engines.engine_choice import SET_UP

AIRFLOW = SET_UP["airflow"][0]
KUBEFLOW = kubeflow_export.PYTHON.parents[1]
SAME = ("snapshot", "model", "evaluation", "leakage", "robustness", "predictions", "sql")
"""Assets whose content holds no time."""
TIMED = "footprint"
"""Evidence that a verdict names by its digest, and that holds measured milliseconds."""


@dataclass(frozen=True)
class Called:
    """A product that an engine made.

    Parameters
    ----------
    parts : list of Ended
        The engine's run; of a loop of steps, each process.
    before : Ended or None
        What comes before the run and is not part of it: files exported and compiled, a database made.
    digests : dict of str to str
        By asset; of the verdict, the digest of what was not measured by the clock.
    """

    parts: list[Ended]
    before: Ended | None
    digests: dict[str, str]

    @property
    def seconds(self) -> float:
        """Wall seconds of the run."""
        return sum(part.seconds for part in self.parts)

    @property
    def processor(self) -> float:
        """Processor seconds of the run."""
        return sum(part.processor for part in self.parts)

    @property
    def peak_mb(self) -> float:
        """The most memory that its processes held together."""
        return max(part.peak_mb for part in self.parts)


def by_run(repository: Path, product: str, folder: Path) -> Called:
    """Dagster in one process."""
    home = folder / "home"
    return Called([loopline(repository, home, "run", product)], None, digests(repository, product, home))


def by_steps(repository: Path, product: str, folder: Path) -> Called:
    """A shell's loop: a process an asset, in the order that `loopline plan` says."""
    home = folder / "home"
    planned = loopline(repository, home, "plan", product, "--json")
    names = [item["asset"] for item in json.loads(planned.out)["assets"]]
    parts = [loopline(repository, home, "step", name, "--json") for name in names]
    return Called(parts, None, digests(repository, product, home))


def by_airflow(repository: Path, product: str, folder: Path) -> Called:
    """The DAG of the product, by `airflow dags test`."""
    home, place = folder / "home", folder / "airflow"
    exported = loopline(repository, home, "export", "airflow", product, "--out", str(place / "dags"))
    variables = airflow_environment(home, place)
    made = ended([str(AIRFLOW), "db", "migrate"], folder, variables)
    ended([str(AIRFLOW), "pools", "import", str(place / "dags" / "pools.json")], folder, variables)
    done = ended([str(AIRFLOW), "dags", "test", f"loopline_product_{product}"], folder, variables)
    return Called([done], _together(exported, made), digests(repository, product, home))


def airflow_environment(home: Path, place: Path) -> dict[str, str]:
    """An Airflow of its own, on a free port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    variables = environment(home, REPOSITORY)
    variables.pop("PYTHONPATH")
    return {
        **variables,
        "PATH": f"{AIRFLOW.parent}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(place),
        "AIRFLOW__CORE__DAGS_FOLDER": str(place / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONUNBUFFERED": "1",
    }


def by_kubeflow(repository: Path, product: str, folder: Path) -> Called:
    """The product's pipeline, by kfp's local runner."""
    home = folder / "home"
    if not (repository / KUBEFLOW.name).exists():
        (repository / KUBEFLOW.name).symlink_to(KUBEFLOW)
    exported = loopline(repository, home, "export", "kubeflow", product, "--out", str(folder / "out"))
    command = [str(KUBEFLOW / "bin" / "python"), str(REPOSITORY / "tests" / "kubeflow_run.py"), "out/pipeline.py", "artifacts"]
    variables = environment(home, REPOSITORY)
    variables.pop("PYTHONPATH")
    done = ended(command, folder, variables)
    return Called([done], exported, digests(repository, product, home))


CALLERS: dict[str, tuple[Callable[[Path, str, Path], Called], Path | None, str]] = {
    "step": (by_steps, None, ""),
    "dagster": (by_run, None, ""),
    "airflow": (by_airflow, AIRFLOW, "make airflow-test"),
    "kubeflow": (by_kubeflow, KUBEFLOW, "make kubeflow"),
}
"""By engine: how it makes a product, the file without which it is not set up, and the make target that sets it up."""


def digests(repository: Path, product: str, home: Path) -> dict[str, str]:
    """The data versions that a home records of a product; nothing is made."""
    done = loopline(repository, home, "step", product, "--json")
    result = json.loads(done.out.splitlines()[-1])
    if result["status"] != "kept":
        raise RuntimeError(f"{product} should be fresh, but its step says: {result}")
    versions = {item["asset"].rpartition("/")[2]: item["data_version"] for item in result["assets"]}
    return {**{name: versions[name] for name in SAME}, "verdict": _verdict(home, product)}


def _verdict(home: Path, product: str) -> str:
    """The digest of a verdict without what is said of the milliseconds that were measured."""
    current = json.loads((home / "reports" / product / "current.json").read_text(encoding="utf-8"))
    told = json.loads((home / current["verdict"]).read_text(encoding="utf-8"))
    told["evidence"].pop(TIMED)
    timed = [finding["requirement"] for finding in told["findings"] if finding["gate"] == "latency"]
    told["findings"] = [finding for finding in told["findings"] if finding["gate"] != "latency"]
    for said in ("warnings", "reasons"):
        told[said] = [line for line in told[said] if not any(line.startswith(requirement) for requirement in timed)]
    return value_digest(told)


def _together(*parts: Ended) -> Ended:
    """Commands one after another."""
    seconds, processor = sum(part.seconds for part in parts), sum(part.processor for part in parts)
    return Ended(0, seconds, processor, max(part.peak_mb for part in parts), max(part.largest_mb for part in parts), "")

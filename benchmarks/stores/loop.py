"""The whole loop of a small product (600 rows) in a home that is published to an S3 server, beside one that is not.

The server is SeaweedFS on the same machine; homes begin empty, and the second run has nothing new. The shortest of several runs
in turn, with the imports; in brackets the processor time of the command alone.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.faults.small_product import PRODUCT, clone
from orchestration.operations.storage.store_server import StoreServer

TIMES = 2


def rows() -> list[tuple[str, str, str]]:
    """Each figure with what was measured and what is asked."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        server = StoreServer(Path(folder) / "server").start()
        try:
            return _rows(Path(folder), server)
        finally:
            server.stop()


def _rows(folder: Path, server: StoreServer) -> list[tuple[str, str, str]]:
    repository = clone(folder / "clone")
    measured: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number in range(TIMES):
        for kind in ("local", "S3"):
            home = folder / f"{kind}{number}"
            store = {} if kind == "local" else {**server.environment, "LOOPLINE_STORE": f"s3://loopline/loop{number}"}
            for what in ("whole loop", "nothing changed"):
                measured.setdefault((what, kind), []).append(_run(repository, home, store))
                print(f"{what}, {kind}: {measured[what, kind][-1]}", flush=True)
            shutil.rmtree(home)
    found = []
    for what, asked in (("whole loop", "≤ 1.25"), ("nothing changed", "≤ 1.5")):
        wall = {kind: min(item[0] for item in measured[what, kind]) for kind in ("local", "S3")}
        processor = {kind: min(item[1] for item in measured[what, kind]) for kind in ("local", "S3")}
        told = (
            f"{wall['S3']:.1f} s / {wall['local']:.1f} s = {wall['S3'] / wall['local']:.2f} "
            f"({processor['S3']:.1f} s / {processor['local']:.1f} s = {processor['S3'] / processor['local']:.2f})"
        )
        found.append((f"{what}, S3 home / local home", told, asked))
    return found


def _run(repository: Path, home: Path, store: dict[str, str]) -> tuple[float, float]:
    """Seconds of a run, and of the processor."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOOPLINE_"))}
    environment |= {"LOOPLINE_HOME": str(home), "PYTHONPATH": str(repository), **store}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "orchestration", "run", PRODUCT],
        cwd=repository, env=environment, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

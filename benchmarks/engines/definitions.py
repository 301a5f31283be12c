"""Loading the definitions, which each process that runs a step pays, and what of the engines it imports.

The shortest of five processes. Engines live in environments of their own; the core imports none.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from assets.storage.home import REPOSITORY
from benchmarks.engines.processes import ended, environment

TIMES = 5
ENGINES = ("airflow", "kfp", "kubernetes", "pyspark", "dvc", "feast")
PROGRAM = f"""
import json, sys, time
began, processor = time.perf_counter(), time.process_time()
from orchestration.definitions import defs
defs.resolve_asset_graph()
imported = [name for name in {ENGINES!r} if name in sys.modules]
print(json.dumps([time.perf_counter() - began, time.process_time() - processor, imported]))
"""


def rows() -> list[tuple[str, str, str]]:
    """Each figure with what was measured and what is asked."""
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(Path(folder) / "home", REPOSITORY)
        out = [ended([sys.executable, "-c", PROGRAM], REPOSITORY, variables).out for _ in range(TIMES)]
    seconds, processor, imported = min(json.loads(text.splitlines()[-1]) for text in out)
    return [
        ("definitions load: wall, processor", f"{seconds:.2f} s, {processor:.2f} s", "≤ 3 s"),
        ("engines that the core imports", ", ".join(imported) or "none", "none"),
    ]

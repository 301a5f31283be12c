"""Make one product in this process, and print what each asset took: ``python one_loop.py PRODUCT`` in a clone.

Processor seconds are those of this process and of its children that ended; the most memory is asked of the kernel anew for each
asset. It imports nothing of the benchmarks, as clones hold none.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path


class Costs(logging.Handler):
    """What was used since the asset before."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.found: dict[str, dict[str, float]] = {}
        self.before = used()

    def emit(self, record: logging.LogRecord) -> None:
        """Note one finished asset."""
        now = used()
        names = ("seconds", "processor_seconds", "peak_mb")
        taken = (now[0] - self.before[0], now[1] - self.before[1], peak_mb())
        self.found[record.getMessage()] = {name: round(value, 3) for name, value in zip(names, taken, strict=True)}
        sys.stderr.write(f"{record.getMessage()}: {taken[0]:.1f} s, {taken[1]:.1f} s of the processor, {taken[2]:.0f} MB\n")
        forget_peak()
        self.before = used()


def used() -> tuple[float, float]:
    """The moment, and processor seconds until now."""
    times = os.times()
    return time.monotonic(), times.user + times.system + times.children_user + times.children_system


def peak_mb() -> float:
    """The most memory that this process held since the last `forget_peak`."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def forget_peak() -> None:
    """Let the kernel count the most memory anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def main(product: str) -> None:
    """Run the loop; a refusal by the gate ends it with exit code 1."""
    began = time.monotonic()
    from assets.processes.settings import settle_process

    settle_process()
    from orchestration import resources
    from orchestration.cli.errors import load_definitions
    from orchestration.staleness.run_loop import run

    home = resources.home_from_environment().prepare()
    definitions = load_definitions(product)
    with resources.instance(home) as instance:
        started = used()[1]
        logger, costs = logging.getLogger("loopline.progress"), Costs()
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(costs)
        run(definitions, instance, home, product)
    total = {"seconds": round(time.monotonic() - began, 3), "processor_seconds": round(used()[1], 3)}
    sys.stdout.write(json.dumps({"start": round(started, 3), "assets": costs.found, "total": total}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

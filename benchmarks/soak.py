"""Ten minutes of load without an error and without growth, and an overload that is refused and survived: ``make soak``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from assets.storage.home import REPOSITORY
from benchmarks.load import Contender, contenders, running
from orchestration.resources import home_from_environment

MINUTES, EVERY = float(os.environ.get("LOOPLINE_SOAK_MINUTES", "10")), 5.0
CONNECTIONS, TOO_MANY, ROWS = 2, 200, 500
PAGE = """# A long load, and too much of it

Measured by `make soak` on `flight_delay`'s service with one worker, each answer in the prediction log.

| figure | measured | goal |
|---|---|---|
| requests in {minutes:g} minutes over {connections} connections | {requests:,} ({rate:,.0f}/s) | |
| answers that were errors | {errors} | 0 |
| resident memory of all processes after the first minute | {before:,.0f} MB | at most 250 MB |
| at the end | {after:,.0f} MB | |
| growth a minute, fitted after the first | {growth:+.2f} MB | none |
| overload: {many:,} connections asking {rows:,} rows at once for 15 s; answered 200 | {answered:,} | |
| refused with 503 | {refused:,} | |
| answered otherwise | {otherwise} | 0 |
| ready again after | {recovered:.1f} s | |
"""


def main() -> None:
    """Measure and write docs/soak.md."""
    with tempfile.TemporaryDirectory() as scratch:
        ours = next(item for item in contenders(home_from_environment(), Path(scratch)) if item.name.endswith("logged"))
        memory: list[tuple[float, float]] = []
        with running(ours) as process:
            done = threading.Event()
            watch = threading.Thread(target=_watch, args=(process, memory, done))
            watch.start()
            told = _wrk(ours, Path(scratch), CONNECTIONS, 60 * MINUTES)
            done.set()
            watch.join()
            batches = replace(
                ours, path="/predict_batch", body=json.dumps({"rows": [json.loads(ours.body)["row"]] * ROWS}).encode()
            )
            flood = _wrk(batches, Path(scratch), TOO_MANY, 15)
            began = time.monotonic()
            while (alone := _wrk(ours, Path(scratch), 1, 1))["refused"] or alone["otherwise"]:
                time.sleep(0.1)
            recovered = time.monotonic() - began - 1
    times, sizes = np.array([point for point in memory if point[0] >= 60 or MINUTES <= 1]).T
    growth = float(np.polyfit(times / 60, sizes, 1)[0])
    page = PAGE.format(
        minutes=MINUTES, connections=CONNECTIONS, requests=told["requests"], rate=told["requests"] / (60 * MINUTES),
        errors=told["refused"] + told["otherwise"], before=sizes[0], after=sizes[-1], growth=growth, many=TOO_MANY,
        rows=ROWS,
        answered=flood["requests"] - flood["refused"] - flood["otherwise"], refused=flood["refused"],
        otherwise=flood["otherwise"], recovered=max(recovered, 0.0),
    )  # fmt: skip
    (REPOSITORY / "docs" / "soak.md").write_text(page, encoding="utf-8")
    print(page)


def _wrk(contender: Contender, scratch: Path, connections: int, seconds: float) -> dict[str, int]:
    """Counts of requests by what became of them."""
    script = contender.script(scratch)
    script.write_text(
        script.read_text()
        + "refused, otherwise = 0, 0\n"
        + "function response(status) if status == 503 then refused = refused + 1 "
        + "elseif status ~= 200 then otherwise = otherwise + 1 end end\n"
        + "threads = {}\nfunction setup(thread) table.insert(threads, thread) end\n"
        + "function done(summary) for _, thread in ipairs(threads) do io.write(string.format("
        + "'counted %d %d %d %d\\n', summary.requests, thread:get('refused'), thread:get('otherwise'), "
        + "summary.errors.connect + summary.errors.read + summary.errors.write)) end end\n"
    )
    url = f"{contender.url}{contender.path}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}", "--timeout", "30s", "-s", str(script), url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"counted (\d+) (\d+) (\d+) (\d+)", told)
    if found is None:
        raise RuntimeError(f"wrk says nothing that is understood:\n{told}")
    requests, refused, otherwise, broken = map(int, found.groups())
    return {"requests": requests, "refused": refused, "otherwise": otherwise + broken}


def _watch(process: int, memory: list[tuple[float, float]], done: threading.Event) -> None:
    began = time.monotonic()
    while not done.wait(EVERY):
        family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
        memory.append((time.monotonic() - began, sum(member.memory_info().rss for member in family) / 2**20))


if __name__ == "__main__":
    main()

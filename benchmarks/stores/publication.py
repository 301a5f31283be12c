"""A process that publishes a home to a real S3 server (SeaweedFS) is killed at random moments, and so is the server.

After each kill another machine takes what is published: it must hold whole commits only, no entry of the ledger without the
file that it rests on, every entry that was reported, and none twice. Then the next process goes on in the same home. At the end
both homes and every byte of the store are compared. Appending: ten processes, with a home each, append to one ledger at once.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from assets.object_store.pull import pull
from assets.object_store.push import push
from assets.object_store.verification import problems_of
from assets.promotion import ledger
from assets.storage import manifest
from assets.storage.home import Home
from benchmarks.stores.small_home import evidence_of, fill, opened, writing
from orchestration.operations.storage.store_server import StoreServer

KILLS, SERVER_KILLS = 60, 12
MACHINES, ENTRIES = 10, 50


def rows() -> list[tuple[str, str, str]]:
    """Each figure with what was measured and what is asked."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        server = StoreServer(Path(folder) / "server").start()
        os.environ.update(server.environment)
        try:
            return [
                _killed(Path(folder) / "kills", server, KILLS, is_of_server=False),
                _killed(Path(folder) / "server_kills", server, SERVER_KILLS, is_of_server=True),
                _appended(Path(folder) / "appending"),
            ]
        finally:
            server.stop()


def _killed(folder: Path, server: StoreServer, times: int, *, is_of_server: bool) -> tuple[str, str, str]:
    """Kill again and again in one home; how often which problem was met."""
    draw, url = random.Random(18), f"s3://loopline/{folder.name}"  # noqa: S311 - when to kill
    home, other = fill(Home(folder / "home").prepare()), Home(folder / "other")
    push(opened(home, url))
    problems: Counter[str] = Counter({"half-visible": 0, "lost": 0, "doubled": 0})
    reported: list[str] = []
    for number in range(times):
        process = writing(home, url, 1000, f"kill{number}")
        time.sleep(draw.uniform(0.3, 2.5))
        if is_of_server:
            server.stop()
        else:
            process.kill()
        printed, errors = process.communicate()
        reported += printed.split()[1:]
        if is_of_server:
            problems["unclear errors"] += "StoreError" not in errors
            server.start()
        pull(opened(other, url))
        found = [entry.reason for entry in ledger.entries(other)]
        known = manifest.read(other.root, anew=True)
        missing = [file for file in (known.files if known else ()) if not (other.root / file).exists()]
        problems["half-visible"] += bool(missing) or any(
            not evidence_of(other, place).exists() for place in range(2, len(found) + 1)
        )
        problems["lost"] += bool(set(reported) - set(found))
        problems["doubled"] += len(set(found)) < len(found)
        print(f"{folder.name} {number + 1}: {len(found)} entries, {dict(problems)}", flush=True)
    last = writing(home, url, 1, "last")
    problems["unclear errors"] += bool(last.communicate()[1])
    pull(opened(other, url))
    problems["differ at the end"] += ledger.entries(home) != ledger.entries(other)
    problems["damaged at the end"] += bool(problems_of(opened(other, url), deep=True))
    told = ", ".join(f"{count} {name}" for name, count in problems.items())
    what = "of the server" if is_of_server else "of the process that publishes"
    return f"{times} kills {what}, {len(ledger.entries(home))} entries", told, "0 half-visible, 0 lost, 0 doubled"


def _appended(folder: Path) -> tuple[str, str, str]:
    url, home = f"s3://loopline/{folder.name}", fill(Home(folder / "home").prepare())
    push(opened(home, url))
    homes = [Home(folder / f"machine{number}") for number in range(MACHINES)]
    for item in homes:
        pull(opened(item, url))
    began = time.monotonic()
    processes = [writing(item, url, ENTRIES, item.root.name, with_files=False) for item in homes]
    errors = [process.communicate()[1] for process in processes]
    seconds = time.monotonic() - began
    pull(opened(home, url))
    reasons = [entry.reason for entry in ledger.entries(home)]
    expected = {"first", *(f"machine{item}-{number}" for item in range(MACHINES) for number in range(ENTRIES))}
    is_whole = ledger.verify(home) == len(reasons)
    told = (
        f"{len(set(reasons) & expected) - 1} there, {len(reasons) - len(set(reasons))} twice, the chain is "
        f"{'whole' if is_whole else 'broken'}, {sum(map(bool, errors))} errors, {seconds:.0f} s"
    )
    return f"{MACHINES} machines append {MACHINES * ENTRIES} entries at once", told, "all there once, chain whole"

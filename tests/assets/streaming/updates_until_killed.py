"""Learn the labels of churn's answers, killed again and again: ``python -m tests.assets.streaming.updates_until_killed HOME KILLS``.

Prints what was found as JSON: how often it was killed, how many states there were then, and what it ended with each time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from assets.storage.home import Home
from assets.storage.publishing import read_json
from assets.streaming.label_journal import CURRENT, journal
from assets.streaming.online_updates import OnlineUpdates
from tests.assets.streaming.update_world import BLOCK, ROWS, champion_in, updating


def look(root: Path, *, seconds: float | None = None, kept: int | None = None) -> int:
    """Learn in a child, which is killed after so many seconds, or when so many states are kept; its exit code."""
    pid = os.fork()
    if pid == 0:
        if seconds is not None and kept is None:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        OnlineUpdates(Home(root), updating(), champion_in(Home(root))).look()
        os._exit(0)
    while kept is not None:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if count(root) >= kept:
            time.sleep(seconds or 0)
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def count(root: Path) -> int:
    """How many states were kept, read beside who writes them."""
    for path in Home(root).updates("churn").glob("*.sqlite"):
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute("select count(*) from states").fetchone()[0])
    return 0


def states(root: Path) -> list[tuple[int, str, str]]:
    """The states that were kept."""
    found = list(Home(root).updates("churn").glob("*.sqlite"))
    if not found:
        return []
    with journal(found[0]) as kept:
        return kept.digests()


def main() -> None:
    """Kill it so often; every fourth time what is left is gone on with to the end, and all begins anew."""
    fresh, kills = Path(sys.argv[1]), int(sys.argv[2])
    root, chance = fresh.with_name("killed"), np.random.default_rng(5)
    shutil.copytree(fresh, root)
    began = time.perf_counter()
    assert look(root) == 0
    seconds = time.perf_counter() - began
    found: dict[str, Any] = {"killed": 0, "between": [], "ended": []}

    def begin_anew() -> None:
        shutil.rmtree(root)
        shutil.copytree(fresh, root)

    begin_anew()
    while found["killed"] < kills:
        # half of them at any moment, half while states are kept, which is soon over
        if found["killed"] % 2:
            code = look(root, seconds=float(chance.uniform(0, 0.02)), kept=int(chance.integers(1, ROWS // BLOCK)))
        else:
            code = look(root, seconds=float(chance.uniform(0, seconds)))
        assert code in (0, -signal.SIGKILL), code
        found["killed"] += code == -signal.SIGKILL
        found["between"].append(states(root))
        if code == 0 or found["killed"] % 4 == 0:
            assert look(root) == 0
            found["ended"].append([states(root), read_json(Home(root).updates("churn") / CURRENT)])
            if found["killed"] < kills:
                begin_anew()
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

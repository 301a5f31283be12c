"""Publish two snapshots in turn until killed: ``python -m tests.assets.features.published_until_killed HOME FORMAT SECONDS``."""

import os
import signal
import sys
import threading
from itertools import cycle
from pathlib import Path

from assets.features import lake_tables, snapshots
from assets.storage.home import Home
from tests import shop


def main() -> None:
    """Kill this process so many seconds after its third publication began."""
    home, spec = Home(Path(sys.argv[1])), shop.product("churn", publish=sys.argv[2])
    held = sorted(path.stem for path in (home.snapshots / "churn").glob("*.parquet"))
    for number, digest in enumerate(cycle(held), start=1):
        if number == 3:
            threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), signal.SIGKILL)).start()
        lake_tables.publish_snapshot(home, spec, snapshots.opened(home, "churn", digest))


if __name__ == "__main__":
    main()

"""Play monthly and always in processes: ``python -m tests.orchestration.replay_in_processes HOME SNAPSHOT``.

It leads a group of processes of its own, so that all of them can be killed at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from assets.features import snapshots
from assets.replay import parallel_runner
from assets.storage.home import Home
from tests.replays import settled


def main() -> None:
    """Play what was not played yet."""
    os.setsid()
    home = Home(Path(sys.argv[1]))
    parallel_runner.play(settled(home, snapshots.opened(home, "churn", sys.argv[2]), ["monthly", "always"]))
    os._exit(0)


if __name__ == "__main__":
    main()

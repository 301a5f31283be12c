"""Run the small world in a process of its own, for tests that kill it: ``python -m tests.orchestration.small_run FILES HOME``."""

import logging
import os
import sys
from pathlib import Path

from assets.processes.settings import settle_process
from assets.storage.home import Home
from orchestration.cli.display import RunDisplay
from tests.world import World


def main() -> None:
    """Print each finished asset as it is shown to a user, and how many there were."""
    settle_process()
    logging.captureWarnings(capture=True)
    home = Home(Path(sys.argv[2])).prepare()
    with RunDisplay(home) as display:
        outcome = World.small(Path(sys.argv[1])).run(home, is_alone=False, on_wait=display.waiting)
    print(f"executed {len(outcome.executed)}", flush=True)  # noqa: T201 - what the test reads
    os._exit(0)


if __name__ == "__main__":
    main()

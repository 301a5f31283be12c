"""A worker of `loopline run --jobs`: makes the products that it is told, a line each, as `loopline step --json` does."""

from __future__ import annotations

import os
import signal
import sys
import threading

from assets.processes import interrupts
from assets.processes.settings import settle_process


def main() -> None:
    """Make one product after another until there are no more; what others published is taken by who started this."""
    interrupts.settled(signal.SIG_DFL)  # who is idle has nothing to clean up, and no traceback to print
    settle_process()
    from assets.processes.companion import end_with
    from orchestration.cli.errors import INTERRUPTED
    from orchestration.cli.step import told_step

    # its group is not the terminal's: what ends who started it, such as a terminal that is closed, does not reach it
    threading.Thread(target=end_with, args=[int(sys.argv[1])], daemon=True).start()
    with os.fdopen(os.dup(0)) as names:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # no child of a step may read the names
        for name in names:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                told_step(name.strip())
            except KeyboardInterrupt:
                os._exit(INTERRUPTED)
            sys.stdout.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    os._exit(0)  # the interpreter's own end would print notes of DuckDB's


if __name__ == "__main__":
    main()

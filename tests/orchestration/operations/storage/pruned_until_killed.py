"""Prune until something happens: ``python -m tests.orchestration.operations.storage.pruned_until_killed HOME FUNCTION CALL SIGNAL``.

FUNCTION is one that a prune calls: at its call of that number this process says so, and gets the signal: one that ends or stops it.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from assets.storage.home import Home
from benchmarks.retention import RETENTION, declared
from orchestration.operations.storage import prune

TRAININGS = 5
SPARING = declared(TRAININGS - 1, retention={**RETENTION, "keep_champions": 1})


def main() -> None:
    """Send this process the signal at the call."""
    root, function, call, sent = sys.argv[1:]
    where: Any = prune.manifest if function == "withdraw" else prune
    count, before = 0, getattr(where, function)

    def counted(*given: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == int(call):
            print(function, flush=True)  # noqa: T201 - what the test reads
            os.kill(os.getpid(), signal.Signals[sent])
        return before(*given, **named)

    setattr(where, function, counted)
    prune.prune(Home(Path(root)), [SPARING], [SPARING.name])


if __name__ == "__main__":
    main()

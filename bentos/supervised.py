"""Supervised: a worker ends when BentoML's supervisor has ended, however that ended.

A supervisor that is killed leaves its workers behind: they would hold the port and answer on, and nobody would restart them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

WORKER = "_bentoml_impl.worker."
"""How the modules are called that BentoML's supervisor starts as workers."""
PATIENCE = 0.5
"""Seconds between two looks at whether the supervisor is alive."""
GRACE = 20.0
"""Seconds in which requests that were begun are answered."""


def end_with_supervisor() -> None:
    """Let this process end with its parent, if that is BentoML's supervisor."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name.startswith(WORKER):
        threading.Thread(target=_watch, args=[os.getppid()], daemon=True, name="supervisor").start()


def _watch(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)

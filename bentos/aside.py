"""Aside: starts a module as a program that gives way to the service, from its first import on.

Importing a model's libraries takes seconds: what a program says of its priority itself comes too late for them.
"""

from __future__ import annotations

import os
import runpy
import sys

IDLE, NICE = "idle", "nice"
"""Computes only while nobody else does; and after others, with a tenth of a core that is shared."""


def main(way: str, module: str, *arguments: str) -> None:
    """Run a module.

    Parameters
    ----------
    way : {"idle", "nice"}
        How it gives way.
    module, arguments : str
        The module, and what it is told.
    """
    os.nice(10)
    if way == IDLE and hasattr(os, "SCHED_IDLE"):
        # even a nice process keeps one that wakes up on its core waiting for a slice of time
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

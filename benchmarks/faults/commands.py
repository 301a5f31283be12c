"""Commands of Loopline in processes of their own that can be killed at any moment: forked, so that nobody pays the imports.

The process that forks has imported what commands import, and does nothing else. Everything after the imports is what a user's
process does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.faults.small_product import PRODUCT

LONG = 180.0
"""After how many seconds a command counts as hanging."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative for a signal), what it printed, and how long it took."""

    code: int
    printed: str
    seconds: float

    @property
    def is_clear(self) -> bool:
        """Whether it did what it should, or said in words why not."""
        return self.code in (0, 3) or (self.code == 1 and "Traceback" not in self.printed and "error" in self.printed)


def import_all(scratch: Path) -> None:
    """Import what commands import: what one that runs the whole loop, and so all of it, has imported at its end."""
    from assets.processes.settings import settle_process

    settle_process()
    import_module("orchestration.cli.main")
    names = scratch / "modules"

    def watch() -> None:
        def note() -> None:
            while True:
                names.write_text("\n".join(list(sys.modules)), encoding="utf-8")
                time.sleep(0.2)

        threading.Thread(target=note, daemon=True).start()

    if not names.exists():
        ended = done("run", PRODUCT, home=scratch / "first", before=watch)
        if ended.code:
            raise RuntimeError(f"the loop of the small product failed:\n{ended.printed}")
    for name in names.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(Exception):  # what other modules put there under a name of its own
            import_module(name)


@dataclass
class Command:
    """A command that was started."""

    pid: int
    output: Path
    started: float

    def kill(self, *, with_children: bool = False) -> None:
        """Kill it as the system does when it needs memory; also what it started, or that ends by itself."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if with_children else os.kill)(self.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether it has ended by itself; `wait` says how."""
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found is not None and found.si_pid == self.pid

    def wait(self, seconds: float = LONG) -> Ended:
        """Wait until it has ended; a command that hangs is killed."""
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                break
            if time.monotonic() - self.started > seconds:
                self.kill(with_children=True)
                _, status = os.waitpid(self.pid, 0)
                break
            time.sleep(0.005)
        printed = self.output.read_text(encoding="utf-8", errors="replace")
        self.output.unlink()
        return Ended(os.waitstatus_to_exitcode(status), printed, time.monotonic() - self.started)


def start(
    *arguments: str, home: Path, variables: Mapping[str, str] | None = None, before: Callable[[], object] = int
) -> Command:
    """Start a command in a home.

    Parameters
    ----------
    *arguments : str
        What follows ``loopline``.
    home : Path
        The home's folder.
    variables : mapping of str to str, optional
        Further variables of its environment.
    before : callable
        Called in the new process, before the command.
    """
    handle, output = tempfile.mkstemp(prefix="command-")
    pid = os.fork()
    if not pid:
        os.setsid()
        for number in (1, 2):
            os.dup2(handle, number)
        os.environ.update({"LOOPLINE_HOME": str(home), "COLUMNS": "120", **(variables or {})})
        # one core, so that no companion starts: it would import for longer than the whole command takes
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[os.getpid() % len(os.sched_getaffinity(0))]})
        sys.argv = ["loopline", *arguments]
        before()
        from orchestration.cli.main import main

        main()
    os.close(handle)
    return Command(pid, Path(output), time.monotonic())


def done(*arguments: str, home: Path, variables: Mapping[str, str] | None = None, before: Callable[[], object] = int) -> Ended:
    """Run a command to its end."""
    return start(*arguments, home=home, variables=variables, before=before).wait()


def asked(function: Callable[[Path], Sequence[str]], home: Path) -> list[str]:
    """Ask a function in a process of its own, so that this one stays as it is."""
    handle, output = tempfile.mkstemp(prefix="asked-")
    pid = os.fork()
    if not pid:
        try:
            told = list(function(home))
        except BaseException:  # noqa: BLE001 - an answer as well
            told = [traceback.format_exc()]
        os.write(handle, json.dumps(told).encode())
        os._exit(0)
    os.close(handle)
    os.waitpid(pid, 0)
    found: list[str] = json.loads(Path(output).read_bytes())
    Path(output).unlink()
    return found

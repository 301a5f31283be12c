"""Python modules as processes of their own that hold the slow libraries from the start.

To import what a run needs takes most of the processor time of a small one. Each of these processes is forked from one that has done so
(`tests/fork_server.py`), which holds nothing of this repository. What a process imports by itself, and when, is the business of other
tests: they start Python.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from assets.storage.locks import exclusive


class Forked:
    """A module that runs.

    Parameters
    ----------
    *module : str
        Its name, and its arguments.
    cwd : Path
        The repository whose module it is.
    environment : mapping
        All variables it sees.
    stdout, stderr : int
        The descriptors that it writes to.
    """

    def __init__(self, *module: str, cwd: Path, environment: Mapping[str, str], stdout: int, stderr: int) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(server(os.getpid())))
            socket.send_fds(connection, [b"."], [stdout, stderr])
            self._answers = connection.makefile("rw", encoding="utf-8")
        request = {"module": module, "folder": str(cwd), "environment": dict(environment)}
        print(json.dumps(request), file=self._answers, flush=True)
        self.pid = int(self._answers.readline())

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        with self._answers:
            return int(self._answers.readline())


@cache
def server(process: int) -> Path:
    """Where the process that forks for this one listens: one for all workers of these tests, started when it is needed first."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else process
    folder = Path(tempfile.gettempdir()) / f"forks-{owner}"
    with exclusive(folder.with_suffix(".lock")):
        if not _listens(folder / "socket"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            _start(folder / "socket", owner)
    atexit.register(folder.with_suffix(".lock").unlink, missing_ok=True)
    return folder / "socket"


def _listens(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(place)) == 0


def _start(place: Path, owner: int) -> None:
    """Start the process that forks; it ends by itself, after its owner, so nobody waits for it."""
    program = [sys.executable, str(Path(__file__).with_name("fork_server.py")), str(place), str(owner)]
    nothing = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = os.posix_spawn(sys.executable, program, os.environ, file_actions=nothing, setsid=True)
    while not _listens(place):  # a socket that is there may not be listened to yet
        assert os.waitpid(started, os.WNOHANG) == (0, 0), "the process that forks could not start"
        time.sleep(0.01)

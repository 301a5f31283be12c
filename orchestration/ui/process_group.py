"""A program in a session of its own, which ends with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE = 60
"""Seconds that processes have to end after they were asked to: a step of a run ends when its library's call returns."""


class ProcessGroup:
    """Start a program that a terminal's Ctrl-C does not reach: the owner passes on what it shall hear.

    Parameters
    ----------
    command : sequence of str
        The program with its arguments.
    environment : mapping
        Its environment.
    folder : Path
        Its working directory.
    """

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def is_running(self) -> bool:
        """Whether the program itself runs."""
        return self._process.poll() is None

    def send(self, number: int) -> None:
        """Send a signal to the program and to all that it started, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def wait(self) -> int:
        """Wait for the program's end, and give its exit code as a shell does: 128 and more after a signal."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def end(self) -> None:
        """End whatever still runs of it: ask first, then kill."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if members := self._members():
                self.send(number)
                psutil.wait_procs(members, timeout=PATIENCE)
        self._process.wait()

    def _members(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) == self._process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

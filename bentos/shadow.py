"""Shadow: a copy of each answered request for a process in which a challenger answers it too; nobody gets that answer.

The service never waits: what the process cannot keep up with is dropped and counted, and a process that ended is started again
after a while.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ARM, FOLDER = "shadow", "shadow"
"""The arm that its answers are logged under, and the folder beside the files of the prediction log."""
MOST_BYTES = 200_000
"""The largest message: the kernel's usual limit for a socket's buffer is 208 KiB."""
PATHS = frozenset({"/predict", "/predict_batch", "/predict_by_key"})
"""What is counted in an experiment; all but the last is answered by a shadow too."""
AGAIN, LONGEST = 1.0, 60.0
"""After how many seconds a process that ended is started again, doubled each time, and at most."""


class Message(NamedTuple):
    """A request that was answered, for the shadow."""

    path: str
    request_id: str
    entity: str | None
    body: bytes

    @property
    def content(self) -> bytes:
        """As it is sent: ids and keys hold no blanks."""
        return f"{self.path} {self.request_id} {self.entity or ''}\n".encode() + self.body


def read_message(content: bytes) -> Message:
    """The message that was sent."""
    head, body = content.split(b"\n", 1)
    path, request_id, entity = head.decode().split(" ")
    return Message(path, request_id, entity or None, body)


class Shadow:
    """Starts the process, and hands requests to it.

    Parameters
    ----------
    package : Path
        The folder of the challenger's service package.
    experiment : str
        The experiment's name.
    log_folder : Path
        The folder of the prediction log; the shadow's answers are kept in one of their own below it.
    on_dropped : callable
        Told that a request was not handed over.
    problem : callable
        Told that the process ended, and how.
    """

    def __init__(
        self,
        package: Path,
        experiment: str,
        log_folder: Path,
        on_dropped: Callable[[], None] = lambda: None,
        problem: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.package, self.experiment, self.log_folder = package, experiment, log_folder
        self.on_dropped, self.problem = on_dropped, problem
        self.wait, self.due = AGAIN, float("-inf")
        self.is_closing = False
        self.process: subprocess.Popen[bytes] | None = None
        self.messages: socket.socket | None = None

    def offer(self, message: Message) -> None:
        """Hand a request over, if that can be done at once."""
        content = message.content
        # a longer one would be cut off where it is read
        if self.messages is None or len(content) > MOST_BYTES:
            self.on_dropped()
            return
        try:
            self.messages.send(content)
        except OSError:
            # the buffer is full, or nobody is there any more, which `look` finds
            self.on_dropped()

    def look(self) -> None:
        """Start the process where there is none; called now and then."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.problem(f"the process ended with code {code}; it is started again in {self.wait:.0f} s")
            self._forget()
            self.due, self.wait = time.monotonic() + self.wait, min(2 * self.wait, LONGEST)
        if self.process is None and not self.is_closing and time.monotonic() >= self.due:
            try:
                self._start()
            except OSError as error:
                self.problem(f"the process cannot be started ({error}); it is tried again in {self.wait:.0f} s")
                self._forget()
                self.due, self.wait = time.monotonic() + self.wait, min(2 * self.wait, LONGEST)
        if self.process is not None and time.monotonic() > self.due + LONGEST:
            self.wait = AGAIN  # it has lived for a while

    def close(self) -> None:
        """Let the process answer what it was given, for a few seconds, and end."""
        self.is_closing, process = True, self.process
        self._forget()
        if process is not None:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.settimeout(0)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST_BYTES)
            number = str(theirs.fileno())
            arguments = [str(self.package), number, str(self.log_folder), self.experiment]
            # this package, wherever it was imported from, and not one that lies in the working directory (-P)
            package = str(Path(__file__).resolve().parent.parent)
            variables = {**os.environ, "PYTHONPATH": os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])}
            command = [sys.executable, "-B", "-P", "-m", "bentos.shadow_worker", *arguments]
            self.messages = ours
            self.process = subprocess.Popen(command, env=variables, pass_fds=[theirs.fileno()])

    def _forget(self) -> None:
        if self.messages is not None:
            with contextlib.suppress(OSError):
                self.messages.close()
        self.process, self.messages = None, None

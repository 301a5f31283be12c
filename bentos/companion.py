"""Companion: a process beside a worker of the service, which starts it, hands it messages, and starts it again when it ended.

It reads from a socket that it inherits, and ends when the service's end of it is closed, however that happened: what it was
handed by then, it does. Messages are sent together a few times a second: a call of the kernel for each costs what a model does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bentos.aside import NICE

MOST_BYTES = 200_000
"""The largest packet of messages: the kernel's usual limit for a socket's buffer is 208 KiB."""
ASIDE = "bentos.aside"
HEAD = 4
"""How many bytes before each message say how long it is."""
SECONDS = 0.005
"""When it is tried again to send what the process could not take."""
MOST_WAITING = 32_000_000
"""How many bytes of messages may wait to be sent."""
ENDING = (signal.SIGINT, signal.SIGTERM)
"""The signals that end a service; its companions end with their sockets."""
AGAIN, LONGEST = 1.0, 60.0
"""After how many seconds a process that ended is started again, doubled each time, and at most."""


class Posted(NamedTuple):
    """A message that waits to be sent, and how many rows it stands for."""

    message: bytes
    rows: int


class Companion:
    """Starts a process, and looks after it. `handed` is how many rows it was sent; who posts them takes off what is done.

    Parameters
    ----------
    module : str
        What it runs.
    arguments : sequence of str
        What it is told; the number of its socket comes first.
    problem : callable
        Told that it ended, and how.
    most_waiting : int
        How many bytes may wait until it takes them.
    way : str
        How it gives way to the service: see `bentos.aside`.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        problem: Callable[[str], None] = lambda _: None,
        most_waiting: int = MOST_WAITING,
        way: str = NICE,
    ) -> None:
        self.way = way
        self.module, self.arguments, self.problem, self.most_waiting = module, arguments, problem, most_waiting
        self.waiting: deque[Posted] = deque()
        self.waiting_bytes = 0
        self.handed = 0
        self.is_tried_again = False
        self.sending = threading.Lock()
        self.wait, self.due = AGAIN, float("-inf")
        self.is_closing = False
        self.process: subprocess.Popen[bytes] | None = None
        self.messages: socket.socket | None = None

    def post(self, message: bytes, rows: int = 0) -> bool:
        """Let a message of so many rows be sent with the next ones; False if it is too long, or too many wait."""
        if len(message) + HEAD > MOST_BYTES or self.waiting_bytes + len(message) > self.most_waiting:
            return False
        self.waiting.append(Posted(message, rows))
        self.waiting_bytes += len(message)
        return True

    def post_first(self, message: bytes) -> None:
        """Let a message be sent before those that wait."""
        self.waiting.appendleft(Posted(message, 0))
        self.waiting_bytes += len(message)

    def send(self) -> None:
        """Send what waits, as much as the process takes now; the rest follows as it reads."""
        messages = self.messages
        # a service that ends does so in a thread
        if messages is None or not self.sending.acquire(blocking=False):
            return
        try:
            while self.waiting:
                packet, count = self._packet()
                messages.send(packet)
                for _ in range(count):
                    sent = self.waiting.popleft()
                    self.waiting_bytes -= len(sent.message)
                    self.handed += sent.rows
        except BlockingIOError:
            if not self.is_tried_again:  # however often this is called meanwhile
                with contextlib.suppress(RuntimeError):  # where no event loop runs, it is tried at the next call
                    asyncio.get_running_loop().call_later(SECONDS, self._try_again)
                    self.is_tried_again = True
        except OSError:
            pass  # nobody is there any more, which `look` finds
        finally:
            self.sending.release()

    def _try_again(self) -> None:
        self.is_tried_again = False
        self.send()

    def _packet(self) -> tuple[bytes, int]:
        """The messages that go out next, and how many they are."""
        parts: list[bytes] = []
        size = count = 0
        for message, _ in self.waiting:
            size += HEAD + len(message)
            if size > MOST_BYTES:
                break
            parts += (len(message).to_bytes(HEAD, "big"), message)
            count += 1
        return b"".join(parts), count

    def look(self) -> bool:
        """Start the process where there is none; whether it was started. Called now and then."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self._failed(f"the process ended with code {code}; it is started again in {self.wait:.0f} s")
        is_missing = self.process is None and not self.is_closing and time.monotonic() >= self.due
        if is_missing:
            try:
                self._start()
            except OSError as error:
                self._failed(f"the process cannot be started ({error}); it is tried again in {self.wait:.0f} s")
        if self.process is not None and time.monotonic() > self.due + LONGEST:
            self.wait = AGAIN  # it has lived for a while
        return is_missing and self.process is not None

    def close(self, seconds: float) -> None:
        """Let the process do what it was given, for so many seconds, and end."""
        self.is_closing, process = True, self.process
        if self.messages is not None:
            self.messages.settimeout(seconds)
            self.send()
            with contextlib.suppress(OSError):
                self.messages.shutdown(socket.SHUT_WR)
        self._forget()
        if process is not None:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _failed(self, told: str) -> None:
        self.problem(told)
        self._forget()
        self.due, self.wait = time.monotonic() + self.wait, min(2 * self.wait, LONGEST)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.settimeout(0)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST_BYTES)
            # this package, wherever it was imported from, and not one that lies in the working directory (-P)
            package = str(Path(__file__).resolve().parent.parent)
            variables = {**os.environ, "PYTHONPATH": os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])}
            command = [sys.executable, "-B", "-P", "-m", ASIDE, self.way, self.module]
            command += [str(theirs.fileno()), *self.arguments]
            self.messages = ours
            # it inherits the mask: a service that is ended as it starts ends no companion that still imports
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
            try:
                self.process = subprocess.Popen(command, env=variables, pass_fds=[theirs.fileno()])
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _forget(self) -> None:
        if self.messages is not None:
            with contextlib.suppress(OSError):
                self.messages.close()
        self.process, self.messages = None, None


def messages_of(packet: bytes) -> Iterator[bytes]:
    """The messages of a packet."""
    place = 0
    while place < len(packet):
        end = place + HEAD + int.from_bytes(packet[place : place + HEAD], "big")
        yield packet[place + HEAD : end]
        place = end


def outlive_signals() -> None:
    """End with the socket, so that what was handed over is done: a signal to all of a group is not for a companion."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

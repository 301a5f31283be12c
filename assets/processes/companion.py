"""A companion: a process beside this one that imports slow libraries in time, and then does what it is asked, call by call.

Importing holds Python's lock, so a thread would gain nothing. The companion ends with its owner, however that ends, as its
pipe is closed then; a call that is under way is finished first.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import wraps
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import ForkingPickler
from typing import Any, ParamSpec, TypeVar

from assets.errors import CompanionError
from assets.processes import interrupts
from assets.processes.memory import return_memory
from assets.processes.settings import collect_rarely
from assets.storage.home import REPOSITORY

PATIENCE = 0.5
"""Seconds between two looks at whether the owner is alive."""
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class Companion:
    """Start the process; it is ready for calls at once, and imports what they need when they come. One thread asks it.

    Parameters
    ----------
    niceness : int
        By how much it yields to other processes where there are more than cores.
    """

    def __init__(self, niceness: int = 0) -> None:
        self._connection, theirs = Pipe()
        self._owner, self._unanswered = os.getpid(), 0
        with interrupts.held_back():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "assets.processes.companion", str(theirs.fileno()), str(niceness), str(os.getpid())],
                cwd=REPOSITORY,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        theirs.close()
        atexit.register(self.close)

    @property
    def is_ours(self) -> bool:
        """Whether this process started it (a fork must not share its pipe) and it is alive."""
        return self._owner == os.getpid() and self._process.poll() is None

    def begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Let it do something in advance, such as an import; if that fails, the call that needs it will say so."""
        with contextlib.suppress(OSError):
            self._send(function, arguments, {})

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a function of a module there, and give what it gives or raise what it raises.

        Raises
        ------
        CompanionError
            If the companion ended.
        """
        try:
            self._send(function, arguments, named)
            while self._unanswered:
                answer = self._connection.recv_bytes()
                self._unanswered -= 1
        except (EOFError, OSError) as error:
            code = self._process.wait()
            raise CompanionError(
                f"the process beside this one ended with exit code {code} before it answered (out of memory?). Run again."
            ) from error
        succeeded, found = pickle.loads(answer)  # noqa: S301 - by our own process
        if not succeeded:
            raise found
        return found

    def _send(self, *call: Any) -> None:
        """Counted as it is sent, and answers as they come: a call that is interrupted must not shift those of later ones."""
        message = ForkingPickler.dumps(call)
        self._unanswered += 1
        self._connection.send_bytes(message)

    def end(self) -> None:
        """End it at once; what it makes ready would be of no use."""
        if self.is_ours:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End it, after what it is doing."""
        if self._owner == os.getpid():
            self._connection.close()
            self._process.wait()


class Beside:
    """What a companion does where one was started, and this process where none was."""

    def __init__(self, niceness: int = 0) -> None:
        self._niceness = niceness
        self._companion: Companion | None = None

    @property
    def is_started(self) -> bool:
        """Whether there is a companion."""
        return self._companion is not None and self._companion.is_ours

    def end(self) -> None:
        """End the companion, if there is one."""
        if self._companion is not None:
            self._companion.end()

    def start(self, ready: Callable[..., Any], *arguments: Any) -> None:
        """Start a companion, and let it make ready while this process does other things; once in a process."""
        if not self.is_started:
            self._companion = Companion(self._niceness)
            self._companion.begin(ready, *arguments)

    def ask(self, function: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs) -> Answer:
        """Call a function there, or here."""
        if self._companion is not None and self.is_started:
            answer: Answer = self._companion.call(function, *given, **named)
            return answer
        return function(*given, **named)

    def done(self, function: Callable[Given, Answer]) -> Callable[Given, Answer]:
        """Let every call of a function be asked."""

        @wraps(function)
        def asked(*given: Given.args, **named: Given.kwargs) -> Answer:
            # by this name it is found there, where no companion is, and so does it itself
            return self.ask(asked, *given, **named) if self.is_started else function(*given, **named)

        return asked


def end_with(owner: int) -> None:
    """End this process when its owner has ended, whatever it is doing: what it makes is nobody's then."""
    while os.getppid() == owner:
        time.sleep(PATIENCE)
    os._exit(1)


def serve(connection: Connection) -> None:
    """Answer calls until the owner's end is closed."""
    while True:
        try:
            function, arguments, named = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = True, function(*arguments, **named)
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked
            error.add_note(traceback.format_exc())
            answer = False, error
        try:
            connection.send(answer)
        except OSError:
            return
        except Exception:  # noqa: BLE001 - what cannot be pickled is told as text
            connection.send((False, CompanionError(f"the answer cannot be handed over: {answer[1]!r}")))
        del function, arguments, named, answer
        return_memory()


if __name__ == "__main__":
    collect_rarely()
    os.nice(int(sys.argv[2]))
    interrupts.settled(signal.SIG_IGN)  # Ctrl-C reaches the whole group; the owner decides, and its end ends this
    from assets.processes.companion import serve as _serve  # the module by its own name, as what is pickled knows it

    threading.Thread(target=end_with, args=[int(sys.argv[3])], daemon=True).start()
    _serve(Connection(int(sys.argv[1])))
    os._exit(0)

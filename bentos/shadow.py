"""Shadow: a copy of each answered request for a process in which a challenger answers it too; nobody gets that answer.

The service never waits: what the process cannot keep up with is dropped and counted, and a process that ended is started again
after a while.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bentos.aside import IDLE
from bentos.companion import Companion
from bentos.open_inference_paths import INFER

ARM, FOLDER = "shadow", "shadow"
"""The arm that its answers are logged under, and the folder beside the files of the prediction log."""
PATHS = frozenset({"/predict", "/predict_batch"})
"""What is answered by a shadow too."""
COUNTED = PATHS | {"/predict_by_key", INFER}
"""What is counted in an experiment."""
MOST_WAITING = 2_000_000
"""How many bytes of requests may wait for it: it is to answer what is asked now."""


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


class Shadow(Companion):
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
        arguments = [str(package), str(log_folder), experiment]
        super().__init__("bentos.shadow_worker", arguments, problem, MOST_WAITING, IDLE)
        self.package, self.experiment, self.on_dropped = package, experiment, on_dropped

    def offer(self, message: Message) -> None:
        """Hand a request over, if it is taken."""
        if self.messages is None or not self.post(message.content):
            self.on_dropped()

    def look(self) -> bool:
        """Send what waits, and start the process where there is none."""
        self.send()
        if found := super().look():
            self.forget_waiting()
        return found

    def forget_waiting(self) -> None:
        """Drop what waits for a process that has ended: its successor answers what is asked from now on."""
        for _ in self.waiting:
            self.on_dropped()
        self.waiting.clear()
        self.waiting_bytes = 0

    def close(self, seconds: float = 5.0) -> None:
        """Let the process answer what it was given, for a few seconds, and end."""
        super().close(seconds)

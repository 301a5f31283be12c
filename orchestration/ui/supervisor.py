"""`dagster dev` as a child, with the page server beside it: signals are passed on, and all ends when the child ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from assets.storage.home import REPOSITORY, Home
from orchestration import resources
from orchestration.ui.page_server import served
from orchestration.ui.process_group import ProcessGroup

PASSED_ON = {signal.SIGINT: signal.SIGINT, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}
"""What Dagster's processes are sent for what this one is sent: they handle no SIGHUP, so a run would not record its end."""


def supervise(home: Home, workspace: Path, arguments: Sequence[str]) -> int:
    """Run `dagster dev` and the page server until the first ends, and give its exit code.

    Parameters
    ----------
    home : Home
        Whose history and pages are shown.
    workspace : Path
        Dagster's workspace file.
    arguments : sequence of str
        More arguments of `dagster dev`.
    """
    asked_to_end: list[int] = []
    dagster: ProcessGroup | None = None

    def pass_on(number: int, _: FrameType | None) -> None:
        asked_to_end.append(number)
        if dagster is not None:
            dagster.send(PASSED_ON[signal.Signals(number)])

    for number in PASSED_ON:
        # a shell lets what it starts in the background ignore SIGINT, which must end it all the same; nohup means SIGHUP
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, pass_on)
    program = Path(sys.executable).with_name("dagster")
    command = [str(program), "dev", "-w", str(workspace), *arguments]
    with served(home, resources.pages_port()):
        dagster = ProcessGroup(command, environment=resources.dagster_environment(home), folder=REPOSITORY)
        try:
            if asked_to_end:  # before it was there
                dagster.send(signal.SIGTERM)
            return dagster.wait()
        finally:
            dagster.end()

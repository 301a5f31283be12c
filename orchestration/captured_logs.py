"""What steps print, kept for the UI as Dagster keeps it, by processes that do not hear Ctrl-C.

Dagster starts four processes for each run, which copy what is printed to the terminal. A terminal sends Ctrl-C to all of its
processes, and theirs would end in tracebacks beside the one message of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._serdes import ConfigurableClassData

from assets.processes.interrupts import held_back


class CapturedLogs(LocalComputeLogManager):
    """Dagster's manager of logs in local files."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> CapturedLogs:
        """The manager that an instance's configuration describes."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Capture what is printed until the block ends; what is started here inherits that SIGINT waits."""
        with ExitStack() as capturing:
            with held_back():
                context = capturing.enter_context(super().capture_logs(log_key))
            yield context

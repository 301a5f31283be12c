"""Builds bentos: each in a process of its own, forked from one that has imported BentoML and holds nothing of the service.

To import BentoML takes five times as long as to build a bento, and a run of several products builds several.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import IO

from assets.errors import PackagingError
from assets.processes.companion import Companion

IMPORTED = ("bentoml.bentos", "_bentoml_sdk", "numpy", "onnxruntime", "starlette.applications")
"""What a build imports beside the service that is packaged."""
SHOWN_LINES = 15
_LOCK = threading.Lock()
_STARTED: list[Companion] = []
"""The process that the builds are forked from, once there is one."""


def build(folder: Path, store: Path, version: str) -> None:
    """Build the bento that a folder declares into a store, by BentoML's function: its command line loads all other commands.

    Raises
    ------
    PackagingError
        If BentoML cannot build it.
    """
    environment = {
        **os.environ, "BENTOML_HOME": str(store), "BENTOML_DO_NOT_TRACK": "True", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    with _LOCK:
        if not (_STARTED and _STARTED[0].is_ours):
            _STARTED[:] = [Companion()]
        code, told = _STARTED[0].call(forked, folder, version, environment)
    if code != 0:
        tail = "\n".join(told.strip().splitlines()[-SHOWN_LINES:])
        raise PackagingError(f"BentoML could not build the bento; its process ended with exit code {code}:\n{tail}")


def end() -> None:
    """End the process that builds are forked from, if there is one."""
    for companion in _STARTED:
        companion.end()


def forked(folder: Path, version: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """In the process that has imported BentoML: build in a fork of it, and return its exit code and what it complained of."""
    for name in IMPORTED:
        import_module(name)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        process = os.fork()
        if process == 0:
            _build(folder, version, environment, complaints)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        complaints.seek(0)
        return code, complaints.read()


def _build(folder: Path, version: str, environment: Mapping[str, str], complaints: IO[str]) -> None:
    """Build as a new process would that is started in the folder, and end."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a build with its run
        for descriptor in (1, 2):
            os.dup2(complaints.fileno(), descriptor)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.path[0], sys.dont_write_bytecode = "", True
        from bentoml.bentos import build_bentofile

        build_bentofile(build_ctx=".", version=version)
        code = 0
    except BaseException:  # noqa: BLE001 - told where it was asked; nothing may go on in this copy of the process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

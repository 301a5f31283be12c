"""Start Python modules as processes that hold the slow libraries already: each is forked from one process that imported them.

``python fork_server.py SOCKET OWNER``: a request is two open files, its standard output and error, and a JSON object: the arguments of a module,
its folder and its whole environment; the answers are the process id and the exit code. It ends once the process OWNER has. Of this repository nothing is imported here: a request may come from a copy of it.
"""

from __future__ import annotations

import atexit
import gc
import inspect
import json
import os
import runpy
import shutil
import socket
import sys
import tempfile
from importlib import import_module

LIBRARIES = (
    "dagster",
    "pandas",
    "pyarrow.parquet",
    "duckdb",
    "pandera.ibis",
    "sklearn.ensemble",
    "sklearn.compose",
    "onnx",
    "onnxruntime",
    "skops.io",
    "matplotlib.figure",
    "shap",
    "river.drift",
    "mlflow",
    "alembic",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "ibis.backends.duckdb",
    "hypothesis.strategies",
    "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.pyfunc.utils.data_validation",
    "dagster._core.storage.sqlite_storage",
    "dagster._daemon.auto_run_reexecution",
    "pyarrow.dataset",
    "upath",
    "git",
)
"""What `loopline run` imports beside our own modules; not dagster_dbt, whose absence is asked for."""
PATIENCE = 1.0
"""Seconds between two looks at whether the owner is alive."""


def make_ready() -> None:
    """Import them, and let them find out what is the same in each process."""
    for name in LIBRARIES:
        import_module(name)
    # MLflow asks every installed distribution for its modules; inspect, of which Pydantic asks docstrings, each module for its file
    import_module("mlflow.utils.requirements_utils")._init_modules_to_packages_map()
    inspect.getmodule(compile("", "<unknown>", "exec"))
    # some million objects that live as long as the process are not looked through again and again for garbage
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def serve(place: str, owner: int) -> list[str]:
    """Fork for each request; in the process that is to run a module, return its name and arguments."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        make_ready()
        listening.settimeout(PATIENCE)
        while True:
            while _ended():
                pass
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                _end_with(owner, place)
                continue
            if os.fork() == 0:  # it waits for the process that runs the module, so that several may run at once
                listening.close()
                return _answer(connection)
            connection.close()


def _end_with(owner: int, place: str) -> None:
    """End where nobody is left who would ask."""
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        shutil.rmtree(os.path.dirname(place))  # noqa: PTH120 - as in `fork_client`
        os._exit(0)


def _ended() -> bool:
    """Whether a request's process has ended, so that there may be more of them."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _answer(connection: socket.socket) -> list[str]:
    asked, outputs, _, _ = socket.recv_fds(connection, 1, 2)
    if not asked:  # whether this process listens was all that was asked
        os._exit(0)
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        request = json.loads(stream.readline())
        if (process := os.fork()) != 0:
            for descriptor in outputs:  # whoever reads them waits for the last that may write
                os.close(descriptor)
            print(process, file=stream, flush=True)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            print(code, file=stream, flush=True)
            os._exit(0)
    for descriptor, output in enumerate(outputs, start=1):
        os.dup2(output, descriptor)
        os.close(output)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    tempfile.tempdir = None  # found anew, as the environment may name another
    found: list[str] = request["module"]
    return found


if __name__ == "__main__":
    sys.argv = serve(sys.argv[1], int(sys.argv[2]))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

"""Start Python modules as processes that hold the slow libraries already: each is forked from one process that imported them.

``python fork_server.py SOCKET``: a request is two open files, its standard output and error, and a JSON object: the arguments of a module,
its folder and its whole environment; the answers are the process id and the exit code. Of this repository nothing is imported here: a request may come from a copy of it.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
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
)
"""What `loopline run` imports beside our own modules; not dagster_dbt, whose absence is asked for."""


def serve(place: str) -> list[str]:
    """Fork for each request; in the process that is to run a module, return its name and arguments."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        gc.disable()  # it would look through a million objects again and again, a fifth of the time
        for name in LIBRARIES:
            import_module(name)
        gc.freeze()
        gc.enable()
        while True:
            connection, _ = listening.accept()
            while _ended():
                pass
            if os.fork() == 0:  # it waits for the process that runs the module, so that several may run at once
                listening.close()
                return _answer(connection)
            connection.close()


def _ended() -> bool:
    """Whether a request's process has ended, so that there may be more of them."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _answer(connection: socket.socket) -> list[str]:
    _, outputs, _, _ = socket.recv_fds(connection, 1, 2)
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
    sys.argv = serve(sys.argv[1])
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

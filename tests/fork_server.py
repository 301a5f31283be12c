"""Start Python modules as processes that hold the slow libraries already: each is forked from one process that imported them.

``python fork_server.py SOCKET OWNER``: a request is two open files, its standard output and error, and a JSON object: the arguments of a module,
its folder and its whole environment; the answers are the process id and the exit code. It ends once the process OWNER has.

Of this repository nothing is imported here: a request may come from a copy of it. From the second request of a copy on, its modules
run in forks of another process, which has imported that copy's own modules too, until one of its files is changed.
"""

from __future__ import annotations

import atexit
import gc
import inspect
import json
import os
import runpy
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

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
OWN = (
    "orchestration.cli.main",
    "orchestration.cli.display",
    "orchestration.assembly",
    "orchestration.components",
    "orchestration.staleness.companions",
    "orchestration.staleness.run_loop",
    "orchestration.operations.monitoring.status",
    "orchestration.operations.declaration.check",
    "orchestration.operations.declaration.new_product",
)
"""What commands import of a copy."""
SOURCES = ("assets", "bentos", "benchmarks", "loopline", "loopline_extensions", "orchestration", "requirements", "tests")
MOST_COPIES = 3
"""How many copies' modules are held at a time."""
PATIENCE = 1.0
"""Seconds between two looks at whether the owner is alive."""


@dataclass
class Copy:
    """A copy of the repository: what its files were when a command was run in it, and the process that holds its modules."""

    stamp: int
    place: str
    process: int | None = None

    def end(self) -> None:
        """End the process; what was forked from it goes on."""
        if self.process is not None:
            os.kill(self.process, signal.SIGKILL)


@dataclass
class Copies:
    """The copies of the repository that commands were run in last."""

    place: str
    known: dict[str, Copy] = field(default_factory=dict)
    count: int = 0

    def seen(self, folder: str) -> Copy | None:
        """A copy whose files are as they were at an earlier request; None where this is the first, or it is no copy."""
        if not Path(folder, "orchestration", "cli", "main.py").exists():
            return None
        stamp = _stamp(folder)
        found = self.known.pop(folder, None)
        if found is None or found.stamp != stamp:
            if found is not None:
                found.end()
            self.count += 1
            self.known[folder] = Copy(stamp, f"{self.place}-{self.count}")
            return None
        self.known[folder] = found
        held = [copy for copy in self.known.values() if copy.process is not None]
        for copy in held[:-MOST_COPIES]:
            copy.end()
            self.ended(copy.process)
        return found

    def ended(self, process: int | None) -> None:
        """Forget the copy whose process ended."""
        self.known = {folder: copy for folder, copy in self.known.items() if process is None or copy.process != process}


def _stamp(folder: str) -> int:
    """What the sources of a copy are: their names, sizes and times."""
    found = []
    for file in (file for name in SOURCES for file in Path(folder, name).rglob("*") if "__pycache__" not in file.parts):
        with suppress(OSError):  # a link to nowhere, or another process's draft that is gone
            if stat.S_ISREG((status := file.stat()).st_mode):
                found.append((str(file), status.st_size, status.st_mtime_ns))
    return hash(tuple(sorted(found)))


def hold_libraries() -> None:
    """Import the libraries, and let them find out what is the same in each process."""
    for name in LIBRARIES:
        import_module(name)
    # MLflow asks every installed distribution for its modules; inspect, of which Pydantic asks docstrings, each module for its file
    import_module("mlflow.utils.requirements_utils")._init_modules_to_packages_map()
    inspect.getmodule(compile("", "<unknown>", "exec"))
    _freeze()


def hold_copy(folder: str) -> bool:
    """Import a copy's own modules; whether that could be done: who spoilt one wants to see what a command says of it."""
    os.chdir(folder)
    sys.path[0] = folder
    try:
        for name in OWN:
            import_module(name)
    except Exception:  # noqa: BLE001 - it is raised again where the command imports it
        return False
    _freeze()
    return True


def _freeze() -> None:
    """Some million objects that live as long as the process are not looked through again and again for garbage."""
    gc.collect()
    gc.freeze()


def serve(place: str, owner: int, folder: str | None = None) -> list[str]:
    """Fork for each request; in the process that is to run a module, return its name and arguments."""
    copies = Copies(place)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        if folder is None:
            hold_libraries()
        elif not hold_copy(folder):
            os._exit(1)
        listening.settimeout(PATIENCE)
        while True:
            while ended := _ended():
                copies.ended(ended)
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                _end_with(owner, place)
                continue
            with connection:
                asked, outputs, _, _ = socket.recv_fds(connection, 1, 2)
                if not asked:  # whether this process listens was all that was asked
                    continue
                with connection.makefile("rw", encoding="utf-8") as stream:
                    if not (line := stream.readline()):  # who asks was killed
                        _close(*outputs)
                        continue
                    request = json.loads(line)
                    copy = copies.seen(request["folder"]) if folder is None else None
                    if copy is not None and copy.process is None and _forked(copy) == 0:
                        _close(*outputs, connection.detach())
                        listening.close()
                        return serve(copy.place, os.getppid(), request["folder"])
                    if os.fork() == 0:  # it waits for the process that runs the module, so that several may run at once
                        listening.close()
                        if copy is not None and _passed_on(copy, request, outputs, stream):
                            os._exit(0)
                        return _answer(request, outputs, stream)
            _close(*outputs)


def _forked(copy: Copy) -> int:
    """Fork the process that is to hold a copy's modules; 0 in it."""
    copy.process = os.fork()
    return copy.process


def _close(*descriptors: int) -> None:
    """Let go of files: whoever reads them waits for the last that may write."""
    for descriptor in descriptors:
        os.close(descriptor)


def _passed_on(copy: Copy, request: dict[str, Any], outputs: list[int], stream: Any) -> bool:
    """Let the process that holds a copy's modules run one; whether it did: it ends where they cannot be imported."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        while (failed := connection.connect_ex(copy.place)) and copy.process is not None and _is_alive(copy.process):
            time.sleep(0.001)
        if failed:
            return False
        socket.send_fds(connection, [b"."], outputs)
        with connection.makefile("rw", encoding="utf-8") as answers:
            print(json.dumps(request), file=answers, flush=True)
            if not (process := answers.readline()):
                return False
            _close(*outputs)
            print(process, end="", file=stream, flush=True)
            print(answers.readline(), end="", file=stream, flush=True)
            return True
    return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _end_with(owner: int, place: str) -> None:
    """End where nobody is left who would ask."""
    if not _is_alive(owner):
        shutil.rmtree(Path(place).parent, ignore_errors=True)
        os._exit(0)


def _ended() -> int:
    """A process of a request that has ended, so that there may be more of them; 0 where none has."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


def _answer(request: dict[str, Any], outputs: list[int], stream: Any) -> list[str]:
    if (process := os.fork()) != 0:
        _close(*outputs)
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
    sys.modules["numpy"].random.seed()  # Python's own is seeded anew in each fork
    found: list[str] = request["module"]
    return found


def run(name: str) -> int:
    """Run a module as Python does; its exit code."""
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - shown whole, as Python does
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.argv = serve(sys.argv[1], int(sys.argv[2]))
    code = run(sys.argv[0])
    # the interpreter's own end would wait for threads of libraries that no fork has
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

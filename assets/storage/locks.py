"""Locks between processes, and the one connection to the warehouse that DuckDB allows."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from assets.storage.home import Home

if TYPE_CHECKING:
    import duckdb


@contextlib.contextmanager
def exclusive(lock_file: Path, *, on_wait: Any = None) -> Iterator[None]:
    """Hold an advisory lock that the operating system frees when the process ends, however it ends.

    Parameters
    ----------
    lock_file : Path
        The file that stands for the resource. It keeps the holder's process id, for whoever waits.
    on_wait : callable, optional
        Called once with the holder's process id when the lock is taken and this process must wait.
    """
    with _held(lock_file, fcntl.LOCK_EX, on_wait) as stream:
        stream.seek(0)
        stream.truncate()
        stream.write(str(os.getpid()))
        stream.flush()
        yield


@contextlib.contextmanager
def shared(lock_file: Path, *, on_wait: Any = None) -> Iterator[None]:
    """Hold a lock together with others that share it, and with nobody who holds it `exclusive`.

    Parameters
    ----------
    lock_file, on_wait
        As in `exclusive`.
    """
    with _held(lock_file, fcntl.LOCK_SH, on_wait):
        yield


@contextlib.contextmanager
def _held(lock_file: Path, kind: int, on_wait: Any) -> Iterator[IO[str]]:
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a+") as stream:
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                stream.seek(0)
                on_wait(stream.read().strip() or "unknown")
            fcntl.flock(stream, kind)
        yield stream


@contextlib.contextmanager
def warehouse_lock(home: Home) -> Iterator[None]:
    """Be the only process that has the warehouse open.

    DuckDB refuses a second process even for reading; whoever needs the warehouse queues here instead.
    """
    with exclusive(home.warehouse.with_suffix(".lock")):
        yield


@contextlib.contextmanager
def updates_lock(home: Home, product: str) -> Iterator[None]:
    """Be the only process that changes what labels have taught a champion: that learns, or erases it."""
    with exclusive(home.learning / f"{product}.lock"):
        yield


@contextlib.contextmanager
def warehouse_connection(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse under its lock and close it whatever happens."""
    with warehouse_lock(home), opened_warehouse(home) as connection:
        yield connection


def opened_warehouse(home: Home) -> duckdb.DuckDBPyConnection:
    """The warehouse, for whoever holds its lock; beyond 1 GB it spills beside itself. Without a limit it keeps what it read."""
    import duckdb

    connection = duckdb.connect(str(home.warehouse))
    connection.execute("set memory_limit = '1GB'")
    return connection

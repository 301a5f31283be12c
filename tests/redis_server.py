"""A Redis of the tests' own: started on a free port of the loopback, with a password, and gone with its folder."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.ports import free_port

PASSWORD = "of these tests"  # noqa: S105 - of a server that lives as long as a test


class RunningRedis(NamedTuple):
    """Where it listens, and its process."""

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def redis_server() -> Iterator[RunningRedis | None]:
    """An empty Redis; None where redis-server is not installed, which `make test` does where it may."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    import redis

    port, folder = free_port(), tempfile.mkdtemp(prefix="redis")
    arguments = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--requirepass", PASSWORD]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port, password=PASSWORD) as client:
            for _ in range(600):
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
        yield RunningRedis(f"redis://127.0.0.1:{port}/0", process)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)

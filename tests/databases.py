"""A PostgreSQL of the tests' own: started on a socket in a temporary folder, and gone with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg


@contextmanager
def postgres() -> Iterator[psycopg.Connection[Any] | None]:
    """A connection to an empty database; None where PostgreSQL is not installed, which `make test` does where it may."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if not found:
        yield None
        return
    programs = found[0].parent
    # a short path: that of a socket may have 107 characters
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    # PostgreSQL refuses to run as root
    user = ["/usr/sbin/runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    data, options = folder / "data", f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"

    def control(*arguments: str) -> None:
        subprocess.run([*user, *arguments], check=True, capture_output=True, cwd=folder)

    try:
        control(str(programs / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        control(str(programs / "pg_ctl"), "-D", str(data), "-w", "-o", options, "-l", str(folder / "log"), "start")
        try:
            with psycopg.connect(host=str(folder), user="tester", dbname="postgres", autocommit=True) as connection:
                yield connection
        finally:
            control(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)

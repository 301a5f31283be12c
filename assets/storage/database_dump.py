"""Database dump: what PostgreSQL holds of a home, as one file of a backup, written by `pg_dump` and read by `pg_restore`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from assets.errors import BackupError
from assets.storage import postgresql

FILE = "metadata.dump"
"""The name of the dump among the files of a backup; it lies in no home."""
INSTALL = "On Debian: apt-get install postgresql-client."


def write(url: str, target: Path) -> None:
    """Write the schemas of a home into a file, as of one moment.

    Raises
    ------
    BackupError
        If `pg_dump` is missing or fails: a backup without the metadata would not be one of the home.
    """
    schemas = [f"--schema={name}" for name in postgresql.SCHEMAS]
    _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", *schemas, f"--file={target}")


def load(url: str, dump: Path) -> None:
    """Fill a database that holds no metadata of a home from such a file, all of it or nothing.

    Raises
    ------
    BackupError
        If the database holds a home's metadata already, or `pg_restore` is missing or fails.
    """
    with postgresql.connected(url, postgresql.HOME) as server:
        if server.execute("select to_regclass('loopline.home')").fetchone() != (None,):
            raise BackupError(
                f"{postgresql.place(url)} holds the metadata of a home already. A backup is restored into an empty "
                f"database: make one (`createdb NAME`) and let {postgresql.VARIABLE} name it."
            )
    _run(url, "pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--dbname=", str(dump))


def _run(url: str, program: str, *arguments: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise BackupError(f"{program} is not installed, and the metadata of this home is in PostgreSQL. {INSTALL}")
    environment = postgresql.program_environment(url, os.environ)
    done = subprocess.run([found, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        told = postgresql.without_secret(url, " ".join(done.stderr.split()))[:400]
        raise BackupError(f"{program} failed for {postgresql.place(url)} ({told}). Earlier backups are whole. {INSTALL}")

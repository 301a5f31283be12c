"""The database in memory that pieces of work use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from assets.storage.scratch_database import scratch_database


def test_what_goes_beyond_its_memory_is_put_aside_in_its_folder(tmp_path: Path) -> None:
    """And is gone with it; moments are in UTC, whatever the machine's zone."""
    with scratch_database(tmp_path, "100MB") as connection:
        connection.execute("create table wide as select i, hash(i) as h, hash(i + 1) as g from range(10_000_000) as made(i)")
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) > 1_000_000
        assert connection.execute("select count(distinct h) from wide where i < 1000").fetchone() == (1000,)
        assert connection.execute("select timestamptz '2013-01-01 00:00:00+01'::varchar").fetchone() == (
            "2012-12-31 23:00:00+00",
        )
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_it_prints_no_progress_in_a_process_without_a_main_file(tmp_path: Path) -> None:
    """Such as a worker of a replay, whose output may be JSON."""
    program = """
import sys, duckdb
from assets.storage.scratch_database import scratch_database
asked = "select current_setting('enable_progress_bar')"
with duckdb.connect() as plain, scratch_database(sys.argv[1]) as connection:
    print(plain.execute(asked).fetchone()[0], connection.execute(asked).fetchone()[0])
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"

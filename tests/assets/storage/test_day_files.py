"""Day files: SQLite becomes Parquet once a day is over, whenever that is cut off."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assets.storage import day_files, manifest
from assets.storage.home import REPOSITORY, Home

TABLE = day_files.Table(
    "lines",
    "create table if not exists lines (name text primary key, size integer, data_key integer, weight real) strict",
    ("name",),
)
NOW = datetime(2026, 3, 9, tzinfo=UTC)
KILLED = """
import os, signal, sys
from pathlib import Path
from assets.storage import day_files, publishing
from tests.assets.storage.test_day_files import NOW, TABLE
at, name = sys.argv[2:]
where = {"publish": publishing.manifest, "unlink": Path}[name]
before = getattr(where, name)
def killed(*given, **named):
    if at == "after":
        before(*given, **named)
    if name == "publish" or str(given[0]).endswith("2026-03-02.sqlite"):
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*given, **named) if at == "before" else None
setattr(where, name, killed)
day_files.archive(Path(sys.argv[1]), TABLE, NOW)
"""


def write(folder: Path, day: str, names: list[str]) -> Path:
    """Lines of a day as a service writes them, the write-ahead log left as by a kill."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / f"{day}.sqlite")) as connection, connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute(TABLE.ddl)
        connection.executemany("insert into lines values (?, ?, null, 0.5)", [(name, len(name)) for name in names])
    return folder / f"{day}.sqlite"


def names_in(folder: Path) -> list[str]:
    """The names that lie in a folder's days, as they are read."""
    found: list[str] = []
    for file in day_files.files(folder):
        if file.suffix == ".parquet":
            found += pq.read_table(file)["name"].to_pylist()
        else:
            with day_files.reading(file) as connection:
                found += [name for (name,) in connection.execute("select name from lines order by rowid")]
    return found


def test_only_days_that_are_over_become_parquet(home: Home) -> None:
    """Yesterday's may still be written to; types, order and age stay, and the home knows the file."""
    folder = home.served / "churn"
    old, yesterday = write(folder, "2026-03-02", ["b", "a"]), write(folder, "2026-03-08", ["c"])
    os.utime(old, (1000, 1000))
    assert day_files.archive(folder, TABLE, NOW) == [old]
    made = old.with_suffix(".parquet")
    assert day_files.files(folder) == [made, yesterday]
    assert pq.read_table(made).to_pylist() == [
        {"name": name, "size": 1, "data_key": None, "weight": 0.5} for name in ("b", "a")
    ]
    assert (made.stat().st_mtime, day_files.position(made, "lines")) == (1000, 2)
    known = manifest.read(home.root)
    assert known is not None
    assert home.relative(made) in known.files


@pytest.mark.parametrize(
    ("at", "name", "left"),
    [
        ("before", "publish", {"2026-03-02.sqlite"}),
        ("after", "publish", {"2026-03-02.parquet", "2026-03-02.sqlite"}),
        ("before", "unlink", {"2026-03-02.parquet", "2026-03-02.sqlite"}),
        ("after", "unlink", {"2026-03-02.parquet"}),
    ],
)
def test_no_line_is_lost_or_there_twice_whenever_it_is_killed(home: Home, at: str, name: str, left: set[str]) -> None:
    """What is read is the same after the kill and after the next call, which ends the job."""
    folder = home.served / "churn"
    file = write(folder, "2026-03-02", ["a", "b"])
    (folder / f"{file.name}-wal").touch()
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), at, name], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    assert {path.name for path in folder.iterdir()} - {f"{file.name}-wal", f"{file.name}-shm"} == left
    assert names_in(folder) == ["a", "b"]
    day_files.archive(folder, TABLE, NOW)
    assert {path.name for path in folder.iterdir()} == {"2026-03-02.parquet"}
    assert names_in(folder) == ["a", "b"]


def test_a_line_that_comes_after_its_day_became_parquet_is_added(home: Home) -> None:
    """Each once; until then the Parquet file holds."""
    folder = home.served / "churn"
    write(folder, "2026-03-02", ["a", "b"])
    day_files.archive(folder, TABLE, NOW)
    write(folder, "2026-03-02", ["b", "c"])
    assert names_in(folder) == ["a", "b"]
    day_files.archive(folder, TABLE, NOW)
    assert names_in(folder) == ["a", "b", "c"]
    assert day_files.position(day_files.files(folder)[0], "lines") == 3


def test_a_file_without_lines_goes(home: Home) -> None:
    """A writer that was killed as it began leaves one."""
    folder = home.served / "churn"
    write(folder, "2026-03-02", [])
    (folder / "2026-03-03.sqlite").touch()
    day_files.archive(folder, TABLE, NOW)
    assert list(folder.iterdir()) == []


def test_parts_of_a_day_are_read_and_archived_each_by_itself(home: Home) -> None:
    """Of several writers, none of whom is the last day's only one; a late line goes to its own part."""
    folder = home.served / "churn"
    for day, names in (("2026-03-02", ["a"]), ("2026-03-02-3f0a", ["b"]), ("2026-03-07-77", ["c"]), ("2026-03-08-3f0a", ["d"])):
        write(folder, day, names)
    write(folder, "2026-03-08", ["e"])
    assert [day_files.day_of(file) for file in day_files.files(folder)] == ["2026-03-02"] * 2 + ["2026-03-07"] + [
        "2026-03-08"
    ] * 2
    assert [file.stem for file in day_files.before_last_day(folder)] == ["2026-03-02", "2026-03-02-3f0a", "2026-03-07-77"]
    assert {file.stem for file in day_files.archive(folder, TABLE, NOW)} == {"2026-03-02", "2026-03-02-3f0a", "2026-03-07-77"}
    write(folder, "2026-03-02-3f0a", ["b", "late"])
    day_files.archive(folder, TABLE, NOW)
    assert names_in(folder) == ["a", "b", "late", "c", "e", "d"]
    assert [path.name for path in day_files.beside(folder / "2026-03-02.parquet")] == ["2026-03-02.parquet"]
    assert [path.suffix for path in sorted(folder.glob("2026-03-02*"))] == [".parquet", ".parquet"]

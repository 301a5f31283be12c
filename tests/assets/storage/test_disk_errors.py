"""A full or read-only disk is told as such, whichever library met it."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest

from assets.errors import DigestError, DiskError
from assets.storage.disk_errors import disk_error
from assets.storage.home import Home


def raised_by_full_device() -> OSError:
    """What Python raises where there is no room."""
    with pytest.raises(OSError, match="No space left on device") as raised, Path("/dev/full").open("w") as full:
        full.write("a")
        full.flush()
    return raised.value


def raised_by_full_database(folder: Path) -> sqlite3.Error:
    """What SQLite raises where there is no room."""
    with sqlite3.connect(folder / "full.db") as connection:
        connection.execute("create table rows (row text)")
        connection.execute("pragma max_page_count = 3")
        with pytest.raises(sqlite3.OperationalError, match="database or disk is full") as raised:
            connection.execute("insert into rows values (?)", ["a" * 100_000])
    return raised.value


def test_a_full_disk_is_named_with_what_is_left(home: Home, tmp_path: Path) -> None:
    """By Python, and by SQLite."""
    for error in (raised_by_full_device(), raised_by_full_database(tmp_path)):
        told = str(disk_error(home, error))
        assert told.startswith(f"LOOPLINE_HOME={home.root} is on a disk that is full (")
        assert "files are left" in told
        assert "What was published is unchanged, and is still served. Free space there and run the command again." in told


def test_a_home_that_could_not_even_be_made_is_named(tmp_path: Path) -> None:
    """There is nothing yet to ask how full it is."""
    assert str(disk_error(Home(tmp_path / "home"), raised_by_full_device())).startswith(
        f"LOOPLINE_HOME={tmp_path / 'home'} is on"
    )


def test_a_full_folder_for_temporary_files_is_named_though_it_has_room_again(home: Home) -> None:
    """What failed may be removed before it is told; a file of the home that lies in such a folder is the home's."""
    scratch = tempfile.gettempdir()
    told = str(disk_error(home, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), scratch)))
    assert told.startswith(f"the folder for temporary files, {scratch}, is on a disk that is full (")
    told = str(disk_error(home, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(home.root / "models" / "a"))))
    assert told.startswith(f"LOOPLINE_HOME={home.root} is on a disk that is full (")


def test_a_machine_without_a_folder_for_temporary_files_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is full or read-only, which Python raises as a missing file; a full home is told then as well."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc", "/sys"])
    with pytest.raises(FileNotFoundError) as raised:
        tempfile.gettempdir()
    told = str(disk_error(home, raised.value))
    assert told.startswith("no folder for temporary files can be written ([Errno 2] No usable temporary directory found in")
    assert "set TMPDIR to a folder that can be written, and run the command again." in told
    assert str(disk_error(home, raised_by_full_device())).startswith(f"LOOPLINE_HOME={home.root} is on a disk that is full (")


def test_it_is_found_under_an_error_that_says_something_else(home: Home, tmp_path: Path) -> None:
    """Nobody should restore a backup because a disk is full."""
    error = DigestError("mlflow.db cannot be read. Restore it from a backup.")
    error.__cause__ = raised_by_full_database(tmp_path)
    assert isinstance(disk_error(home, error), DiskError)


def test_what_another_process_printed_counts(home: Home) -> None:
    """BentoML builds in a process of its own."""
    assert disk_error(home, RuntimeError("bentoml failed:\nOSError: [Errno 28] No space left on device")) is not None


def test_a_read_only_file_is_named(home: Home) -> None:
    """With its path, where the error has one."""
    error = OSError(errno.EROFS, os.strerror(errno.EROFS), "/somewhere/log")
    assert str(disk_error(home, error)).startswith("/somewhere/log cannot be written: it is on a file system, or in a folder,")
    told = sqlite3.OperationalError("attempt to write a readonly database")
    assert str(disk_error(home, told)).startswith(f"LOOPLINE_HOME={home.root} cannot be written")


def test_other_errors_are_not_the_disks(home: Home) -> None:
    """A missing file, a wrong value, and what SQLite says of a file that it may not open while there is room."""
    for error in (
        FileNotFoundError(2, "No such file"),
        ValueError("a"),
        sqlite3.OperationalError("unable to open database file"),
    ):
        assert disk_error(home, error) is None

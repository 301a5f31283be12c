"""A lock goes with the process that held it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from assets.storage.home import REPOSITORY, Home
from assets.storage.locks import exclusive, opened_warehouse


def _hold(lock: Path, held: multiprocessing.synchronize.Event, release: multiprocessing.synchronize.Event) -> None:
    with exclusive(lock):
        held.set()
        release.wait(30)


def test_a_second_process_waits_for_the_lock_and_knows_who_holds_it(tmp_path: Path) -> None:
    """The lock goes with the process that held it."""
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "lock", held, release))
    process.start()
    assert held.wait(30)
    told: list[str] = []

    def waiting(holder: str) -> None:
        told.append(holder)
        release.set()

    with exclusive(tmp_path / "lock", on_wait=waiting):
        process.join(30)
    assert told == [str(process.pid)]


def test_the_warehouse_is_opened_with_a_limit_of_memory_and_nowhere_else(tmp_path: Path) -> None:
    """Without one DuckDB keeps what it read: 18 GB for 33.7 million flights."""
    home = Home(tmp_path)
    home.warehouse.parent.mkdir()
    with opened_warehouse(home) as connection:
        assert connection.execute("select current_setting('memory_limit')").fetchone() == ("953.6 MiB",)
    modules = [path for package in ("assets", "orchestration") for path in (REPOSITORY / package).rglob("*.py")]
    assert [path.name for path in modules if "connect(str(home.warehouse" in path.read_text(encoding="utf-8")] == ["locks.py"]

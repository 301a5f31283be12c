"""A lock goes with the process that held it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from assets.storage.locks import exclusive


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

"""A quiet home: held so that no run goes on, for what must meet it unchanged, such as a backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from assets.errors import HomeError
from assets.storage.home import Home
from assets.storage.locks import exclusive
from orchestration.event_history import unfinished


@contextmanager
def quiet(home: Home, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the home's lock; a `loopline run` that goes on is waited for.

    Parameters
    ----------
    home : Home
        The home.
    on_wait : callable
        Called with the holder's process id if a run holds it.

    Raises
    ------
    HomeError
        If a run goes on that Dagster's daemon or UI started.
    """
    with exclusive(home.run_lock, on_wait=on_wait):
        for run_id, state in unfinished(home):
            raise HomeError(
                f"a run is going on: {run_id[:8]} ({state}). Try again when it has ended; if its process is gone, cancel it "
                "in the UI."
            )
        yield

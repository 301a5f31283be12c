"""Published service: a service of a published home, which takes new champions and publishes what it was asked and answered."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime
from types import FrameType

from assets.errors import LooplineError, StoreError
from assets.object_store import running_parts, sync_state
from assets.object_store.home_store import HomeStore
from assets.serving import bento_package
from bentos.day_file import PART
from orchestration.operations.storage import publication

FAILURES = (LooplineError, OSError, sqlite3.Error)
"""What a service outlives: a store that cannot be used, a full disk, a database that is locked, a ledger of another history."""
EVERY_SECONDS = 15.0
"""How often the store is asked whether another version is champion."""


def new_part() -> str:
    """The part of each day that a service which starts writes its log to, and no other."""
    return uuid.uuid4().hex[:8]


def take_first(store: HomeStore, product: str, on_wait: Callable[[str], None], problem: Callable[[str], None]) -> None:
    """Take what a service needs; where the store cannot be reached and a champion is here already, that one serves.

    Parameters
    ----------
    store, product
        The home and its store, and the product.
    on_wait : callable
        Called with the holder's process id if a run holds the home.
    problem : callable
        Told why nothing was taken.

    Raises
    ------
    StoreError
        If nothing can be taken, and no champion is here.
    """
    try:
        publication.take(store, on_wait, only=publication.for_service(product))
    except StoreError as error:
        if not bento_package.pointer(store.home, product).exists():
            raise
        problem(f"what was taken before is served: {error}")


def serve(
    store: HomeStore,
    product: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    problem: Callable[[str], None],
    every_seconds: float = EVERY_SECONDS,
) -> int:
    """Run a service until it ends or is told to, and publish its prediction log: days that are over, and all at its end.

    What is published is not written to any more, so that another machine may archive it or erase a person's rows from it.

    Parameters
    ----------
    store, product
        The home and its store, and the product.
    command, environment
        How the service is started.
    problem : callable
        Told why the store cannot be used; the service goes on meanwhile.
    every_seconds : float
        How often another champion is looked for, in a home that holds only what services need.

    Returns
    -------
    int
        The service's exit code.
    """
    lock, part = ExitStack(), environment.get(PART)
    held = [lock.enter_context(running_parts.running(store.home, part))] if part else []
    process = subprocess.Popen(list(command), env=dict(environment), pass_fds=held)

    def told_to_end(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            process.send_signal(number)

    before = {number: signal.signal(number, told_to_end) for number in (signal.SIGTERM, signal.SIGINT)}
    is_part = sync_state.read(store.home).only is not None
    day = running_parts.last_day(datetime.now(UTC))
    try:
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(every_seconds)
                break
            try:
                if is_part:
                    publication.take(store, lambda _: None, only=publication.for_service(product))
                if (today := running_parts.last_day(datetime.now(UTC))) != day:
                    publication.publish_served(store, product, before=date.fromisoformat(today))
                    day = today
            except FAILURES as error:
                problem(str(error))
        lock.close()
        try:
            publication.publish_served(store, product)
        except FAILURES as error:
            problem(f"the prediction log is not published: {error}")
    finally:
        lock.close()
        if process.poll() is None:  # nobody would look after it
            process.terminate()
        for number, handler in before.items():
            signal.signal(number, handler)
    return process.returncode

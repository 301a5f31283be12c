"""Ctrl-C: processes that it does not reach while they start, and libraries that make another error of it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

from assets.storage.error_chain import causes


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let SIGINT wait until the block ends; in a process that is started here it waits until `settled`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settled(handler: signal.Handlers) -> None:
    """Say what SIGINT does to this process, which was started while it was held back."""
    signal.signal(signal.SIGINT, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def heard() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT, or SIGTERM where it is handled, has come since the block began, whatever the handlers made of it.

    Libraries put handlers of their own in place, and some forget what these were told. Only the main thread can find out.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    numbers: set[int] = set()

    def has_come() -> bool:
        with contextlib.suppress(BlockingIOError):
            numbers.update(os.read(reading, 1 << 16))
        return bool(numbers & {signal.SIGINT, signal.SIGTERM})

    try:
        yield has_come
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        os.close(reading)


@contextlib.contextmanager
def as_keyboard_interrupt() -> Iterator[None]:
    """Let an interruption be a KeyboardInterrupt, for libraries that know no other, where another handler is in place."""
    is_main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if is_main}
    replaced = {number: handler for number, handler in known.items() if callable(handler)}
    for number in replaced:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is, or was raised by, what DuckDB makes of Ctrl-C while it works: an error as any other."""
    return any(type(item) is RuntimeError and str(item) == "Query interrupted" for item in causes(error))

"""Running parts: the parts of a day's log that services of this machine write to, which are published once they do not.

What was published may be changed elsewhere, so nobody may write to it here any more. A service holds a lock as long as it, or a
process that it started, is there.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assets.storage.home import Home

LAST_LINES = timedelta(minutes=1)
"""How long after the end of a day lines of it may still be written: of what was answered last."""
PART = re.compile(r"served/.+/(\d{4}-\d\d-\d\d)-([a-z0-9]{1,16})\.sqlite")


def last_day(now: datetime) -> str:
    """The earliest day (UTC) that a service may still write to at a moment (aware).

    Examples
    --------
    >>> [last_day(datetime(2026, 3, 2, 0, minute, tzinfo=UTC)) for minute in (0, 1)]
    ['2026-03-01', '2026-03-02']
    """
    return (now - LAST_LINES).astimezone(UTC).date().isoformat()


@contextmanager
def running(home: Home, part: str) -> Iterator[int]:
    """Hold a part of each day while a service writes to it; the descriptor that the service's processes inherit."""
    path = _lock(home, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        yield stream.fileno()
    if not _is_held(path):
        path.unlink(missing_ok=True)


def is_written_to(home: Home, path: str, now: datetime) -> bool:
    """Whether a service may still write to a file of the home, named by its relative path, at a moment (aware)."""
    found = PART.fullmatch(path)
    return found is not None and found[1] >= last_day(now) and _is_held(_lock(home, found[2]))


def _lock(home: Home, part: str) -> Path:
    return home.served / f"part-{part}.lock"


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False

"""The newest time that was seen: whoever sets the clock back does not make a key valid that has expired.

Each process goes on from there by its monotonic clock, and a file beside the keys hands it on to the next. A clock that ran
ahead by mistake is remembered too: keys expire early until the file is deleted and the service restarted.
"""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path

FILE = "clock"
"""The name of the file, in the folder of keys: one moment, ISO 8601 in UTC, always as long."""
STEP = 60.0
"""By how many seconds the file may lag behind."""


class ClockMark:
    """A clock that never goes back.

    Parameters
    ----------
    file : Path, optional
        Where the newest time is kept; where it cannot be written, or is no moment, this process still remembers it.

    Examples
    --------
    >>> clock = ClockMark()
    >>> clock.raise_to(4102444800.0)  # somebody saw the year 2100
    >>> clock.now() >= 4102444800.0
    True
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file, self.at = file, time.monotonic()
        self.seen = self.kept = self._read()

    def now(self) -> float:
        """The time in seconds since 1970; never before one that was seen."""
        at = time.monotonic()
        self.seen = max(time.time(), self.seen + at - self.at)
        self.at = at
        return self.seen

    def raise_to(self, moment: float) -> None:
        """Remember a time that somebody else saw, such as the one at which a key was made."""
        self.seen = max(self.seen, moment)

    def keep(self, step: float = STEP) -> None:
        """Hand the newest time on by the file, if it lags behind by a step."""
        if self.file is None or self.seen <= self.kept + step:
            return
        self.kept = max(self.seen, self._read())
        told = datetime.fromtimestamp(self.kept, UTC).isoformat(timespec="seconds").encode()
        with contextlib.suppress(OSError):  # a container may read its keys only
            number = os.open(self.file, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.pwrite(number, told, 0)
            finally:
                os.close(number)

    def _read(self) -> float:
        if self.file is None:
            return 0.0
        try:
            return datetime.fromisoformat(self.file.read_text(encoding="ascii")).timestamp()
        except (OSError, ValueError, TypeError):
            return 0.0

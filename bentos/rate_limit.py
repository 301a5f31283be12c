"""How often each caller may ask: a token bucket for each."""

from __future__ import annotations

from collections import OrderedDict

MOST = 10_000
"""How many callers are remembered; the one that was quiet longest is forgotten, and has a full bucket again."""


class RateLimit:
    """A bucket for each caller: it holds one second's requests, at least one, and fills steadily.

    Parameters
    ----------
    per_second : float
        How many requests a second a caller may make in the long run.
    """

    def __init__(self, per_second: float) -> None:
        self.per_second, self.size = per_second, max(1.0, per_second)
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str, now: float) -> float:
        """Take one request out of the caller's bucket.

        Parameters
        ----------
        caller : str
            Who asks.
        now : float
            A monotonic time, in seconds.

        Returns
        -------
        float
            0 if it may be answered; otherwise in how many seconds the next one may be.
        """
        left, before = self.buckets.get(caller, (self.size, now))
        left = min(self.size, left + (now - before) * self.per_second)
        is_allowed = left >= 1
        self.buckets[caller] = (left - 1 if is_allowed else left, now)
        self.buckets.move_to_end(caller)
        if len(self.buckets) > MOST:
            self.buckets.popitem(last=False)
        return 0.0 if is_allowed else (1 - left) / self.per_second

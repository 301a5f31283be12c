"""Fallbacks of a service: whether a fallback answers in the place of the model, and why."""

from __future__ import annotations

from bentos.fallback_served import FallbackServed, falling_back
from bentos.metrics import Metrics
from bentos.served import Served
from bentos.wire import say

MITIGATION = "mitigation"
"""A person said so: `loopline mitigate PRODUCT --how fallback`."""


class Fallbacks:
    """Says of each request whether a fallback answers it.

    Parameters
    ----------
    metrics : Metrics
        Where it is told that one does.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.mitigation: FallbackServed | None = None

    def follow(self, champion: Served | None, *, is_wanted: bool) -> None:
        """Take who the champion is, and whether a person wants its fallback to answer; where there is none, it cannot."""
        before, self.mitigation = self.mitigation, None
        if is_wanted and champion is not None and champion.fallback is not None:
            self.mitigation = falling_back(champion, MITIGATION)
        elif is_wanted and champion is not None:
            say(event="fallback", problem="the champion was packaged without one, so it answers itself: `loopline run`")
        if (before is None) != (self.mitigation is None):
            say(event="fallback", reason=MITIGATION, answers=self.mitigation is not None)
        self.metrics.fallback.labels(MITIGATION).set(self.mitigation is not None)

    def instead_of(self, champion: Served) -> Served | None:
        """Who answers in the place of the champion and of all arms; None where they do themselves."""
        del champion
        return self.mitigation

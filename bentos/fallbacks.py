"""Fallbacks of a service: whether a fallback answers in the place of the model, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bentos.circuit_breaker import CLOSED, HALF_OPEN, OPEN, CircuitBreaker
from bentos.exchange import Exchange
from bentos.fallback import BREAKER, MITIGATION
from bentos.fallback_served import FallbackServed, falling_back
from bentos.metrics import Metrics
from bentos.served import Served
from bentos.wire import say

SHOWN = {CLOSED: 0.0, HALF_OPEN: 0.5, OPEN: 1.0}
"""What the metric is in each state of the breaker."""


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
        self.breaker: CircuitBreaker | None = None
        self._broken: FallbackServed | None = None
        self._features: tuple[str, ...] = ()

    def serve(self, champion: Served | None) -> None:
        """Watch by the breaker of whoever is champion from now on; the same one's goes on."""
        before, self._broken = self._broken, None
        fallback = None if champion is None else champion.fallback
        record = None if fallback is None else fallback.record.get("breaker")
        if champion is None or fallback is None or record is None:
            self.breaker = None
        else:
            self._broken, self._features = falling_back(champion, BREAKER), champion.bodies.features
            if before is None or before.answering.digest != fallback.digest or self.breaker is None:
                self.breaker = CircuitBreaker(record, self._features, self._changed)
        self.metrics.fallback.labels(BREAKER).set(0.0 if self.breaker is None else SHOWN[self.breaker.state])

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

    def instead_of(self) -> Served | None:
        """Who answers in the place of the champion and of all arms; None where they do themselves."""
        if self.mitigation is None and self.breaker is not None and self.breaker.state == OPEN:
            return self._broken
        return self.mitigation

    def watch(self, exchange: Exchange, rows: Sequence[Sequence[Any]]) -> None:
        """Let the breaker see the rows of a request; if it says so, the fallback answers this one already."""
        if self.breaker is None:
            return
        served = exchange.answering
        # a request that began with a champion of other features is answered by that one
        if served.bodies.features == self._features and self.breaker.look(rows) and not served.is_fallback:
            exchange.served = self._broken

    def explain(self, exchange: Exchange, row: Sequence[Any]) -> None:
        """Let a row be explained by who would answer it; the breaker does not count it."""
        served, breaker = exchange.answering, self.breaker
        if breaker is None or breaker.state != HALF_OPEN or served.is_fallback or served.bodies.features != self._features:
            return
        if breaker.ranges.outside(row):
            exchange.served = self._broken

    def _changed(self, state: str, features: Mapping[str, int]) -> None:
        self.metrics.fallback.labels(BREAKER).set(SHOWN[state])
        say(event="breaker", state=state, rows_out_of_range=features)

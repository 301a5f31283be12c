"""Circuit breaker: opens while what is asked is surely not what the model was trained for, and closes when it is again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bentos.training_ranges import TrainingRanges

CLOSED, HALF_OPEN, OPEN = "closed", "half open", "open"
MOST_ROWS = 50
"""How many rows of a request are looked at, spread evenly over it: all of a large batch would slow it down."""
NAMED = 5
"""How many features a change of state names."""


class CircuitBreaker:
    """Watches the share of rows out of range among the latest rows.

    Closed, it opens at a count that chance reaches less often than is declared. Open, it is half open once a whole window of
    rows holds no more out of range than is tolerated. Half open, it opens at the same count, or closes after a window.

    Parameters
    ----------
    record : mapping
        ``ranges``, as `TrainingRanges` takes them; ``window_rows``; and the counts ``trips_at`` and ``returns_at``.
    features : sequence of str
        The order of a row's values.
    on_change : callable
        Told the new state, and what of the window was out of range, by feature.
    """

    def __init__(
        self,
        record: Mapping[str, Any],
        features: Sequence[str],
        on_change: Callable[[str, Mapping[str, int]], None] = lambda _, __: None,
    ) -> None:
        self.ranges = TrainingRanges(record["ranges"], features)
        self.window_rows: int = record["window_rows"]
        self.trips_at, self.returns_at = int(record["trips_at"]), int(record["returns_at"])
        self.on_change = on_change
        self.state = CLOSED
        self.window: deque[tuple[str, ...]] = deque()
        self.count = 0
        """The rows of the window that are out of range."""

    def look(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Watch the rows of a request; whether the fallback is to answer it.

        Half open, the model answers the requests whose rows are all in range.
        """
        looked_at = rows if len(rows) == 1 else rows[:: -(-len(rows) // MOST_ROWS)]
        window, outside, is_any = self.window, self.ranges.outside, False
        for row in looked_at:
            names = outside(row)
            window.append(names)
            if names:
                is_any = True
                self.count += 1
            if len(window) > self.window_rows and window.popleft():
                self.count -= 1
            if self.count >= self.trips_at or self.state != CLOSED:
                self._turn()
        return self.state == OPEN or (self.state == HALF_OPEN and is_any)

    def _turn(self) -> None:
        """Change the state, if the window says so."""
        is_full = len(self.window) >= self.window_rows
        if self.state == OPEN:
            if is_full and self.count <= self.returns_at:
                self._become(HALF_OPEN)
        elif self.count >= self.trips_at:
            self._become(OPEN)
        elif is_full and self.state == HALF_OPEN:
            self._become(CLOSED)

    def _become(self, state: str) -> None:
        """Change the state; what was seen before says nothing of the next one."""
        self.state = state
        named = Counter(name for names in self.window for name in names)
        self.window.clear()
        self.count = 0
        self.on_change(state, dict(named.most_common(NAMED)))


def rows_of(columns: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """As many rows of columns as are looked at, spread evenly over them."""
    step = -(-len(next(iter(columns.values()))) // MOST_ROWS)
    taken = (values[::step] for values in columns.values())
    return list(zip(*(values if isinstance(values, list) else values.tolist() for values in taken), strict=True))

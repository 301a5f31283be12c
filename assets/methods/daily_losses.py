"""Daily losses: the mean loss of each day on which labels arrived, and whether it changed (ADWIN, `changes`).

Single rows are not asked: their loss moves with every rush hour. The days since the last change are kept as numbers, so that
they can be written as text and the detector is made again from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assets.methods.changes import GRACE, changes

FEWEST_DAYS = 3 * GRACE
"""The days by whose deviation the others are scaled; before them nothing is asked."""


@dataclass
class DailyLosses:
    """The mean losses of whole days since the last change, and the sum of the day that goes on.

    Parameters
    ----------
    days : list of float
        The mean loss of each day, in order of the arrival of labels.
    day : int or None
        The number of the day that goes on.
    total, rows : float, int
        The sum of its losses, and how many they are.
    """

    days: list[float] = field(default_factory=list)
    day: int | None = None
    total: float = 0.0
    rows: int = 0

    def add(self, day: int, loss: float) -> bool:
        """Count a loss; whether the day before it, which is over now, shows a change.

        A change empties the list: what comes is held against what comes after it.
        """
        changed = False
        if day != self.day:
            changed = self._end_day()
            self.day, self.total, self.rows = day, 0.0, 0
        self.total += loss
        self.rows += 1
        return changed

    def _end_day(self) -> bool:
        if self.rows:
            self.days.append(self.total / self.rows)
        if len(self.days) < FEWEST_DAYS:
            return False
        found = changes(np.array(self.days))
        # a change among the first days could not be told before there were so many
        if found and (found[-1] == len(self.days) - 1 or len(self.days) == FEWEST_DAYS):
            self.days.clear()
            return True
        return False

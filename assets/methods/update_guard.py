"""Update guard: evidence that a model that goes on learning does worse than the one that was judged.

Each label is held against two answers: that of the updated model and that of the promoted one. By how much the first was
worse lies from -1 to 1. The means of blocks of labels, cut at `MOST`, are bet on (`shortfall`): while a block's is on average
no more than 0, whatever came before, the chance that the guard ever speaks is at most one minus its confidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assets.methods.ranking import Array
from assets.methods.shortfall import STAKES

BLOCK = 100
"""The labels of a block: outcomes of one hour are alike, so that single ones would be bet on too boldly."""
MOST = 0.1
"""The largest mean of a block that is bet on: bets must not lose more than there is, and means of 1 do not occur."""


def worse(kind: str, labels: Array, updated: Array, promoted: Array) -> Array:
    """By how much each updated answer was worse than the promoted one, from -1 to 1, shape (n_samples,).

    Of probabilities it is the difference of their squared errors. Errors of values have no bound, so their difference is
    taken in parts of the larger one.

    Examples
    --------
    >>> worse("binary", np.array([1.0, 0.0]), np.array([0.5, 0.0]), np.array([1.0, 0.0])).tolist()
    [0.25, 0.0]
    >>> worse("regression", np.array([10.0, 10.0]), np.array([14.0, 10.0]), np.array([12.0, 11.0])).tolist()
    [0.5, -1.0]
    """
    off, before = np.abs(updated - labels), np.abs(promoted - labels)
    if kind == "binary":
        return np.asarray(off**2 - before**2)
    larger = np.maximum(off, before)
    return np.asarray((off - before) / np.where(larger > 0, larger, 1.0))


@dataclass
class UpdateGuard:
    """The evidence so far; all of it are numbers, so that it is kept beside the state.

    Parameters
    ----------
    capital : list of float
        Of each bet.
    blocks : int
        The blocks that are over.
    total, rows : float, int
        Of the block that goes on: the sum, and its labels.
    """

    capital: list[float] = field(default_factory=lambda: [0.0] * len(STAKES))
    blocks: int = 0
    total: float = 0.0
    rows: int = 0

    def add(self, differences: Array) -> float:
        """Count labels; the evidence after them, or the largest on the way: 100 or more speaks at a confidence of 0.99."""
        largest = self.evidence
        for difference in differences.tolist():
            self.total += difference
            self.rows += 1
            if self.rows == BLOCK:
                self._end_block()
                largest = max(largest, self.evidence)
        return largest

    @property
    def evidence(self) -> float:
        """The mean capital, with the part that is kept for a change yet to come."""
        return float(np.mean(self.capital)) + 1 / (self.blocks + 1)

    def _end_block(self) -> None:
        by = min(max(self.total / self.rows, -MOST), MOST) / MOST
        self.blocks += 1
        started = 1 / (self.blocks * (self.blocks + 1))
        self.capital = [(held + started) * (1 + stake * by) for held, stake in zip(self.capital, STAKES.tolist(), strict=True)]
        self.total, self.rows = 0.0, 0

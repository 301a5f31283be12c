"""Circuit breaker: from how many rows out of range in a window on it is sure that more are than is tolerated.

Let each row be out of range with a probability of at most p, given all rows before it. Then the count in any window of w rows
is, stochastically, no larger than a binomial variable of w and p, and so is that of a window that is not full yet. If a
breaker opens when the count reaches c, each opening is at a row whose window holds at least c, so the expected number of
openings among n rows is at most n P(Binomial(w, p) >= c), however the rows are cut into requests, and however often one
looks.
"""

from __future__ import annotations

import math

import numpy as np

from assets.methods.ranking import Array

MILLION = 1_000_000


def trips_at(window: int, share: float, false_trips: float) -> int | None:
    """The smallest count that is reached by chance no more often than is allowed.

    Parameters
    ----------
    window : int
        The rows in the window.
    share : float
        The share of rows out of range that is tolerated.
    false_trips : float
        The expected openings in a million rows, at most, while no larger share is out of range.

    Returns
    -------
    int or None
        None if no count of the window is rare enough.

    References
    ----------
    The tail is exact (Clopper and Pearson, 1934), and summed over rows (Bonferroni).

    Examples
    --------
    >>> trips_at(200, 0.05, 0.01), trips_at(20, 0.05, 0.01), trips_at(20, 0.9, 0.01)
    (32, 11, None)
    """
    from scipy.stats import binom

    tails = binom.sf(np.arange(window + 1) - 1, window, share)
    rare = np.flatnonzero(tails <= false_trips / MILLION)
    return int(rare[0]) if len(rare) else None


def returns_at(window: int, share: float) -> int:
    """The count up to which a whole window says that the inputs are back: what is tolerated of it.

    Examples
    --------
    >>> returns_at(200, 0.05)
    10
    """
    return math.ceil(window * share - 1e-9)


def worst_window(is_out: Array, window: int) -> float:
    """The largest share of any window of consecutive rows; of all rows, where they are fewer than a window.

    Examples
    --------
    >>> worst_window(np.array([1.0, 0, 0, 1, 1, 0]), 2), worst_window(np.array([1.0, 0]), 4)
    (1.0, 0.5)
    """
    size = min(window, len(is_out))
    if size == 0:
        return 0.0
    sums = np.concatenate([[0.0], np.cumsum(is_out)])
    return float((sums[size:] - sums[:-size]).max() / size)

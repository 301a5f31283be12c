"""Adaptive conformal inference: thresholds that follow the labels day by day, so that the coverage holds in a changing world.

Each day's threshold is a quantile of the scores that were known before the day began, of the last days; its level makes up for
the misses that were known by then. Labels that arrive late count from the day after they arrive, against the threshold that
their rows were answered with.

Two departures from the paper. The scores are those of the last days, not of the calibration alone, so that the level has less
to make up for. And the level stays where the quantile is a score that was seen: an answer without end helps nobody.

References
----------
Gibbs and Candès (2021), Adaptive conformal inference under distribution shift, NeurIPS 34, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.methods import conformal
from assets.methods.ranking import Array

GAMMA = 0.05
"""How much of a day's difference from the promised coverage is made up at once, at most."""
WINDOW = 28
"""The days whose scores choose a threshold: whole weeks, as days of the week differ."""
FULL = 10
"""The labels of a day from which a step is a whole one; of fewer each makes up for 0.005, the paper's step for one row."""

Days = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Followed:
    """What following the labels came to.

    Parameters
    ----------
    reach : ndarray of shape (n_samples,)
        The threshold that each row was answered with.
    threshold, level : float
        What comes next is answered with, and the level of misses at which that quantile was taken.
    labels : int
        How many labels were followed.
    """

    reach: Array
    threshold: float
    level: float
    labels: int


def follow(
    scores: Array,
    asked: Days,
    known: Days,
    pool: Array,
    *,
    coverage: float,
    start: int,
    end: int,
    gamma: float = GAMMA,
    window: int = WINDOW,
) -> Followed:
    """Answer each day with what was known before it.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        How badly each outcome fits its answer; NaN where it is not known.
    asked, known : ndarray of int of shape (n_samples,)
        The day of each answer, and the first day that begins with its label known.
    pool : ndarray of shape (n_calibration,)
        The scores of the calibration, which choose the threshold until the days that follow have scores enough.
    coverage : float
        The promised share.
    start, end : int
        The first day, and the first that nothing is known of yet: `threshold` is for it.
    gamma, window
        See `GAMMA` and `WINDOW`.
    """
    is_told = ~np.isnan(scores)
    order = np.flatnonzero(is_told)[np.argsort(known[is_told], kind="stable")]
    arrivals, arrived = known[order], scores[order]
    by_day = np.argsort(asked, kind="stable")
    days = asked[by_day]
    reach, level = np.empty(len(scores)), 1 - coverage
    threshold = conformal.quantile(pool, coverage)
    for day in range(start, end + 1):
        first, last = np.searchsorted(arrivals, (day, day + 1))
        if last > first and day > start:
            new = order[first:last]
            missed = float(np.mean(scores[new] > reach[new]))
            step = gamma * min(1.0, len(new) / FULL)
            level = conformal.next_level(level, missed, coverage=coverage, gamma=step)
        recent = arrived[np.searchsorted(arrivals, day - window, side="right") : last]
        scored = recent if len(recent) >= conformal.FEWEST and day - start >= window // 4 else pool
        level = float(np.clip(level, 1 / (len(scored) + 1), 1 - 1 / (len(scored) + 1)))
        threshold = conformal.quantile(scored, 1 - level)
        low, high = np.searchsorted(days, (day, day + 1))
        reach[by_day[low:high]] = threshold
    return Followed(reach, threshold, level, len(order))


def summary(scores: Array, most: int = 199) -> Array:
    """The scores of a calibration, evenly thinned to a few that have the same quantiles.

    Examples
    --------
    >>> summary(np.arange(1.0, 1000.0)).tolist()[:2], len(summary(np.arange(1.0, 1000.0)))
    ([5.0, 10.0], 199)
    >>> summary(np.array([2.0, 1.0])).tolist()
    [1.0, 2.0]
    """
    ordered = np.sort(scores)
    if len(ordered) <= most:
        return ordered
    ranks = np.ceil((len(ordered) + 1) * np.arange(1, most + 1) / (most + 1)).astype(int)
    return np.asarray(ordered[np.minimum(ranks, len(ordered)) - 1])

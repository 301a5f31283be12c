"""Policies on the same days: what each costs, how far that may be chance, and how much dearer each is than the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.methods.ranking import Array


@dataclass(frozen=True)
class PolicyCost:
    """What a policy costs, among those that were played.

    Parameters
    ----------
    total, low, high : float
        What it costs over all days, with its interval.
    regret, regret_low, regret_high : float
        How much more it costs than the one that is best in hindsight; 0 for that one.
    best_share : float
        The share of draws in which none is cheaper.
    """

    total: float
    low: float
    high: float
    regret: float
    regret_low: float
    regret_high: float
    best_share: float


def block_days(days: int, block: int, replicates: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Draws of days in blocks of neighbours, the last day followed by the first (Politis and Romano 1992).

    Parameters
    ----------
    days : int
        How many days there are.
    block : int
        The days of a block.
    replicates : int
        How often to draw.
    seed : int
        The seed of the draws.

    Returns
    -------
    ndarray of int of shape (replicates, days)
        The place of each drawn day.

    Examples
    --------
    >>> block_days(4, 2, 1, seed=0).shape
    (1, 4)
    """
    random = np.random.default_rng(seed)
    starts = random.integers(0, days, (replicates, -(-days // block)))
    drawn = (starts[:, :, None] + np.arange(block)) % days
    return np.asarray(drawn.reshape(replicates, -1)[:, :days])


def costs_of(daily: Array, fixed: Array, *, block: int, replicates: int, confidence: float, seed: int) -> list[PolicyCost]:
    """What each policy costs; the same days are drawn for all, so that what they share is no uncertainty between them.

    Parameters
    ----------
    daily : ndarray of shape (n_policies, n_days)
        What each day cost under each policy.
    fixed : ndarray of shape (n_policies,)
        What a policy costs beside its days, such as its trainings.
    block, replicates, seed
        See `block_days`.
    confidence : float
        The level of the intervals.
    """
    places = block_days(daily.shape[1], block, replicates, seed)
    drawn = daily[:, places].sum(axis=2) + fixed[:, None]
    totals = daily.sum(axis=1) + fixed
    best = int(np.argmin(totals))
    cheapest = drawn <= drawn.min(axis=0)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    found = []
    for own, total, is_best in zip(drawn, totals, cheapest, strict=True):
        low, high = np.quantile(own, ends)
        regret_low, regret_high = np.quantile(own - drawn[best], ends)
        found.append(
            PolicyCost(
                float(total),
                float(low),
                float(high),
                float(total - totals[best]),
                float(regret_low),
                float(regret_high),
                float(is_best.mean()),
            )
        )
    return found

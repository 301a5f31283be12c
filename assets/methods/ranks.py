"""Ranks: whether two lists of figures put things in the same order."""

from __future__ import annotations

import numpy as np

from assets.methods.ranking import Array


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's rank correlation of two lists of shape (n,), ties sharing their mean rank; 1 if either is constant.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 5.0]), np.array([10.0, 20.0, 30.0]))
    1.0
    """
    ranks = [_ranks(values) for values in (first, second)]
    spread = float(np.sqrt(np.prod([((rank - rank.mean()) ** 2).sum() for rank in ranks])))
    if spread == 0:
        return 1.0
    return float(((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())).sum() / spread)


def _ranks(values: Array) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], dtype=np.float64)

"""Shapley shares: how much of a figure each of several groups accounts for (Shapley 1953), exactly where the groups are few.

Of more groups, random orders in which groups are added are averaged (Castro, Gómez and Tejada 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

import numpy as np

MOST_EXACT = 8
"""So many groups have 256 subsets; more are sampled."""


def shares(
    names: Sequence[str], value: Callable[[frozenset[str]], float], *, orders: int = 50, seed: int = 0
) -> dict[str, float]:
    """What each group adds to the value, averaged over the orders in which groups can be added; they sum to the whole.

    Parameters
    ----------
    names : sequence of str
        The groups.
    value : callable
        The value of a set of groups; it is asked once for each set.
    orders, seed : int
        How many random orders are averaged where there are more than `MOST_EXACT` groups, and their seed.

    Examples
    --------
    >>> shares(["a", "b", "c"], lambda some: 6.0 * ({"a", "b"} <= some))
    {'a': 3.0, 'b': 3.0, 'c': 0.0}
    """
    known: dict[frozenset[str], float] = {}

    def of(some: frozenset[str]) -> float:
        if some not in known:
            known[some] = value(some)
        return known[some]

    found = dict.fromkeys(names, 0.0)
    if len(names) <= MOST_EXACT:
        for name in names:
            others = [other for other in names if other != name]
            for size in range(len(names)):
                weight = 1 / (len(names) * comb(len(names) - 1, size))
                for before in map(frozenset, combinations(others, size)):
                    found[name] += weight * (of(before | {name}) - of(before))
        return found
    random = np.random.default_rng(seed)
    for _ in range(orders):
        added: frozenset[str] = frozenset()
        for place in random.permutation(len(names)):
            name = names[place]
            found[name] += (of(added | {name}) - of(added)) / orders
            added |= {name}
    return found

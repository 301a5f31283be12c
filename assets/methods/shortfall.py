"""Evidence that a rate has become larger than it may be, whenever that began and however often one looks.

A bet on each day's rate: capital that starts on each day with a share of its own, and grows where the rate is above the bound.
While no day's expected rate, given the days before, is above the bound, the capital is a martingale at most, and by Ville's
inequality ever reaches 1 / alpha with a probability of alpha at most.

References
----------
Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86, section 4: the bets.
Shin, Ramdas and Rinaldo (2024), E-detectors: a nonparametric framework for sequential change detection: capital that starts on
each day. Their detector adds it up; here the shares are a prior on the day of the change, which keeps an error probability.
"""

from __future__ import annotations

import numpy as np

from assets.methods.ranking import Array

STAKES = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
"""The bets that are mixed, in parts of the largest that cannot lose more than there is."""


def evidence(rates: Array, bound: float) -> Array:
    """The capital after each day, shape (n_days,); 20 or more is evidence at an error rate of 5 %.

    Parameters
    ----------
    rates : ndarray of shape (n_days,)
        Each day's rate, from 0 to 1, in order.
    bound : float
        The largest rate that may be, between 0 and 1.

    Examples
    --------
    >>> bool(evidence(np.full(100, 0.1), 0.1)[-1] < 20), bool(evidence(np.full(100, 0.25), 0.1)[-1] > 1000)
    (True, True)
    """
    stakes = STAKES / bound
    capital, found = np.zeros(len(stakes)), np.empty(len(rates))
    for day, rate in enumerate(rates, start=1):
        # the share of a change on this day is 1 / (day (day + 1)); what is left for later days is 1 / (day + 1)
        capital = (capital + 1 / (day * (day + 1))) * (1 + stakes * (rate - bound))
        found[day - 1] = capital.mean() + 1 / (day + 1)
    return found

"""The interval of a share of rows whose units, not whose rows, are independent; also where none or nearly all rows count.

Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive counts estimated from
survey data", Survey Methodology 24. The interval of Clopper and Pearson (1934) is taken of as many independent rows as would
know the share equally well.
"""

from __future__ import annotations

import math


def share_interval(share: float, error: float, units: int, rows: float, *, alpha: float) -> tuple[float, float]:
    """The two-sided interval of a share, for a single look.

    Parameters
    ----------
    share : float
        Of the rows, in [0, 1].
    error : float
        Its standard error over units; of no use, and not read, where the share is 0 or 1.
    units : int
        The independent units, at least 1.
    rows : float
        Their rows, which are the most that the units can be worth.
    alpha : float
        The error rate, in (0, 1).

    Returns
    -------
    low, high : float
        In [0, 1].

    Raises
    ------
    ValueError
        If there is no unit, or the share or the error rate lies outside its range.

    Examples
    --------
    Of rows that are units it is the exact interval, here of 1 in 11; and no row in 300 leaves 1 % possible (the rule of three):

    >>> error = (1 / 11 * 10 / 11 / 11) ** 0.5
    >>> [round(bound, 4) for bound in share_interval(1 / 11, error, 11, 11, alpha=0.05)]
    [0.0023, 0.4128]
    >>> [round(bound, 4) for bound in share_interval(0.0, 0.0, 300, 300, alpha=0.1)]
    [0.0, 0.0099]
    """
    from scipy.special import betaincinv

    if units < 1 or not 0 <= share <= 1 or not 0 < alpha < 1:
        raise ValueError(
            f"no interval of share {share} of {units} units at {alpha}: give a unit, and a share and a rate in [0, 1]."
        )
    worth = float(units)
    if 0 < share < 1:
        worth = min(share * (1 - share) / error**2, rows) if error > 0 and math.isfinite(error) else 1.0
    ones = share * worth
    low = 0.0 if ones == 0 else float(betaincinv(ones, worth - ones + 1, alpha / 2))
    high = 1.0 if share == 1 else float(betaincinv(ones + 1, worth - ones, 1 - alpha / 2))
    return low, high

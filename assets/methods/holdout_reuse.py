"""What it costs to look at the same holdout rows again and again: how wide an honest interval is, and the Ladder.

Whoever keeps the best of several variants keeps the luckiest, too. Variants that were fixed beforehand share the error of one
interval (Bonferroni), and the best is flattered by at most ``sqrt(2 ln k)`` standard errors. Variants that were chosen by what
earlier looks told can be flattered as if the rows had been split among the looks (Dwork, Feldman, Hardt, Pitassi, Reingold and
Roth, The reusable holdout, Science 349, 2015). The Ladder tells so little that its figure stays true however many variants
are chosen by it (Blum and Hardt, The Ladder, ICML 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """What the Ladder answers.

    Parameters
    ----------
    released : float
        The figure of the best variant so far, rounded.
    climbed : bool
        Whether the variant that was asked about is this best one.
    """

    released: float
    climbed: bool


def ladder(before: float | None, value: float, error: float, rows: int, *, sign: float) -> Rung:
    """Answer one variant by the parameter-free Ladder (Blum and Hardt 2015, figure 2).

    A variant that is not better than the figure released before by more than the standard error of its difference to that
    variant is answered with the figure released before, so nothing is learnt of it.

    Parameters
    ----------
    before : float or None
        What was released last; None at the first variant.
    value : float
        The variant's metric on the holdout rows.
    error : float
        The standard error of its difference to the best variant so far, paired on the same rows.
    rows : int
        The number of holdout rows; figures are rounded to multiples of ``1 / rows``.
    sign : float
        -1 if a lower metric is better, else 1.

    Examples
    --------
    >>> ladder(None, 0.7004, 0.01, 1000, sign=1.0)
    Rung(released=0.7, climbed=True)
    >>> ladder(0.7, 0.705, 0.01, 1000, sign=1.0)
    Rung(released=0.7, climbed=False)
    >>> ladder(0.7, 0.7204, 0.01, 1000, sign=1.0)
    Rung(released=0.72, climbed=True)
    """
    if before is not None and not sign * (value - before) > error:
        return Rung(before, climbed=False)
    return Rung(round(round(value * rows) / rows, 12), climbed=True)


def shared_confidence(confidence: float, looks: int) -> float:
    """The confidence of each of several intervals that hold together at the asked one (Bonferroni).

    Examples
    --------
    >>> round(shared_confidence(0.95, 10), 4)
    0.995
    """
    return 1 - (1 - confidence) / max(1, looks)


def widening(confidence: float, looks: int) -> float:
    """By what factor a two-sided normal interval grows that holds for the best of several variants fixed beforehand.

    Examples
    --------
    >>> [round(widening(0.95, looks), 2) for looks in (0, 1, 10, 100)]
    [1.0, 1.0, 1.43, 1.78]
    """
    from scipy.stats import norm

    alone, shared = (norm.ppf((1 + level) / 2) for level in (confidence, shared_confidence(confidence, looks)))
    return float(shared / alone)


def flattery(error: float, looks: int) -> float:
    """The most by which the expected figure of the best of several variants exceeds what it is worth.

    It holds however the figures depend on each other, for normal errors (Boucheron, Lugosi and Massart, Concentration
    Inequalities, 2013, section 2.5).

    Examples
    --------
    >>> round(flattery(0.01, 1), 4), round(flattery(0.01, 10), 4)
    (0.0, 0.0215)
    """
    return error * math.sqrt(2 * math.log(max(1, looks)))


def widening_of_chosen(looks: int) -> float:
    """By what factor an interval grows of rows that are split among the looks, so that no look is chosen by its own rows.

    Looks at whole rows that are chosen by what earlier looks told can err by as much (Dwork and others 2015).

    Examples
    --------
    >>> widening_of_chosen(9)
    3.0
    """
    return math.sqrt(max(1, looks))

"""Online control of false discoveries: at which level the next hypothesis of an endless stream may be tested.

Each test spends its level, and each discovery earns back: so a stream of tests can go on for ever while the false discoveries
stay a bounded share of all discoveries. The state is nothing but the past: what each test spent, and whether it rejected.

LORD++: Ramdas, Yang, Wainwright and Jordan (2017), "Online control of the false discovery rate with decaying memory", after
Javanmard and Montanari (2018). e-LOND: Xu and Ramdas (2024), "Online multiple testing with e-values".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

INITIAL_SHARE = 0.5
"""The share of the budget that can be spent before the first discovery."""


@dataclass(frozen=True)
class Spent:
    """A test of the past.

    Parameters
    ----------
    level : float
        The level at which it was tested.
    is_rejected : bool
        Whether the hypothesis was rejected: a discovery.
    """

    level: float
    is_rejected: bool


def front_loaded(number: int) -> float:
    """The share of a budget for its test of this number, from 1: one over ``number * (number + 1)``, which adds up to 1.

    It gives much to the first tests. A model product is judged some dozens of times in its life, not thousands.

    Examples
    --------
    >>> front_loaded(1), round(sum(front_loaded(number) for number in range(1, 1000)), 3)
    (0.5, 0.999)
    """
    return 1 / (number * (number + 1))


def lord_level(
    past: Sequence[Spent],
    budget: float,
    *,
    initial_share: float = INITIAL_SHARE,
    series: Callable[[int], float] = front_loaded,
) -> float:
    """The level of the next test by LORD++: reject if its p-value is at most that.

    The expected false discoveries are at most the budget times the expected discoveries (at least one), if each p-value is
    valid given the past; where p-values are independent, the false discovery rate itself is at most the budget. An e-value is
    used as the p-value ``1 / e``.

    Parameters
    ----------
    past : sequence of Spent
        All tests so far, in order; their levels may have been others.
    budget : float
        The largest share of false discoveries, from 0 to 1.
    initial_share : float
        The share of the budget that can be spent before the first discovery.
    series : callable
        The share of what is earned for each later test, by its number from 1; it must not grow, and add up to 1 at most.

    Returns
    -------
    float
        Above 0.

    Examples
    --------
    Two tests without a discovery, then one: levels fall, and rise again.

    >>> past = []
    >>> for is_rejected in (False, False, True, False):
    ...     past.append(Spent(lord_level(past, 0.1), is_rejected))
    >>> [round(item.level, 4) for item in past]
    [0.025, 0.0083, 0.0042, 0.0275]
    """
    number = len(past) + 1
    discoveries = [place for place, item in enumerate(past, start=1) if item.is_rejected]
    initial = initial_share * budget
    level = series(number) * initial
    if discoveries:
        level += (budget - initial) * series(number - discoveries[0])
    return level + budget * sum(series(number - place) for place in discoveries[1:])


def e_lond_level(past: Sequence[Spent], budget: float, *, series: Callable[[int], float] = front_loaded) -> float:
    """The level of the next test by e-LOND: reject if its e-value is at least one over that.

    The false discovery rate is at most the budget, however the e-values depend on each other.

    Parameters
    ----------
    past, budget, series
        See `lord_level`.

    Examples
    --------
    >>> [round(e_lond_level([Spent(0.05, is_rejected)], 0.1), 4) for is_rejected in (False, True)]
    [0.0167, 0.0333]
    """
    return budget * series(len(past) + 1) * (1 + sum(item.is_rejected for item in past))


def spent(past: Sequence[Spent]) -> float:
    """What all tests have spent: the expected false discoveries are at most so many, if all hypotheses were true."""
    return sum(item.level for item in past)


def left(past: Sequence[Spent], budget: float) -> float:
    """What is left to spend: the budget for each discovery (for one, before there is any) less what was spent.

    As long as it is not negative, the estimated share of false discoveries (Ramdas and others 2017, equation 3) is within the
    budget. Levels of `lord_level` never make it negative.

    Examples
    --------
    >>> round(left([Spent(0.05, True), Spent(0.05, False), Spent(0.05, True)], 0.1), 3)
    0.05
    """
    return budget * max(1, sum(item.is_rejected for item in past)) - spent(past)

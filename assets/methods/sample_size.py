"""How large an experiment must be for a test at a fixed horizon: power, and the effect that can be found.

An effect is measured in its own standard errors: the noncentrality of the test. What remains is to know the standard error
that a duration gives, which `relative_error` works out from units.

Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), chapter 2; van Belle, Statistical Rules of Thumb (2008).
"""

from __future__ import annotations

import numpy as np

INFINITE = float("inf")


def noncentrality(false_positive: float, power: float, degrees: float = INFINITE) -> float:
    """The effect, in standard errors, that a two-sided test at a fixed horizon finds with a given power.

    Parameters
    ----------
    false_positive, power : float
        The level of the test, and the probability with which it must find the effect.
    degrees : float
        The degrees of freedom of the standard error: the units of both arms less two; infinite for a normal test.

    Returns
    -------
    float
        The sum of both quantiles of Student's t (Cohen 1988).

    Examples
    --------
    Half a standard deviation, 5 % and 80 %, needs 64 units in each arm:

    >>> error = (2 / 64) ** 0.5
    >>> round(noncentrality(0.05, 0.8, degrees=126) * error, 3)
    0.499
    >>> round(noncentrality(0.05, 0.8), 4)
    2.8016
    """
    from scipy.stats import t

    return float(t.ppf(1 - false_positive / 2, degrees) + t.ppf(power, degrees))


def power_of(effect: float, false_positive: float, degrees: float = INFINITE) -> float:
    """The probability with which a two-sided test at a fixed horizon finds an effect, in its direction.

    Parameters
    ----------
    effect : float
        The effect in standard errors, above 0.
    false_positive, degrees
        See `noncentrality`, of which this is the inverse.

    Examples
    --------
    >>> round(power_of(noncentrality(0.05, 0.8), 0.05), 3)
    0.8
    """
    from scipy.stats import t

    return float(t.cdf(effect - t.ppf(1 - false_positive / 2, degrees), degrees))


def relative_error(variation: float, shares: tuple[float, float]) -> float:
    """The standard error of the relative difference of two arms that share the units at random.

    Parameters
    ----------
    variation : float
        The squared standard error of the metric on all units of the period, divided by the squared metric.
    shares : tuple of two floats
        The shares of the units that the two arms have; the rest, if any, are other arms'.

    Examples
    --------
    10,000 units of which 20 % do it, half of them in each arm: four percentage points of a hundred are one standard error.

    >>> round(relative_error((1 - 0.2) / 0.2 / 10_000, (0.5, 0.5)), 3)
    0.04
    """
    return float(np.sqrt(variation * sum(1 / share for share in shares)))

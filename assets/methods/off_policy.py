"""Off-policy evaluation: what a decision rule that was never served would have been worth, from the log of one that was.

Each logged row is weighted by how much more likely the new rule is to take the logged action than the logging one was.
Inverse propensity scores: Horvitz and Thompson (1952). Self-normalised: Swaminathan and Joachims (2015). Doubly robust:
Dudík, Langford and Li (2011); its expectations must come from a model that did not see the row (Chernozhukov and others 2018).
Small samples: empirical Bernstein, Maurer and Pontil (2009), theorem 4.

Whether the log says enough of the rule is for `assets.methods.overlap`, which is asked first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.methods.bootstrap import Array
from assets.methods.overlap import SMALL_EFFECTIVE, Overlap, overlap_of, require_overlap


@dataclass(frozen=True)
class PolicyValue:
    """What a rule is worth a row, by one estimator.

    Parameters
    ----------
    estimator : {"ips", "self-normalised", "doubly robust"}
        How it was estimated.
    value, low, high : float
        The value with its interval, in the unit of the rewards.
    interval : {"student", "empirical bernstein"}
        How the interval was made: by Student's t over units, or with a guarantee for any number of rows.
    """

    estimator: str
    value: float
    low: float
    high: float
    interval: str


@dataclass(frozen=True)
class OffPolicyEvaluation:
    """All estimates of a rule's value, what they rest on, and what is doubtful about them.

    Parameters
    ----------
    values : dict of PolicyValue
        By estimator; ``doubly robust`` only where expectations were given.
    overlap : Overlap
        How much the log says of the rule.
    warnings : tuple of str
        What a reader must know.
    """

    values: dict[str, PolicyValue]
    overlap: Overlap
    warnings: tuple[str, ...]

    @property
    def best(self) -> PolicyValue:
        """Doubly robust where it is there, else self-normalised."""
        return self.values.get("doubly robust", self.values["self-normalised"])


@dataclass(frozen=True)
class Bounds:
    """What is known of rewards and propensities before any row is logged.

    Parameters
    ----------
    low, high : float
        The smallest and the largest reward there can be; expectations lie between them too.
    least_propensity : float
        The smallest probability with which the logging rule takes an action that it takes at all, above 0.
    """

    low: float
    high: float
    least_propensity: float


def evaluate(
    rewards: Array,
    propensities: Array,
    chosen: Array,
    *,
    expected: tuple[Array, Array] | None = None,
    units: np.ndarray[Any, Any] | None = None,
    never_taken: Array | None = None,
    bounds: Bounds | None = None,
    confidence: float = 0.95,
) -> OffPolicyEvaluation:
    """Estimate the value of a rule from logged rows.

    Parameters
    ----------
    rewards : ndarray of shape (n_rows,)
        What came of each logged action: a cost or a gain.
    propensities : ndarray of shape (n_rows,)
        With which probability the logging rule took the logged action, above 0 and at most 1.
    chosen : ndarray of shape (n_rows,)
        With which probability the new rule takes the logged action there; 0 or 1 for one without chance.
    expected : tuple of two ndarray of shape (n_rows,), optional
        For the doubly robust estimate: the expected reward of the logged action, and of the new rule, from a model that was
        fitted on other rows.
    units : ndarray of int of shape (n_rows,), optional
        The unit of each row, whose rows are not independent; left out, each row is one.
    never_taken : ndarray of shape (n_rows,), optional
        Which probability the new rule puts on actions that the logging rule never takes there, where that is known.
    bounds : Bounds, optional
        What is known beforehand. With it, intervals of small effective samples of independent rows are empirical Bernstein
        ones, which hold for any number of rows but are wide; that of a self-normalised estimate has no such guarantee.
    confidence : float
        Of the intervals.

    Raises
    ------
    DataError
        If a probability is none.
    OverlapError
        If the log says too little of the rule.

    Examples
    --------
    Two actions were drawn with equal chances; the first gives 1, the second 0. A rule that always takes the first gives 1.

    >>> random = np.random.default_rng(0)
    >>> action = random.integers(0, 2, 4000)
    >>> found = evaluate(1.0 * (action == 0), np.full(4000, 0.5), 1.0 * (action == 0))
    >>> round(found.values["self-normalised"].value, 3), found.values["ips"].low < 1 < found.values["ips"].high
    (1.0, True)
    >>> int(found.overlap.effective_rows) == int((action == 0).sum())
    True
    """
    overlap = overlap_of(propensities, chosen, never_taken)
    require_overlap(overlap)
    weights = chosen / propensities
    ips = float((weights * rewards).mean())
    normalised = float((weights * rewards).sum() / weights.sum())
    terms = {
        "ips": (ips, weights * rewards - ips),
        "self-normalised": (normalised, weights * (rewards - normalised) / weights.mean()),
    }
    if expected is not None:
        of_logged, of_rule = expected
        corrected = of_rule + weights * (rewards - of_logged)
        terms["doubly robust"] = (float(corrected.mean()), corrected - corrected.mean())
    values = {name: _student(name, *found, units, confidence) for name, found in terms.items()}
    if overlap.effective_rows < SMALL_EFFECTIVE and bounds is not None and units is None:
        for name in set(values) - {"self-normalised"}:
            values[name] = _bernstein(name, *terms[name], _width(name, bounds), confidence)
    return OffPolicyEvaluation(values, overlap, tuple(_warnings(values, overlap)))


def _warnings(values: dict[str, PolicyValue], overlap: Overlap) -> Iterator[str]:
    if overlap.effective_rows < SMALL_EFFECTIVE:
        doubtful = ", ".join(name for name, item in values.items() if item.interval == "student")
        yield (
            f"the {overlap.rows:,} rows are worth {overlap.effective_rows:.0f} of the rule's own: the interval of {doubtful} "
            "may be too narrow"
        )
    if overlap.never_taken > 0:
        yield f"{overlap.never_taken:.1%} of the rule's decisions were never taken in such cases, so nothing is known of them"


def _student(name: str, value: float, influence: Array, units: np.ndarray[Any, Any] | None, confidence: float) -> PolicyValue:
    """The interval by Student's t over the sums of units (Cameron and Miller 2015)."""
    from scipy.stats import t

    sums = influence if units is None else np.bincount(np.unique(units, return_inverse=True)[1], influence)
    error = np.sqrt(len(sums) / (len(sums) - 1) * np.sum(sums**2)) / len(influence)
    half = float(t.ppf((1 + confidence) / 2, len(sums) - 1) * error)
    return PolicyValue(name, value, value - half, value + half, "student")


def _bernstein(name: str, value: float, influence: Array, width: float, confidence: float) -> PolicyValue:
    """The two-sided interval of Maurer and Pontil (2009), theorem 4, of independent terms that span at most a width."""
    rows, logarithm = len(influence), np.log(4 / (1 - confidence))
    half = float(np.sqrt(2 * np.var(influence, ddof=1) * logarithm / rows) + 7 * width * logarithm / (3 * (rows - 1)))
    return PolicyValue(name, value, value - half, value + half, "empirical bernstein")


def _width(name: str, bounds: Bounds) -> float:
    """What the terms of an estimate span: a weighted reward, or an expectation and a weighted error of it."""
    largest = 1 / bounds.least_propensity
    if name == "ips":
        return max(bounds.high * largest, 0.0) - min(bounds.low * largest, 0.0)
    return (bounds.high - bounds.low) * (1 + 2 * largest)

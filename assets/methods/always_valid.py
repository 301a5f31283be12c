"""What a canary, or a guardrail, is at a look: surely not worse by a margin, surely worse, or undecided.

The interval comes from a confidence sequence (`rate_sequences.difference` for errors and decisions, `confidence_sequences.
asymptotic` for latency and cost), so that one may ask at every look and act on the first answer: Johari, Koomen, Pekelis and
Walsh (2022), Always valid inference. Whether it is not worse is a test of non-inferiority (ICH E9, 1998, section 3.3.2).

An error rate, of requests that were each assigned by themselves with 5 %, and latency by its moments so far:

>>> import numpy as np
>>> from assets.methods import effects, rate_sequences
>>> from assets.methods.confidence_sequences import asymptotic
>>> from assets.methods.moments import Moments
>>> new, old = (rate_sequences.Counts(*map(np.array, pair)) for pair in ((2000.0, 40.0), (38000.0, 380.0)))
>>> errors = rate_sequences.difference(new, old, probability=0.05, expected=0.01, planned=20_000, alpha=0.05)
>>> verdict(float(errors.low), float(errors.high), margin=0.005).value
'worse'
>>> new, old = (Moments.from_covariance(rows, [mean], [[36.0]]) for rows, mean in ((2000, 20.4), (38000, 20.1)))
>>> latency = asymptotic(effects.difference(new, old), alpha=0.05, planned=20_000, least=500)
>>> verdict(float(latency.low), float(latency.high), margin=2.0).value
'not worse'
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from assets.methods.confidence_sequences import Bounds


class Verdict(StrEnum):
    """What may be said."""

    NOT_WORSE = "not worse"
    WORSE = "worse"
    UNDECIDED = "undecided"


def verdict(low: float, high: float, *, margin: float, is_larger_worse: bool = True) -> Verdict:
    """What an interval of a difference (new less old) says.

    Parameters
    ----------
    low, high : float
        The ends of the interval.
    margin : float
        By how much it may be worse, 0 or more, in units of the difference. With 0 it must be surely better.
    is_larger_worse : bool
        Whether more of the metric is worse, such as errors and latency; else less of it is, such as money earned.

    Returns
    -------
    Verdict
        Not worse, if all of the interval is less bad than the margin, whether or not it is better at all; worse, if all of
        it is on the bad side of 0.

    Raises
    ------
    ValueError
        If the margin is negative, or the ends are in the wrong order or not numbers.

    Examples
    --------
    >>> verdict(-0.004, 0.003, margin=0.005).value, verdict(0.001, 0.02, margin=0.005).value
    ('not worse', 'worse')
    >>> verdict(-0.004, 0.006, margin=0.005).value, verdict(0.001, 0.004, margin=0.005).value
    ('undecided', 'not worse')
    >>> verdict(-3.0, 8.0, margin=5.0, is_larger_worse=False).value
    'not worse'
    """
    if not margin >= 0:
        raise ValueError(f"the margin is {margin}: it must be 0 or more, by how much the new may be worse than the old.")
    if not low <= high:
        raise ValueError(f"the interval is {low} to {high}: its lower end comes first, and both are numbers.")
    worst, best = (high, low) if is_larger_worse else (-low, -high)
    if worst < margin:
        return Verdict.NOT_WORSE
    return Verdict.WORSE if best > 0 else Verdict.UNDECIDED


def first_decided(bounds: Bounds, *, margin: float, is_larger_worse: bool = True) -> tuple[int, Verdict]:
    """The first look at which a canary is decided, and how; the last look if it never is.

    Parameters
    ----------
    bounds : Bounds of shape (n_looks,)
    margin, is_larger_worse
        As in `verdict`.

    Raises
    ------
    ValueError
        If there is no look.

    Examples
    --------
    >>> import numpy as np
    >>> first_decided(Bounds(np.array([-0.2, -0.01, 0.0]), np.array([0.2, 0.04, 0.02])), margin=0.05)
    (1, <Verdict.NOT_WORSE: 'not worse'>)
    """
    if len(bounds.low) == 0:
        raise ValueError("there is no look: give at least one.")
    found = Verdict.UNDECIDED
    for look, (low, high) in enumerate(zip(bounds.low.tolist(), bounds.high.tolist(), strict=True)):
        found = verdict(low, high, margin=margin, is_larger_worse=is_larger_worse)
        if found is not Verdict.UNDECIDED:
            return look, found
    return len(bounds.low) - 1, found


def of_all(verdicts: Sequence[Verdict]) -> Verdict:
    """What several guardrails say together: worse if one is, not worse only if all are.

    That all are not worse is an intersection-union test (Berger 1982): each keeps its error rate, and no other share of it is
    due. That one is worse is said by any of them: give each interval the error rate divided by their number.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> of_all([Verdict.NOT_WORSE, Verdict.UNDECIDED]).value
    'undecided'
    """
    if not verdicts:
        raise ValueError("there is no guardrail: a canary needs at least one.")
    for found in (Verdict.WORSE, Verdict.UNDECIDED):
        if found in verdicts:
            return found
    return Verdict.NOT_WORSE

"""Overlap: how much a log says of a rule that was never served, and when it says too little.

Effective sample size: Kish (1965), Survey Sampling, section 11.7; Owen (2013), Monte Carlo Theory, chapter 9.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.errors import DataError, OverlapError
from assets.methods.bootstrap import Array

FEWEST_EFFECTIVE = 50
"""A log that says no more of a rule than so many rows of its own is refused."""
SMALL_EFFECTIVE = 500
"""Below so many, intervals that rest on the normal distribution are doubtful."""
MOST_NEVER_TAKEN = 0.05
"""A rule is refused if it surely puts more than this on actions that were never taken."""
SURELY = 2.576
"""Standard errors of a two-sided confidence of 99 %."""


@dataclass(frozen=True)
class Overlap:
    """How much a log says of a rule.

    Parameters
    ----------
    rows : int
        The logged rows.
    effective_rows : float
        So many rows of the rule's own would say as much: the squared sum of the weights over the sum of their squares.
    never_taken : float
        Which share of the rule's decisions are actions that the logging rule never takes there. Where it is not given, it is
        what the mean weight lacks to 1.
    surely_never_taken : float
        What that share surely exceeds; the same where it is given.
    largest_weight : float
        The largest weight of a row.
    largest_share : float
        Its share of all weights.
    """

    rows: int
    effective_rows: float
    never_taken: float
    surely_never_taken: float
    largest_weight: float
    largest_share: float


def overlap_of(propensities: Array, chosen: Array, never_taken: Array | None = None) -> Overlap:
    """Diagnose the overlap of a rule with the log.

    Parameters
    ----------
    propensities, chosen, never_taken
        See `assets.methods.off_policy.evaluate`.

    Raises
    ------
    DataError
        If a probability is none.

    Examples
    --------
    >>> found = overlap_of(np.array([0.5, 0.5, 0.25, 0.25]), np.array([1.0, 0.0, 1.0, 0.0]))
    >>> found.effective_rows, found.largest_weight, round(found.largest_share, 3)
    (1.8, 4.0, 0.667)
    """
    _require_probabilities("propensity", propensities, above_zero=True)
    _require_probabilities("probability under the new rule", chosen, above_zero=False)
    weights = chosen / propensities
    total, rows = float(weights.sum()), len(weights)
    if never_taken is None:
        share = 1 - total / rows
        surely = share - SURELY * float(weights.std() / np.sqrt(rows))
    else:
        _require_probabilities("probability of actions that are never taken", never_taken, above_zero=False)
        share = surely = float(never_taken.mean())
    return Overlap(
        rows,
        float(total**2 / np.sum(weights**2)) if total else 0.0,
        max(0.0, share) if never_taken is not None or surely > 0 else 0.0,
        max(0.0, surely),
        float(weights.max()),
        float(weights.max() / total) if total else 0.0,
    )


def require_overlap(overlap: Overlap) -> None:
    """Refuse a rule of which the log says too little.

    Raises
    ------
    OverlapError
        With what was found, and what to do.
    """
    remedy = (
        "Evaluate a rule that is nearer to what was served, log more, or give the actions that it takes a share of the traffic "
        "in an experiment."
    )
    if overlap.effective_rows < FEWEST_EFFECTIVE:
        raise OverlapError(
            f"the log says too little of this rule: its {overlap.rows:,} rows are worth {overlap.effective_rows:.0f} of the "
            f"rule's own, and {FEWEST_EFFECTIVE} are needed; the largest weight is {overlap.largest_weight:.3g}. {remedy}"
        )
    if overlap.surely_never_taken > MOST_NEVER_TAKEN:
        raise OverlapError(
            f"the log says nothing of {overlap.never_taken:.1%} of this rule's decisions, because such actions were never "
            f"taken there; at most {MOST_NEVER_TAKEN:.0%} may be so. {remedy}"
        )


def _require_probabilities(name: str, values: Array, *, above_zero: bool) -> None:
    if not len(values):
        raise DataError("the log holds no row with an outcome, so no rule can be evaluated. Wait for outcomes.")
    wrong = ~((values > 0 if above_zero else values >= 0) & (values <= 1))
    if wrong.any():
        place = int(np.argmax(wrong))
        allowed = "above 0 and at most 1" if above_zero else "from 0 to 1"
        raise DataError(
            f"row {place + 1} of the log has the {name} {values[place]:g}, and it must be {allowed}. Leave out rows whose "
            "assignment was not logged."
        )

"""Verdicts on a canary: not worse by a margin, worse, or undecided."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.always_valid import Verdict, first_decided, of_all, verdict
from assets.methods.confidence_sequences import Bounds


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.02, -0.01, Verdict.NOT_WORSE),
        (-0.02, 0.009, Verdict.NOT_WORSE),
        (0.001, 0.009, Verdict.NOT_WORSE),
        (-0.02, 0.01, Verdict.UNDECIDED),
        (0.0, 0.02, Verdict.UNDECIDED),
        (0.001, 0.02, Verdict.WORSE),
        (0.02, 0.03, Verdict.WORSE),
        (-np.inf, np.inf, Verdict.UNDECIDED),
    ],
)
def test_an_interval_says_where_it_lies_and_the_mirrored_one_the_same(low: float, high: float, expected: Verdict) -> None:
    """Against a margin of 0.01; less of the metric is worse in the mirror."""
    assert verdict(low, high, margin=0.01) is expected
    assert verdict(-high, -low, margin=0.01, is_larger_worse=False) is expected


def test_the_first_look_that_decides_counts() -> None:
    """Not what later ones say; the last look if none does."""
    bounds = Bounds(np.array([-1.0, 0.1, -1.0]), np.array([1.0, 0.5, 0.0]))
    assert first_decided(bounds, margin=0.2) == (1, Verdict.WORSE)
    assert first_decided(Bounds(bounds.low[:1], bounds.high[:1]), margin=0.2) == (0, Verdict.UNDECIDED)


def test_one_worse_guardrail_takes_the_canary_back_and_all_must_be_fine_to_go_on() -> None:
    """Errors, latency and decisions together."""
    assert of_all([Verdict.NOT_WORSE, Verdict.WORSE, Verdict.UNDECIDED]) is Verdict.WORSE
    assert of_all([Verdict.NOT_WORSE, Verdict.UNDECIDED]) is Verdict.UNDECIDED
    assert of_all([Verdict.NOT_WORSE, Verdict.NOT_WORSE]) is Verdict.NOT_WORSE


def test_what_is_no_interval_margin_or_look_is_refused() -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match="margin is -1"):
        verdict(0.0, 1.0, margin=-1)
    with pytest.raises(ValueError, match="lower end comes first"):
        verdict(1.0, 0.0, margin=1)
    with pytest.raises(ValueError, match="both are numbers"):
        verdict(float("nan"), 0.0, margin=1)
    with pytest.raises(ValueError, match="there is no look"):
        first_decided(Bounds(np.zeros(0), np.zeros(0)), margin=1)
    with pytest.raises(ValueError, match="at least one"):
        of_all([])

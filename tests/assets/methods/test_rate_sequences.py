"""Rates by counts: they hold from the first row on, and find what is there sooner than two intervals of the arms would."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.always_valid import Verdict, first_decided
from assets.methods.confidence_sequences import Bounds
from assets.methods.rate_sequences import Counts, difference, log_capital, rate

RUNS, LOOKS, BATCH, SHARE = 1000, 50, 400, 0.05


def arms(seed: int, treated: float, control: float) -> tuple[Counts, Counts]:
    """Counts up to each look, of rows that are treated with a chance of 5 %."""
    random = np.random.default_rng(seed)
    rows = random.binomial(BATCH, SHARE, (LOOKS, RUNS))
    ones = random.binomial(rows, treated), random.binomial(BATCH - rows, control)
    sums = [part.cumsum(axis=0).astype(float) for part in (rows, BATCH - rows, *ones)]
    return Counts(sums[0], sums[2]), Counts(sums[1], sums[3])


def test_a_rate_is_covered_at_every_look_from_the_first_row_on() -> None:
    """For rare ones and for common ones, looked at after every row."""
    for truth in (0.002, 0.3):
        ones = (np.random.default_rng(3).random((300, RUNS)) < truth).cumsum(axis=0).astype(float)
        found = rate(Counts(np.arange(1.0, 301.0)[:, None] * np.ones(RUNS), ones), alpha=0.05)
        assert ((found.low <= truth) & (truth <= found.high)).all(axis=0).mean() >= 0.95


def test_the_end_of_an_interval_is_where_the_beta_mixture_is_worth_twenty() -> None:
    """By the formula: B(k + 1/2, n - k + 1/2) / B(1/2, 1/2) / (p^k (1 - p)^(n - k))."""
    from scipy.special import betaln

    found = rate(Counts(np.array(100.0), np.array(7.0)), alpha=0.05)
    for end in (float(found.low), float(found.high)):
        worth = betaln(7.5, 93.5) - betaln(0.5, 0.5) - 7 * np.log(end) - 93 * np.log1p(-end)
        assert np.exp(worth) == pytest.approx(20, rel=1e-6)


def test_nothing_seen_and_nothing_but_ones_seen_leave_one_end_open() -> None:
    """No rows: everything is possible."""
    found = rate(Counts(np.array([0.0, 50.0, 50.0]), np.array([0.0, 0.0, 50.0])), alpha=0.05)
    assert (found.low[0], found.high[0], found.low[1], found.high[2]) == (0, 1, 0, 1)
    assert found.high[1] < 0.2
    assert found.low[2] > 0.8


def test_a_rate_that_is_known_about_narrows_the_interval() -> None:
    """And one that is wrong by ten times widens it, a little if it is worth few rows."""
    counts = Counts(np.array(20_000.0), np.array(200.0))
    width = {
        name: float(found.high - found.low)
        for name, found in {
            "jeffreys": rate(counts, alpha=0.05),
            "right": rate(counts, alpha=0.05, expected=0.01, weight=1000),
            "wrong": rate(counts, alpha=0.05, expected=0.1, weight=100),
        }.items()
    }
    assert 1.3 * width["right"] < width["jeffreys"] < width["wrong"] < 1.6 * width["jeffreys"]


@pytest.mark.parametrize("expected", [0.01, 0.2], ids=["expected as it is", "expected wrongly"])
def test_equal_arms_are_rarely_found_different_at_any_look(expected: float) -> None:
    """At 5 % of the rows and 1 % of errors, where nothing is normal yet."""
    treated, control = arms(1, 0.01, 0.01)
    sides = [
        log_capital(treated, control, 0.0, probability=SHARE, expected=expected, planned=10_000, is_above=is_above)
        for is_above in (True, False)
    ]
    assert (np.maximum(*sides) >= np.log(2 / 0.05)).any(axis=0).mean() <= 0.05


def test_the_rates_may_change_over_the_day_if_their_difference_does_not() -> None:
    """Waves from 1 % to 20 % in both arms."""
    random, waves = np.random.default_rng(2), 0.105 - 0.095 * np.cos(np.arange(LOOKS) / 4)[:, None]
    rows = random.binomial(BATCH, SHARE, (LOOKS, RUNS))
    ones = random.binomial(rows, waves), random.binomial(BATCH - rows, waves)
    sums = [part.cumsum(axis=0).astype(float) for part in (rows, BATCH - rows, *ones)]
    found = log_capital(
        Counts(sums[0], sums[2]), Counts(sums[1], sums[3]), 0.0, probability=SHARE, expected=0.05, planned=10_000, is_above=True
    )
    assert (found >= np.log(1 / 0.05)).any(axis=0).mean() <= 0.05


def test_the_interval_ends_where_the_capital_is_worth_forty_and_narrows_around_the_difference() -> None:
    """Two sides, each with half the error rate."""
    treated, control = (Counts(part.rows[:, :20], part.ones[:, :20]) for part in arms(4, 0.05, 0.02))
    found = difference(treated, control, probability=SHARE, expected=0.02, planned=10_000, alpha=0.05)
    worth = log_capital(treated, control, found.low, probability=SHARE, expected=0.02, planned=10_000, is_above=True)
    np.testing.assert_allclose(worth[found.low > -1], np.log(40), rtol=1e-6)
    assert ((found.low <= 0.03) & (found.high >= 0.03)).all(axis=0).mean() >= 0.9
    assert (found.high - found.low)[-1].mean() < 0.1


def test_one_interval_of_the_difference_is_narrower_than_two_of_the_arms() -> None:
    """Each of those at half the error rate."""
    treated, control = Counts(np.array(10_000.0), np.array(200.0)), Counts(np.array(10_000.0), np.array(210.0))
    one = difference(treated, control, probability=0.5, expected=0.02, planned=10_000, alpha=0.05)
    ends = [rate(arm, alpha=0.025) for arm in (treated, control)]
    two = Bounds(ends[0].low - ends[1].high, ends[0].high - ends[1].low)
    assert float(one.high - one.low) < 0.85 * float(two.high - two.low)


def test_a_canary_that_is_twice_as_bad_is_taken_back_and_an_equal_one_is_not() -> None:
    """By the interval of its error rate, at the first look that decides."""
    verdicts = {}
    for name, bad in (("equal", 0.02), ("twice", 0.04)):
        treated, control = (Counts(part.rows[:, :50], part.ones[:, :50]) for part in arms(9, bad, 0.02))
        found = difference(treated, control, probability=SHARE, expected=0.02, planned=10_000, alpha=0.05)
        verdicts[name] = [
            first_decided(Bounds(low, high), margin=0.01)[1] for low, high in zip(found.low.T, found.high.T, strict=True)
        ]
    assert verdicts["twice"].count(Verdict.WORSE) >= 35
    assert verdicts["equal"].count(Verdict.WORSE) <= 3
    assert Verdict.NOT_WORSE not in verdicts["twice"]


def test_evidence_of_steps_with_other_probabilities_adds_up() -> None:
    """A canary of 5 % and then of 25 %, as good as the champion, while errors rise in both arms: rarely found worse."""
    random, total = np.random.default_rng(12), np.zeros((LOOKS, RUNS))
    for probability, usual in ((0.05, 0.01), (0.25, 0.05)):
        rows = random.binomial(BATCH, probability, (LOOKS, RUNS))
        ones = random.binomial(rows, usual), random.binomial(BATCH - rows, usual)
        sums = [part.cumsum(axis=0).astype(float) for part in (rows, BATCH - rows, *ones)]
        step = log_capital(
            Counts(sums[0], sums[2]),
            Counts(sums[1], sums[3]),
            0.0,
            probability=probability,
            expected=0.01,
            planned=10_000,
            is_above=True,
        )
        assert (total[-1] + step >= np.log(20)).any(axis=0).mean() <= 0.05
        total += step


def test_impossible_counts_probabilities_and_rates_are_refused() -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match=r"7\.0 outcomes of 1 among 5\.0 rows \(look \[1\]\)"):
        Counts(np.array([5.0, 5.0]), np.array([5.0, 7.0]))
    fine = Counts(np.array(5.0), np.array(1.0))
    with pytest.raises(ValueError, match="probability of the treated arm is 1"):
        log_capital(fine, fine, 0.0, probability=1, expected=0.1, planned=10_000, is_above=True)
    with pytest.raises(ValueError, match="expected rate is 2"):
        difference(fine, fine, probability=0.5, expected=2, planned=10_000, alpha=0.05)

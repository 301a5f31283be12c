"""Sample-ratio mismatch: found soon where there is one, rarely found where there is none, at any look and for any arms."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.sample_ratio import dirichlet, mismatch


def counts(seed: int, shares: list[float], runs: int = 1000) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Units up to each of 50 looks, 20,000 at the last."""
    return np.random.default_rng(seed).multinomial(400, shares, (50, runs)).cumsum(axis=0)


def test_the_dirichlet_part_agrees_with_savvi() -> None:
    """Logarithms of the odds of savvi 0.3.1 (Multinomial, k = 100) after each of three batches."""
    seen = np.array([[60.0, 30.0, 10.0], [115.0, 55.0, 30.0], [715.0, 355.0, 130.0]])
    found = dirichlet(seen, np.array([0.5, 0.3, 0.2]), 100.0)
    assert found == pytest.approx([1.253426520483714, 0.7202062541464328, 34.774507171205414])


def test_a_planted_mismatch_is_found_and_none_is_not() -> None:
    """52/48 instead of 50/50 with 20,000 units: at least 99 % against at most 1 %."""
    assert (mismatch(counts(1, [0.52, 0.48]), [0.5, 0.5]).p_value[-1] <= 0.01).mean() >= 0.98
    assert (mismatch(counts(2, [0.5, 0.5]), [0.5, 0.5]).p_value[-1] <= 0.01).mean() <= 0.01


def test_any_number_of_arms_of_any_shares_is_tested() -> None:
    """A canary of 5 % beside two arms; half of its units are lost."""
    declared = [0.05, 0.475, 0.475]
    lost = np.array([0.025, 0.475, 0.475])
    assert (mismatch(counts(3, declared), declared).p_value[-1] <= 0.01).mean() <= 0.01
    assert (mismatch(counts(4, (lost / lost.sum()).tolist(), 100), declared).p_value[10] <= 0.01).all()


def test_the_evidence_is_fair_where_there_is_no_mismatch() -> None:
    """Its expectation is 1 at any look: an e-value."""
    found = mismatch(counts(5, [0.3, 0.7], 4000)[:3], [0.3, 0.7]).e_value
    assert found.mean(axis=1) == pytest.approx(np.ones(3), abs=0.1)


def test_the_p_value_never_rises_and_no_units_say_nothing() -> None:
    """What was once found stays found."""
    found = mismatch([[0, 0], [300, 200], [500, 500]], [0.5, 0.5])
    assert (found.p_value[0], found.e_value[0]) == pytest.approx((1.0, 1.0))
    assert found.p_value[2] == found.p_value[1] < 0.01
    assert found.shares.tolist() == [[0.5, 0.5], [0.6, 0.4], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("seen", "declared", "sentence"),
    [
        ([[1, 2]], [0.5, 0.6], "add up to 1"),
        ([[1, 2]], [0.0, 1.0], "each above 0"),
        ([[1, 2, 3]], [0.5, 0.5], "the 2 arms last"),
        ([[5, 5], [4, 6]], [0.5, 0.5], "falls from one look to the next"),
        ([[-1, 5]], [0.5, 0.5], "negative"),
    ],
)
def test_impossible_counts_and_shares_are_refused(seen: list[list[int]], declared: list[float], sentence: str) -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match=sentence):
        mismatch(seen, declared)

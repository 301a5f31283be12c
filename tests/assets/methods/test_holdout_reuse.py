"""What looks at the same rows cost, held against simulations whose truth is known."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from assets.methods.holdout_reuse import flattery, ladder, shared_confidence, widening, widening_of_chosen

ROWS = 2000


def test_an_interval_of_the_best_of_ten_equal_variants_holds_only_when_it_is_shared() -> None:
    """One-sided and at 95 %, the interval of one look misses the truth of the best of ten four times in ten."""
    random, error = np.random.default_rng(0), 0.01
    best = random.normal(0.7, error, (20_000, 10)).max(axis=1)
    missed = {looks: float(np.mean(best - norm.ppf(shared_confidence(0.95, looks)) * error > 0.7)) for looks in (1, 10)}
    assert missed[1] > 0.35
    assert 0.03 < missed[10] <= 0.052
    assert best.mean() - 0.7 <= flattery(error, 10)
    assert widening(0.95, 10) > 1.4


def attacked(released: bool) -> tuple[float, int]:
    """The figure of a classifier boosted of random ones by a leaderboard's answers, and how many answers were new.

    Labels are coin tosses, so every classifier is worth 0.5. Each random one that the leaderboard calls better than half, or
    better than the best before where the Ladder answers, takes part in the vote (Blum and Hardt 2015, section 4).
    """
    random = np.random.default_rng(1)
    labels, votes, climbs = random.choice([-1, 1], ROWS), np.zeros(ROWS), 0
    before, best = None, np.zeros(ROWS)
    for _ in range(400):
        said = random.choice([-1, 1], ROWS)
        value = float(np.mean(said == labels))
        if released:
            votes += said * (1 if value > 0.5 else -1)
            continue
        error = float(np.std((said == labels) * 1.0 - best)) / np.sqrt(ROWS)
        answer = ladder(before, value, error, ROWS, sign=1.0)
        if answer.climbed:
            climbs, best, votes = climbs + 1, (said == labels) * 1.0, votes + said
        before = answer.released
    if released:
        return float(np.mean(np.sign(votes + 0.5) == labels)), 400
    vote = (np.sign(votes + 0.5) == labels) * 1.0
    error = float(np.std(vote - best)) / np.sqrt(ROWS)
    return ladder(before, float(vote.mean()), error, ROWS, sign=1.0).released, climbs


def test_the_ladder_withstands_the_attack_that_overfits_a_leaderboard() -> None:
    """Answers in full raise a worthless classifier by more than ten standard errors; the Ladder's figure stays within four."""
    error = 0.5 / np.sqrt(ROWS)
    naive, _ = attacked(released=True)
    told, climbs = attacked(released=False)
    assert naive - 0.5 > 10 * error
    assert naive - 0.5 < widening_of_chosen(400) * norm.ppf(0.975) * error
    assert abs(told - 0.5) < 4 * error
    assert climbs < 10


def test_the_ladder_answers_of_errors_as_of_scores() -> None:
    """Where less is better, a lower figure climbs."""
    assert ladder(0.2, 0.15, 0.01, 100, sign=-1.0).climbed
    assert not ladder(0.2, 0.25, 0.01, 100, sign=-1.0).climbed

"""Costs of policies: what is alike is no uncertainty between them, what is surely dearer is told so."""

from __future__ import annotations

import numpy as np

from assets.methods.policies import block_days, costs_of

SETTINGS = {"block": 7, "replicates": 400, "confidence": 0.95, "seed": 1}


def test_blocks_are_neighbours_and_all_days_are_drawn_alike() -> None:
    """Within a block one day follows the other; the first follows the last."""
    drawn = block_days(70, 7, 3000, seed=0)
    assert drawn.shape == (3000, 70)
    steps = np.diff(drawn.reshape(3000, 10, 7), axis=2) % 70
    assert (steps == 1).all()
    counts = np.bincount(drawn.ravel(), minlength=70)
    assert counts.min() > 0.9 * counts.mean()
    assert counts.max() < 1.1 * counts.mean()


def test_a_constant_difference_is_sure_however_much_days_differ() -> None:
    """Days scatter by hundreds; one policy costs one more each day."""
    days = np.random.default_rng(0).normal(1000, 300, 140)
    cheap, dear = costs_of(np.stack([days, days + 1]), np.zeros(2), **SETTINGS)
    assert cheap.regret == 0
    assert abs(dear.regret - 140) < 1e-6
    assert abs(dear.regret_low - 140) < 1e-6
    assert (cheap.best_share, dear.best_share) == (1.0, 0.0)
    assert cheap.high - cheap.low > 5000


def test_what_a_training_costs_counts() -> None:
    """The same days, and one that pays for them beside."""
    days = np.random.default_rng(0).normal(1000, 300, 140)
    trained, never = costs_of(np.stack([days, days]), np.array([500.0, 0.0]), **SETTINGS)
    assert trained.total - never.total == 500
    assert (trained.regret_low, trained.regret_high) == (500, 500)


def test_noise_is_not_sure() -> None:
    """Two policies of the same mean: each is the cheapest in a good part of the draws, and the interval holds zero."""
    days = np.random.default_rng(3).normal(1000, 300, (2, 140))
    found = costs_of(days, np.zeros(2), **SETTINGS)
    worse = max(found, key=lambda item: item.total)
    assert worse.regret_low < 0 < worse.regret_high
    assert 0.02 < worse.best_share < 0.5


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Over 200 histories of days that hang together, the 95 % interval of a difference of 0 holds it in at least 85 %."""
    random, held = np.random.default_rng(5), 0
    for _ in range(200):
        noise = random.normal(0, 100, (2, 290))
        days = np.stack([np.convolve(row, np.ones(10) / 10, "valid")[:280] for row in noise])
        found = costs_of(days, np.zeros(2), block=21, replicates=200, confidence=0.95, seed=1)
        worse = max(found, key=lambda item: item.total)
        held += worse.regret_low <= 0 <= worse.regret_high
    assert held >= 170

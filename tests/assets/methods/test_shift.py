"""Shifts: the distance is the known one; chance raises few alarms for the whole set; what is planted is found in its kind."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import jensenshannon

from assets.methods.changes import changes
from assets.methods.separation import separation
from assets.methods.shift import assignments, divergence, judged, residual_shift

DAYS, BINS = 60, 8
NOW = np.arange(DAYS) >= 45
WEEKDAYS = np.arange(DAYS) % 7


def counted(random: np.random.Generator, rows: int, shares: np.ndarray) -> np.ndarray:
    """Rows of each day in each bin."""
    return random.multinomial(rows, shares, size=DAYS).astype(float)


def test_the_distance_is_scipys() -> None:
    """Without strata, the square of the Jensen-Shannon distance in bits."""
    counts = counted(np.random.default_rng(1), 50, np.full(BINS, 1 / BINS))
    found = divergence(counts, NOW[None].astype(np.float32), np.zeros(DAYS, dtype=int))
    expected = jensenshannon(counts[NOW].sum(axis=0), counts[~NOW].sum(axis=0), base=2) ** 2
    assert np.isclose(found[0], expected, rtol=1e-4)


def test_chance_raises_few_alarms_for_the_whole_set() -> None:
    """Of 100 sets of 12 columns without drift, about 5 in 100 hold any alarm; days are as unlike as real ones."""
    alarms = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        sides = assignments(NOW, WEEKDAYS, 199, seed)
        columns = {}
        for name in range(12):
            daily = random.dirichlet(np.full(BINS, 20.0), size=DAYS)
            counts = np.array([random.multinomial(30, shares) for shares in daily], dtype=float)
            columns[str(name)] = divergence(counts, sides, WEEKDAYS)
        alarms += min(shift.p_value for shift in judged(columns).values()) <= 0.05
    assert alarms <= 11  # 99.5 % of a binomial of 100 at 5 %


def test_a_planted_shift_is_found_with_its_size_and_the_others_are_not() -> None:
    """The effect is the distance of the true shares, however few rows there are."""
    random = np.random.default_rng(3)
    flat = np.full(BINS, 1 / BINS)
    tilted = np.linspace(0.5, 1.5, BINS) / BINS
    sides = assignments(NOW, WEEKDAYS, 499, 3)
    for rows in (20, 2000):
        moved = counted(random, rows, flat)
        moved[NOW] = random.multinomial(rows, tilted, size=int(NOW.sum()))
        still = counted(random, rows, flat)
        found = judged({"moved": divergence(moved, sides, WEEKDAYS), "still": divergence(still, sides, WEEKDAYS)})
        assert found["moved"].p_value <= 0.01
        assert found["still"].p_value > 0.05
        assert np.isclose(found["moved"].effect, jensenshannon(flat, tilted, base=2), atol=0.05)
        assert found["still"].effect < 0.05


def test_another_mix_of_weekdays_is_no_drift() -> None:
    """A period with more weekends than the reference differs by its weekdays only."""
    random = np.random.default_rng(4)
    weekend = WEEKDAYS >= 5
    counts = counted(random, 300, np.full(BINS, 1 / BINS))
    counts[weekend] = random.multinomial(300, np.linspace(0.2, 1.8, BINS) / BINS, size=int(weekend.sum()))
    now = NOW & (weekend | (WEEKDAYS == 0))
    chosen = now | ~NOW
    sides = assignments(now[chosen], WEEKDAYS[chosen], 199, 1)
    aware = divergence(counts[chosen], sides, WEEKDAYS[chosen])
    naive = divergence(counts[chosen], sides, np.zeros(int(chosen.sum()), dtype=int))
    assert aware[0] < naive[0] / 10
    assert judged({"aware": aware})["aware"].p_value > 0.05


def test_another_mix_of_values_is_no_change_of_the_relation_and_another_relation_is() -> None:
    """Residuals at like values: the mix may move, what comes at a value may not."""
    random = np.random.default_rng(5)
    tilted = np.linspace(0.2, 1.8, BINS) / BINS
    rows = counted(random, 400, np.full(BINS, 1 / BINS))
    rows[NOW] = random.multinomial(400, tilted, size=int(NOW.sum()))
    sums = random.normal(0, 0.4 * np.sqrt(rows))
    sides = assignments(NOW, np.zeros(DAYS, dtype=int), 299, 5)
    same = judged({"x": residual_shift(rows, sums, sides)})["x"]
    assert same.p_value > 0.05
    assert same.effect < 0.02
    sums[np.ix_(NOW, [0, 1])] += 0.3 * rows[np.ix_(NOW, [0, 1])]
    other = judged({"x": residual_shift(rows, sums, sides)})["x"]
    share = rows[NOW][:, :2].sum() / rows[NOW].sum()
    assert other.p_value <= 0.01
    assert np.isclose(other.effect, 0.3 * np.sqrt(share), atol=0.02)


def test_a_classifier_sees_what_no_column_shows_alone() -> None:
    """Two columns whose correlation turns: each alone is as before."""
    random = np.random.default_rng(6)
    before = random.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 1500)
    after = random.multivariate_normal([0, 0], [[1, -0.9], [-0.9, 1]], 1500)
    days = np.r_[np.arange(1500) % 30, 30 + np.arange(1500) % 10]
    assert separation(before, after, days, 1) > 0.85
    alike = random.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 1500)
    assert 0.4 < separation(before, alike, days, 1) < 0.6


def test_a_change_of_a_daily_figure_is_dated_and_noise_is_not() -> None:
    """About a week after the change; a day without a figure is skipped."""
    random = np.random.default_rng(7)
    values = random.normal(0, 0.02, 200)
    assert changes(values) == []
    values[120:] += 0.1
    values[50] = np.nan
    assert 120 < changes(values)[0] <= 140

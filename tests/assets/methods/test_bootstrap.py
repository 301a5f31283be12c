"""The bootstrap: whole days are drawn, seeded, and its intervals have the width that theory gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from assets.methods.bootstrap import Array, cluster_weights, halves, interval, replicate


def test_a_replicate_draws_as_many_clusters_as_there_are() -> None:
    """With replacement, so some twice and some not at all."""
    weights = cluster_weights(np.array([0, 0, 1, 2, 2, 2]), 200, seed=1)
    assert weights.shape == (200, 3)
    assert (weights.sum(axis=1) == 3).all()
    assert weights.max() >= 2
    assert weights.min() == 0


def test_the_seed_decides_the_draws() -> None:
    """The same seed gives the same weights, another seed others."""
    clusters = np.arange(50)
    assert (cluster_weights(clusters, 5, seed=1) == cluster_weights(clusters, 5, seed=1)).all()
    assert (cluster_weights(clusters, 5, seed=1) != cluster_weights(clusters, 5, seed=2)).any()


def test_an_interval_of_a_mean_has_the_width_that_theory_gives() -> None:
    """Independent rows, one a cluster: 3.92 standard errors."""
    values = np.random.default_rng(3).normal(size=400)
    clusters = np.arange(400)
    weights = cluster_weights(clusters, 2000, seed=4)
    draws = replicate({"mean": lambda w: float(np.average(values, weights=w))}, clusters, weights)["mean"]
    found = interval(float(values.mean()), draws, 0.95)
    assert found.high - found.low == pytest.approx(3.92 * values.std() / 20, rel=0.1)


def test_rows_that_repeat_within_a_day_do_not_narrow_the_interval() -> None:
    """Ten copies of each day's value know no more than one."""
    values = np.random.default_rng(3).normal(size=100)
    widths = []
    for copies in (1, 10):
        repeated, clusters = np.repeat(values, copies), np.repeat(np.arange(100), copies)
        weights = cluster_weights(clusters, 1000, seed=4)
        draws = replicate({"mean": lambda w, rows=repeated: float(np.average(rows, weights=w))}, clusters, weights)
        found = interval(float(values.mean()), draws["mean"], 0.95)
        widths.append(found.high - found.low)
    assert widths[0] == pytest.approx(widths[1])


def test_an_undefined_replicate_is_left_out() -> None:
    """A draw of days without a positive has no ROC AUC."""
    assert interval(0.5, np.array([0.4, np.nan, 0.6]), 0.5).low == pytest.approx(0.45)


def test_the_interval_of_the_worst_figure_holds_the_truth_where_other_rows_chose_it() -> None:
    """Thirty figures that are all 1: the interval of the least one, on the rows that chose it, nearly always lies below 1."""
    random, held, held_by_all = np.random.default_rng(0), 0, 0
    for seed in range(200):
        rows = random.normal(1.0, 1.0, (150, 30))
        clusters = np.arange(150)
        first, second = halves(clusters, seed)
        assert sorted(first + second) == [1.0] * 150
        drawn = cluster_weights(clusters, 100, seed)

        def mean(of: Array, table: Array = rows) -> Callable[[Array], float]:
            """The mean of the figure that is least on some rows."""
            worst = int(np.argmin(of @ table))
            return lambda weights: float(np.average(table[:, worst], weights=weights))

        split, whole = {"it": mean(first)}, {"it": mean(np.ones(150))}
        found = interval(split["it"](second), replicate(split, clusters, drawn * second)["it"], 0.95)
        naive = interval(whole["it"](np.ones(150)), replicate(whole, clusters, drawn)["it"], 0.95)
        held += found.low <= 1.0 <= found.high
        held_by_all += naive.low <= 1.0 <= naive.high
    assert held / 200 >= 0.9
    assert held_by_all / 200 < 0.6

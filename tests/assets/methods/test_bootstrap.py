"""The bootstrap: whole days are drawn, seeded, and its intervals have the width that theory gives."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods.bootstrap import cluster_weights, interval, replicate


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

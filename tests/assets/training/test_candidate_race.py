"""The race of candidates: who is surely worse is fitted on no further folds, chance leaves nobody out, no answer changes."""

from __future__ import annotations

import numpy as np
import pytest

from assets.features.labelled_rows import LabelledRows
from assets.methods.ranking import Array
from assets.training import candidate_race, cross_fitting
from assets.training.candidate_race import still_running
from tests.shop import AT_RANDOM, BY_TIME, customers, product

BOOSTED = "sklearn.ensemble.HistGradientBoostingRegressor"
MODEL = {
    "estimator": BOOSTED,
    "parameters": {"max_iter": 2},
    "alternatives": [{"estimator": "sklearn.linear_model.Ridge"}, {"estimator": BOOSTED, "parameters": {"max_iter": 30}}],
}
ROWS = LabelledRows("all", None, customers(600), {}, 0)


def scores_of(split: dict[str, object]) -> tuple[tuple[Array, ...], list[cross_fitting.Fold]]:
    """What the three candidates say of the customers' spending."""
    spec = product("spend", split=split, model=MODEL)
    folds = cross_fitting.folds_of(spec, ROWS, seed=1)
    return cross_fitting.out_of_fold(spec, ROWS, folds), folds


def test_a_candidate_that_is_surely_worse_is_not_fitted_on_the_other_folds() -> None:
    """Trees of two rounds know next to nothing of a rule that a line follows."""
    (few, linear, _), folds = scores_of(AT_RANDOM)
    assert np.isfinite(linear).all()
    assert np.isfinite(few[folds[0].test]).all()
    assert np.isnan(few[folds[-1].test]).all()


def test_in_order_of_time_every_candidate_answers_every_fold() -> None:
    """The first folds have few rows to learn from, which says little of the last."""
    scores, folds = scores_of(BY_TIME)
    for fold in folds:
        assert all(np.isfinite(given[fold.test]).all() for given in scores)


def test_the_race_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who leaves it would not have been chosen."""
    spec = product("spend", split=AT_RANDOM, model=MODEL)
    raced = cross_fitting.cross_fit(spec, {"train": ROWS})
    monkeypatch.setattr(candidate_race, "STANDARD_ERRORS", np.inf)
    whole = cross_fitting.cross_fit(spec, {"train": ROWS})
    for one, other in zip(raced.repeats, whole.repeats, strict=True):
        assert np.array_equal(one.outputs, other.outputs)
        assert np.array_equal(one.said, other.said)


@pytest.mark.parametrize("kind", ["spend", "churn", "tier"])
def test_candidates_that_differ_by_chance_stay_and_worse_ones_leave(kind: str) -> None:
    """Of 200 pairs of equal candidates none leaves; of 50 with twice the noise nearly all do."""
    spec = product(kind, split=AT_RANDOM)
    random = np.random.default_rng(5)
    rows, classes = 400, {"spend": 0, "churn": 2, "tier": 3}[kind]
    clusters = np.arange(rows)

    def candidate(labels: Array, noise: float) -> Array:
        true = np.eye(classes)[labels.astype(int)] if classes else labels
        return true + noise * random.normal(0, 1, true.shape)

    left = worse_left = 0
    for number in range(200):
        labels = random.integers(0, classes, rows).astype(float) if classes else random.normal(0, 1, rows)
        pair = [candidate(labels, 1.0), candidate(labels, 1.0)]
        left += len(still_running(spec, labels, pair, clusters, [0, 1])) < 2
        if number < 50:
            worse_left += still_running(spec, labels, [candidate(labels, 3.0), pair[0]], clusters, [0, 1]) == [1]
    assert left == 0
    assert worse_left >= 45


def test_few_clusters_leave_nobody_out() -> None:
    """However many rows they have."""
    spec = product("spend", split=AT_RANDOM)
    labels = np.random.default_rng(1).normal(0, 1, 400)
    assert still_running(spec, labels, [labels, -5 * labels], np.arange(400) % 10, [0, 1]) == [0, 1]

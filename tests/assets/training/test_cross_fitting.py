"""Cross-fitting: no row is answered by a model that has seen it, or what came after it; chance alone proves nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError
from assets.evaluation.estimates import Estimates
from assets.evaluation.evaluation import evaluate
from assets.evaluation.evidence import Case
from assets.evaluation.judged_rows import judged
from assets.features import labelled_rows, snapshots
from assets.features.labelled_rows import LabelledRows
from assets.methods.bootstrap import cluster_weights
from assets.methods.ranking import Ranking
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import cross_fitting, training
from assets.training.cross_fitting import CrossFitted
from bentos.runtime import Model
from tests.models import snapshot_of
from tests.shop import AT_RANDOM, customers, product


def fitted(home: Home, spec: ProductSpec, frame: pd.DataFrame) -> CrossFitted:
    """The rows of a frame, cross-fitted."""
    return cross_fitting.cross_fit(spec, labelled_rows.labelled(spec, snapshots.read(snapshot_of(home, spec, frame))))


def case_of(home: Home, spec: ProductSpec, frame: pd.DataFrame) -> Case:
    """A model trained on these rows."""
    snapshot = snapshot_of(home, spec, frame)
    return Case.load(home, spec, snapshot, training.train(home, spec, snapshot).digest)


def test_a_row_is_answered_alike_whatever_its_own_label_is(home: Home) -> None:
    """The models that answer a fold have not seen its labels: with others there, its scores are the same."""
    spec = product("churn", split=AT_RANDOM)
    part = LabelledRows("all", None, customers(300).assign(churned=lambda x: x["churned"] == "yes"), {}, 0)
    folds = cross_fitting.folds_of(spec, part, seed=1)
    turned = part.rows.copy()
    places = folds[0].test
    turned.iloc[places, turned.columns.get_loc("churned")] = ~turned["churned"].to_numpy(dtype=bool)[places]
    scores = [cross_fitting.out_of_fold(spec, LabelledRows("all", None, rows, {}, 0), folds)[0] for rows in (part.rows, turned)]
    assert np.array_equal(scores[0][places], scores[1][places])
    assert not np.array_equal(np.delete(scores[0], places, axis=0), np.delete(scores[1], places, axis=0))


def test_in_order_of_time_nothing_later_changes_an_answer(home: Home) -> None:
    """Neither by training nor by the choice of scaling and threshold."""
    spec, frame = product("churn"), customers(600)
    later = frame["signed_up_at"] > frame["signed_up_at"].quantile(0.8)
    turned = frame.assign(churned=frame["churned"].where(~later, frame["churned"].map({"yes": "no", "no": "yes"})))
    before, after = fitted(home, spec, frame), fitted(home, spec, turned)
    earlier = (before.rows.rows["signed_up_at"] <= frame["signed_up_at"].quantile(0.6)).to_numpy()
    assert earlier.sum() > 100
    assert np.array_equal(before.repeats[0].outputs[earlier], after.repeats[0].outputs[earlier])
    assert np.array_equal(before.repeats[0].said[earlier], after.repeats[0].said[earlier])
    assert not np.array_equal(before.repeats[0].outputs, after.repeats[0].outputs)


def test_all_rows_are_judged_and_the_model_is_held_against_them(home: Home) -> None:
    """Of a random split each labelled row; the record says how, and what of the gain the model itself keeps."""
    spec = product("churn", split=AT_RANDOM)
    case = case_of(home, spec, customers(400))
    record = evaluate(home, spec, case.snapshot, case.model.digest).record
    assert record["rows"] == 400
    assert record["judged_by"]["method"] == "cross-fitting"
    assert case.model.signature["fitted_on"] == ["train", "validate"]
    assert record["kept_when_served"]["value"] > 0.5
    assert record["gain"]["constant"]["roc_auc"]["low"] > 0


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_chance_are_not_surely_told(home: Home, seed: int) -> None:
    """Where there is nothing to learn, the gain over the constant is not surely above zero."""
    spec, frame = product("churn", split=AT_RANDOM), customers(400)
    shuffled = frame.assign(churned=frame["churned"].sample(frac=1, random_state=seed).to_numpy())
    rows = judged(case_of(home, spec, shuffled))
    weights = cluster_weights(rows.clusters, 200, seed)
    assert Estimates(spec, rows, weights).gains("constant")["roc_auc"]["low"] <= 0


def test_ranks_are_compared_within_folds(home: Home) -> None:
    """A feature of two values ranks rows as it does in all of them, though each fold's model gives them other scores."""
    random = np.random.default_rng(3)
    frame = customers(900).assign(age=random.integers(0, 2, 900).astype(float), plan="free", visits=1.0)
    frame["churned"] = np.where(random.random(900) < 0.3 + 0.15 * frame["age"], "yes", "no")
    spec = product("churn", split=AT_RANDOM, baseline={"by": {"age": 1}})
    rows = judged(case_of(home, spec, frame))
    ages, yes = rows.rows.rows["age"].to_numpy(), rows.labels == 1
    ones = np.ones(len(yes))
    whole = Ranking(rows.labels.astype(float), ages).roc_auc(ones)
    for name in ("model", "table"):
        assert rows.functions[name]["roc_auc"](ones) == pytest.approx(whole, abs=0.005)


def test_rows_for_fewer_than_two_folds_are_one_clear_error() -> None:
    """With what to do."""
    spec = product("churn")
    rows = LabelledRows("all", None, customers(24).assign(churned=lambda frame: frame["churned"] == "yes"), {}, 0)
    with pytest.raises(DataError, match="24 labelled rows cannot be cut into two folds or more.*Bring more rows"):
        cross_fitting.folds_of(spec, rows, seed=1)
    assert not cross_fitting.is_wanted(spec, [rows])


def test_few_rows_of_few_moments_are_judged_by_the_test_rows(home: Home) -> None:
    """What cannot be cut into folds in order of time is trained and judged as many rows are."""
    spec = product("churn", split={"by": "time", "train": 0.4, "validation": 0.3, "test": 0.3})
    frame = customers(600)
    frame["signed_up_at"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(600) // 200, "D")
    found = judged(case_of(home, spec, frame))
    assert not found.are_cross_fitted
    assert found.told["method"] != "cross-fitting"


def test_the_candidate_that_does_best_on_unseen_rows_becomes_the_model(home: Home) -> None:
    """A stump beside a real model, in either order; the signature tells how each did."""
    stump = {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 1}}
    linear = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {}}
    for first, second in ((stump, linear), (linear, stump)):
        spec = product("churn", split=AT_RANDOM, model={**first, "seed": 1, "alternatives": [second]})
        signature = case_of(home, spec, customers(600)).model.signature
        assert signature["estimator"] == linear["estimator"]
        told = {item["estimator"]: item["roc_auc"] for item in signature["candidates"]}
        assert told[linear["estimator"]] > told[stump["estimator"]]
        (chosen,) = [item for item in signature["candidates"] if item["is_chosen"]]
        assert (chosen["estimator"], chosen["parameters"]) == (linear["estimator"], {})
        assert chosen["rows"] == 480 >= min(item["rows"] for item in signature["candidates"])


def test_a_converted_graph_is_single_though_no_number_goes_in(home: Home, tmp_path: Path) -> None:
    """The graph itself says how it computes: categories alone have no precision."""
    spec = product(
        "churn",
        features={"entity": "customer_id", "event_time": "signed_up_at", "groups": {"all": {"plan": {}}}},
        baseline={"by": {"plan": None}},
        model={"estimator": "sklearn.naive_bayes.GaussianNB", "seed": 1, "parameters": {}},
    )
    made = training.train(home, spec, snapshot_of(home, spec, customers(400)))
    assert not Model.load(made.folder, made.digest).is_double
    assert case_of(home, product("churn"), customers(400)).model.is_double

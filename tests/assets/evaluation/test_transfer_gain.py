"""The gain of a transfer: beside scratch and the source as it is, over fewer rows; a source that harms is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError
from assets.evaluation.evidence import Evidence
from assets.evaluation.transfer_gain import EXAMINATION, measure_gain
from assets.promotion.gate_rules import rules_of
from assets.promotion.transfer_rule import transfer
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import learning, training
from tests.models import snapshot_of
from tests.shop import AT_RANDOM, BY_TIME, customers, product

MANY = {"bootstrap_replicates": 100, "cross_fitted_below": 0}
TREES = {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "seed": 3, "parameters": {"max_iter": 40}}


def child(how: str = "refit", **parts: Any) -> ProductSpec:
    """A product that is learnt from `churn`."""
    estimator = {"estimator": "lightgbm.LGBMClassifier", "parameters": {"n_estimators": 40}} if how == "boost" else {}
    model = {**TREES, **estimator, "learning": {"transfer": {"from": "churn", "how": how}}}
    return product("churn", **{"name": "child", "model": model, "evaluation": MANY, **parts})


def examined(home: Home, spec: ProductSpec, elsewhere: pd.DataFrame, own: pd.DataFrame) -> Evidence:
    """What is measured of a model that is learnt from a source of other rows."""
    source = product("churn", evaluation=MANY, split=spec.split.model_dump(exclude_none=True))
    made = training.train(home, source, snapshot_of(home, source, elsewhere.assign(customer_id="S" + elsewhere["customer_id"])))
    snapshot = snapshot_of(home, spec, own)
    return measure_gain(home, spec, snapshot, training.train(home, spec, snapshot, {"churn": made.digest}).digest)


def unlike(frame: pd.DataFrame) -> pd.DataFrame:
    """Customers of whom the very others leave."""
    return frame.assign(churned=np.where(frame["churned"] == "yes", "no", "yes"))


def refusals(spec: ProductSpec, evidence: Evidence) -> list[str]:
    """What the rule refuses for."""
    return [item.missed for item in transfer(spec, {"transfer": evidence.record}) if item.refuses]


def test_few_rows_gain_by_a_like_source_and_the_curve_shows_how_many(home: Home) -> None:
    """The three on the same rows; where all rows are taken, the curve says what the comparison says."""
    spec = child(split=AT_RANDOM)
    evidence = examined(home, spec, customers(4000, seed=1), customers(500, seed=2))
    record = evidence.record
    assert record["gain"]["scratch"]["value"] > 0
    assert refusals(spec, evidence) == []
    assert [item["rows"] for item in record["curve"]] == [100, 200, 300]
    assert [item["draws"] for item in record["curve"]] == [5, 5, 1]
    for item in (record, *record["curve"]):
        for name in ("transfer", "scratch", "untouched"):
            assert item[name]["low"] <= item[name]["value"] <= item[name]["high"]
    whole = record["curve"][-1]
    assert whole["transfer"]["value"] == pytest.approx(record["transfer"]["value"])
    assert (record["shared_entities"], record["later_source_rows"]) == (0, 0)
    assert len(record["table"]["rows"]) == 3
    assert EXAMINATION.figures(spec, record)["gain_over_scratch"] == record["gain"]["scratch"]["value"]


def test_a_source_that_harms_is_refused(home: Home) -> None:
    """Negative transfer: rows of which the others leave weigh against the product's own."""
    spec = child("weights", split=AT_RANDOM)
    evidence = examined(home, spec, unlike(customers(6000, seed=1)), customers(1200, seed=2))
    assert evidence.record["gain"]["scratch"]["high"] < 0
    (told,) = refusals(spec, evidence)
    assert "is not surely worse than the same estimator's from scratch: not met, gain -" in told


@pytest.mark.parametrize("how", ["refit", "boost", "features"])
def test_ways_that_learn_how_far_to_follow_are_not_harmed(home: Home, how: str) -> None:
    """Trees turn a score round that says the contrary, and leaves move away from it."""
    spec = child(how, split=AT_RANDOM)
    evidence = examined(home, spec, unlike(customers(6000, seed=1)), customers(1200, seed=2))
    assert evidence.record["gain"]["untouched"]["low"] > 0.1
    assert evidence.record["transfer"]["value"] > 0.6


def test_small_products_are_compared_by_all_their_rows(home: Home) -> None:
    """By cross-fitting, as they are judged; intervals are as wide as the overlap of the folds asks."""
    spec = child(split=AT_RANDOM, evaluation={"bootstrap_replicates": 100})
    record = examined(home, spec, customers(3000, seed=1), customers(400, seed=2)).record
    assert record["rows"] == 400
    assert record["curve"][-1]["rows"] == 320


def test_a_source_that_was_learnt_from_test_rows_is_refused(home: Home) -> None:
    """By their keys; and in order of time, by their moments."""
    spec, source = child(), product("churn", evaluation=MANY)
    frame = customers(1500, seed=1)
    made = training.train(home, source, snapshot_of(home, source, frame))
    late = frame[frame["signed_up_at"] < frame["signed_up_at"].quantile(0.5)]
    snapshot = snapshot_of(home, spec, late)
    evidence = measure_gain(home, spec, snapshot, training.train(home, spec, snapshot, {"churn": made.digest}).digest)
    assert evidence.record["shared_entities"] > 0
    assert evidence.record["later_source_rows"] > 0
    assert any("is one that judges, or later than the first of them: not met" in told for told in refusals(spec, evidence))


def test_a_source_that_was_refitted_knows_no_validation_row(home: Home) -> None:
    """It is told at check, and refused; a source that was fitted on training rows alone knows none."""
    spec, frame = child(), customers(600, seed=1)
    for refit in (False, True):
        source = product("churn", evaluation=MANY, model={**TREES, "refit": refit})
        snapshots = [snapshot_of(home, each, frame) for each in (source, spec)]
        for each, snapshot in zip((source, spec), snapshots, strict=True):
            write_json(home.snapshots / each.name / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
        made = training.train(home, source, snapshots[0])
        told = list(learning.problems(home, spec, {"churn": source, "child": spec}))
        assert len(told) == refit
    assert "which declares 'model.refit', so it learns its validation rows too" in told[0]
    digest = training.train(home, spec, snapshots[1], {"churn": made.digest}).digest
    evidence = measure_gain(home, spec, snapshots[1], digest)
    assert evidence.record["shared_validation_entities"] > 0
    assert any("is one that chose calibration and decision rule: not met" in text for text in refusals(spec, evidence))


def test_weighted_rows_that_may_judge_are_refused(home: Home) -> None:
    """Where the split is at random: at check, and in a training; rows of others are taken, and so are earlier rows."""
    source, frame = product("churn", evaluation=MANY), customers(1500, seed=1)
    made = training.train(home, source, snapshot_of(home, source, frame))
    write_json(home.snapshots / "churn" / "current.json", {"digest": snapshot_of(home, source, frame).digest, "rows": 1500})
    others = frame.assign(customer_id="S" + frame["customer_id"])
    for rows, split, shared in ((frame[700:], AT_RANDOM, True), (others, AT_RANDOM, False), (frame[700:], BY_TIME, False)):
        spec = child("weights", split=split)
        snapshot = snapshot_of(home, spec, rows)
        write_json(home.snapshots / "child" / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
        if shared:
            with pytest.raises(DataError, match=r"800 rows of 'churn' have the customer_id of a row of this product"):
                list(learning.problems(home, spec, {"churn": source, "child": spec}))
            with pytest.raises(DataError, match="they may be the very rows that judge. Split by time"):
                training.train(home, spec, snapshot, {"churn": made.digest})
        else:
            assert list(learning.problems(home, spec, {"churn": source, "child": spec})) == []
            training.train(home, spec, snapshot, {"churn": made.digest})


def test_where_all_rows_judge_a_source_may_know_none_of_them(home: Home) -> None:
    """A source that learnt the product's training rows would answer their folds from memory."""
    spec = child(split=AT_RANDOM, evaluation={"bootstrap_replicates": 100})
    source = product("churn", evaluation=MANY, split=AT_RANDOM)
    frame = customers(2000, seed=1)
    made = training.train(home, source, snapshot_of(home, source, frame))
    snapshot = snapshot_of(home, spec, frame.iloc[:400])
    evidence = measure_gain(home, spec, snapshot, training.train(home, spec, snapshot, {"churn": made.digest}).digest)
    assert evidence.record["rows"] == evidence.record["shared_entities"] == 400
    assert any("is one that judges" in told for told in refusals(spec, evidence))


def test_only_what_is_learnt_from_another_is_asked(home: Home) -> None:
    """Of others there is no such record, and no such check."""
    assert "transfer" in rules_of(child())
    assert "transfer" not in rules_of(product("churn"))
    assert not EXAMINATION.applies(product("churn"))
    (missing,) = transfer(child(), {})
    assert missing.refuses

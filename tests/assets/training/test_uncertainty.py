"""The thresholds of a model: chosen on rows it was not fitted on, part of its digest, and nowhere where none are declared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from assets.errors import DataError
from assets.features import labelled_rows, snapshots
from assets.methods import conformal
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from bentos.runtime import Model
from tests.models import snapshot_of, trained
from tests.shop import AT_RANDOM, customers, product

BY_VALIDATION = {"bootstrap_replicates": 100, "cross_fitted_below": 0}
DECLARED = {"coverage": 0.8, "by": ["plan"]}


@pytest.mark.parametrize("name", ["churn", "tier", "spend"])
def test_thresholds_are_quantiles_of_the_validation_rows_scores(home: Home, name: str) -> None:
    """Of all rows, and of each plan."""
    spec = product(name, uncertainty=DECLARED, evaluation=BY_VALIDATION)
    snapshot = snapshot_of(home, spec, customers())
    made = training.train(home, spec, snapshot)
    model = Model.load(made.folder, made.digest)
    told, part = model.signature["uncertainty"], labelled_rows.labelled(spec, snapshots.read(snapshot))["validate"]
    outputs = model.predict({name: part.rows[name].to_numpy() for name in spec.columns})
    scores = conformal.scores(spec.kind, part.labels(spec), outputs)
    assert (told["rows"], told["threshold"]) == (len(scores), conformal.quantile(scores, 0.8))
    for item in told["slices"]:
        inside = (part.rows["plan"] == item["values"][0]).to_numpy()
        assert (item["rows"], item["threshold"]) == (inside.sum(), conformal.quantile(scores[inside], 0.8))
    assert {item["values"][0] for item in told["slices"] + told["too_few"]} == {"basic", "free", "pro"}
    assert all(item["rows"] < conformal.FEWEST for item in told["too_few"])
    if name == "spend":
        assert model.decision["margin"] == told["threshold"]


@pytest.mark.parametrize(("name", "split"), [("churn", AT_RANDOM), ("spend", AT_RANDOM), ("spend", None)])
def test_a_cross_fitted_model_has_the_thresholds_of_rows_left_out(home: Home, name: str, split: dict[str, Any] | None) -> None:
    """New rows are covered as promised, though the model was fitted on all of these."""
    parts = {} if split is None else {"split": split}
    spec = product(name, uncertainty={"coverage": 0.8}, **parts)
    snapshot = snapshot_of(home, spec, customers())
    made = training.train(home, spec, snapshot)
    model, new = Model.load(made.folder, made.digest), customers(4000, seed=9)
    assert model.signature["is_cross_fitted"]
    outputs = model.predict({name: new[name].to_numpy() for name in spec.columns})
    labels = new["spend"].to_numpy() if name == "spend" else (new["churned"] == "yes").to_numpy(float)
    inside = conformal.scores(spec.kind, labels, outputs) <= model.signature["uncertainty"]["threshold"]
    assert abs(inside.mean() - 0.8) < 0.04


def test_the_latest_rows_choose_only_where_they_are_enough_for_the_coverage(home: Home) -> None:
    """A high coverage asks for more than a hundred, which all rows together may have."""
    spec = product("spend", uncertainty={"coverage": 0.997})
    made = training.train(home, spec, snapshot_of(home, spec, customers()))
    model = Model.load(made.folder, made.digest)
    told = model.signature["uncertainty"]
    assert model.signature["is_cross_fitted"]
    assert told["rows"] >= conformal.least_rows(0.997) == 333
    lower = product("spend", uncertainty={"coverage": 0.9})
    made = training.train(home, lower, snapshot_of(home, lower, customers()))
    assert conformal.FEWEST <= Model.load(made.folder, made.digest).signature["uncertainty"]["rows"] < told["rows"]


def test_it_is_part_of_the_digest_and_absent_where_it_is_not_declared(home: Home) -> None:
    """A product without it has the signature that it had; another coverage is another model."""
    plain, sure, surer = (
        trained(home, "spend", evaluation=BY_VALIDATION, **parts)
        for parts in ({}, {"uncertainty": {"coverage": 0.9}}, {"uncertainty": {"coverage": 0.95}})
    )
    assert len({plain.digest, sure.digest, surer.digest}) == 3
    assert {name: value for name, value in sure.signature.items() if name != "uncertainty"} == plain.signature
    assert surer.decision["margin"] > sure.decision["margin"] == plain.decision["margin"]


def test_too_few_rows_for_the_coverage_are_refused_before_anything_is_published(home: Home) -> None:
    """With the number that would do."""
    spec = product("spend", uncertainty={"coverage": 0.999}, evaluation=BY_VALIDATION)
    with pytest.raises(DataError, match=r"spend: 405 rows choose .* needs at least 999, .* lower uncertainty.coverage"):
        training.train(home, spec, snapshot_of(home, spec, customers()))
    assert not (home.models / "spend").exists()


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [
        ("churn", {"uncertainty": {"coverage": 1.0}}, r"less than 1"),
        ("churn", {"uncertainty": {"coverage": 0.0}}, r"greater than 0"),
        ("churn", {"uncertainty": {"by": ["planet"]}}, r"uncertainty.by \['planet'\], which are not features. Categories: plan"),
        ("churn", {"uncertainty": {"by": ["age"]}}, r"uncertainty.by \['age'\], which are numbers, not categories. Categories: plan"),
        ("churn", {"uncertainty": {"by": ["plan", "plan"]}}, r"lists \['plan'\] twice in uncertainty.by. Keep each once"),
        ("churn", {"abstain": {"cost": 1.0}}, r"'abstain' without 'uncertainty'"),
        ("spend", {"uncertainty": {}, "abstain": {"cost": 1.0}}, r"needs abstain.wider_than"),
        ("churn", {"uncertainty": {}, "abstain": {"cost": 1.0, "wider_than": 3.0}}, r"a binary target has sets, not intervals"),
        ("churn", {"uncertainty": {"adaptive": True}, "split": AT_RANDOM, "features": {
            "entity": "customer_id", "groups": {"all": {"age": {}, "plan": {}}}}}, r"adaptive and a random split, so no labels come later"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(name: str, parts: dict[str, Any], message: str) -> None:
    """When the declaration is read, before anything is trained."""
    with pytest.raises(ValidationError, match=message):
        product(name, **parts)


def test_the_slices_are_cut_as_the_service_cuts_them() -> None:
    """Missing values are the empty text."""
    from bentos.runtime import as_text
    from bentos.uncertainty import text

    values = ["free", None, float("nan"), "pro"]
    assert as_text(values).tolist() == [text(value) for value in values] == ["free", "", "", "pro"]
    assert conformal.slices_of([np.array(["a", "b"], dtype=object)], 2) == [("a",), ("b",)]
    assert isinstance(product("churn", uncertainty={}), ProductSpec)

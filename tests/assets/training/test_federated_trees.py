"""Trees that clients grow together as a way to train: what is served, what its folder tells, and what is refused before it."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import numpy as np
import pytest

from assets.errors import SpecificationError
from assets.evaluation.evidence import Case
from assets.methods.federated.boosting import boost
from assets.methods.federated.grid import LocalGrid
from assets.serving import sql_export
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import training
from assets.training.estimators import model_frame
from assets.training.federated.declaration import plan_of
from assets.training.federated.pipeline import pipeline_of
from assets.training.federated.problems import problems
from assets.training.federated.way import clients_of
from bentos.runtime import Model
from tests.models import champion_of, snapshot_of
from tests.shop import customers, product

MANY = {"evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0}}
ESTIMATORS = {"churn": "Classifier", "tier": "Classifier", "spend": "Regressor"}


def trees(name: str, /, *, estimator: str | None = None, model: Any = None, parts: Any = None, **said: Any) -> ProductSpec:
    """One of the shop's products, whose plans are clients that grow trees."""
    declared = {
        "estimator": estimator or f"sklearn.ensemble.HistGradientBoosting{ESTIMATORS[name]}",
        "seed": 3,
        "learning": {"federated": {"by": "plan", "strategy": "trees", "rounds": 6, **said}},
        **(model or {}),
    }
    return product(name, model=declared, **MANY, **(parts or {}))


@pytest.mark.parametrize("name", ["churn", "tier", "spend"])
def test_the_trees_are_served_as_any_other_model(home: Home, name: str) -> None:
    """Pipeline, graph and SQL answer as the clients' trees do; the same rows give the same digest."""
    spec = trees(name)
    snapshot = snapshot_of(home, spec, customers(2000))
    made = training.train(home, spec, snapshot)
    assert made.largest_onnx_difference < 1e-12
    assert training.train(home, spec, snapshot).digest == made.digest
    rows = Case.load(home, spec, snapshot, made.digest).learnt
    frame = model_frame(spec, rows.rows)
    members = clients_of(spec, frame, rows.labels(spec), rows.rows, b"")
    found = boost(plan_of(spec), LocalGrid(members))
    fitted, own = pipeline_of(spec, found), (rows.rows["plan"] == "pro").to_numpy()
    answers = fitted.predict(frame[own]) if name == "spend" else fitted.decision_function(frame[own])
    asked = found.raw(members["pro"].rows)
    np.testing.assert_allclose(np.asarray(answers).reshape(asked.shape), asked, rtol=1e-12)
    served, strange = Model.load(made.folder, made.digest), customers(200, seed=5)
    strange.loc[:20, "plan"] = "unknown"
    query = sql_export.query(home, spec, champion_of(served), dialect="duckdb", relation="strange", kept=["customer_id"])
    with duckdb.connect() as connection:
        connection.register("strange", strange)
        there = connection.execute(query).df()
    outputs = served.predict({item: strange[item].to_numpy() for item in served.signature["features"]})
    first = f"probability_{served.signature['classes'][0]}" if name == "tier" else ""
    column = {"churn": "probability", "tier": first, "spend": "prediction"}[name]
    np.testing.assert_allclose(there[column], outputs[:, 0] if name == "tier" else outputs, rtol=1e-12)


def test_the_signature_says_how_much_was_told_and_shows_no_row(home: Home) -> None:
    """What stands there for the usual is made up of thresholds."""
    spec, rows = trees("churn"), customers(2000)
    made = training.train(home, spec, snapshot_of(home, spec, rows))
    signature = json.loads((made.folder / "model.json").read_text())
    told = signature["learning"]
    assert (told["way"], told["strategy"], told["rounds"]) == ("federated", "trees", 6)
    assert not {"local_steps", "robust", "privacy"} & told.keys()
    assert sum(told["clients"].values()) == made.train_rows
    # at 6 trees of 5 levels or more, of at least one node of 3 sums over these bins
    assert told["told_bytes"] > 6 * 5 * 3 * 8 * 20
    shown = {(item["age"], item["visits"]) for item in signature["background"]}
    assert len(shown) > 16
    assert not shown & set(zip(rows["age"].astype(float), rows["visits"], strict=True))
    assert signature["features"]["plan"]["known"] == ["basic", "free", "pro"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            trees("churn", estimator="sklearn.linear_model.LogisticRegression"),
            "with strategy trees learns boosted histograms, but 'model.estimator' is sklearn.linear_model.LogisticRegression. Allowed",
        ),
        (
            trees("churn", model={"parameters": {"max_iter": 50, "loss": "log_loss"}}),
            "l2_regularization, max_bins, got loss, max_iter; 'rounds' is how many trees are grown. Remove them",
        ),
        (trees("churn", model={"categories": "target_means"}), "'model.categories' must be codes"),
        (trees("churn", by="churned"), "by' churned is the target: each client would know one answer only"),
        (trees("churn", model={"parameters": {"max_depth": 3, "max_bins": 64}}), None),
    ],
)
def test_what_stands_against_trees_is_told_before_anything_is_trained(home: Home, spec: ProductSpec, told: str | None) -> None:
    """Each with what to do."""
    found = list(problems(home, spec, {}))
    assert (told is None and not found) or any(told and told in problem for problem in found), found


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"privacy": {"epsilon": 1.0, "delta": 1e-6}},
            "declares 'privacy' with strategy trees, whose sums over bins are told with",
        ),
        (
            {"robust": "krum"},
            "declares robust: krum with strategy trees, which add up what all clients tell. Remove it, or give",
        ),
        (
            {"secure_aggregation": True, "processes": True},
            "'secure_aggregation' with strategy trees: .* must be exact. Remove it",
        ),
        ({"local_steps": 3}, "gives 'local_steps', which strategy trees does not take: each round grows a tree. Remove it"),
        ({"proximal": 0.1}, "gives 'proximal', which only fedprox has, not trees. Remove it"),
    ],
)
def test_what_trees_do_not_have_is_an_error_of_the_declaration(said: dict[str, Any], told: str) -> None:
    """When it is read, and a declaration that was written out is read again."""
    assert ProductSpec.model_validate(trees("churn").model_dump()) == trees("churn")
    with pytest.raises(ValueError, match=told):
        trees("churn", **said)


def test_parameters_that_the_estimator_does_not_take_are_an_error_of_the_declaration() -> None:
    """As of any other product with it."""
    with pytest.raises(SpecificationError, match="'model.parameters': The 'learning_rate' parameter of HistGradientBoosting"):
        plan_of(trees("churn", model={"parameters": {"learning_rate": "fast"}}))


def test_a_declared_direction_is_in_the_plan() -> None:
    """Of categories, then of numbers, as the columns are."""
    features = product("churn").model_dump(mode="json", by_alias=True, exclude_none=True)["features"]
    for group in features["groups"].values():
        for name, item in group.items():
            if name == "visits":
                item["monotone"] = "increasing"
    found = plan_of(trees("churn", parts={"features": features})).trees
    assert found is not None
    assert found.signs == (0, 0, 1)

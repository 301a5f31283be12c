"""Federated learning as a way to train: the model that is served, what its folder tells, and what is refused before it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from assets.errors import DataError
from assets.evaluation.evidence import Case
from assets.methods.federated.grid import LocalGrid
from assets.methods.federated.rounds import federate
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import training
from assets.training.estimators import model_frame
from assets.training.federated.declaration import plan_of
from assets.training.federated.pipeline import pipeline_of
from assets.training.federated.problems import problems
from assets.training.federated.way import clients_of
from tests.models import snapshot_of
from tests.shop import customers, product

MANY = {"evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0}}
ESTIMATORS = {"churn": "LogisticRegression", "tier": "LogisticRegression", "spend": "Ridge"}
BOUNDED = {"age": {"min": 0, "max": 120}, "plan": {}, "visits": {"max_missing": 0.3}}
PRIVATE = {"epsilon": 3.0, "delta": 1e-5, "sampling": 0.5}


def federated(name: str, /, *, by: str = "plan", estimator: str | None = None, model: Any = None, **said: Any) -> ProductSpec:
    """One of the shop's products, whose plans are clients."""
    declared = {
        "estimator": f"sklearn.linear_model.{estimator or ESTIMATORS[name]}",
        "seed": 3,
        "learning": {"federated": {"by": by, **said}},
        **(model or {}),
    }
    return product(name, model=declared, **MANY)


@pytest.mark.parametrize("name", ["churn", "tier", "spend"])
def test_what_is_learnt_is_served_as_any_other_model(home: Home, name: str) -> None:
    """As one graph in double precision, with the fitted pipeline beside it; the same rows give the same digest."""
    spec = federated(name)
    snapshot = snapshot_of(home, spec, customers(2000))
    made = training.train(home, spec, snapshot)
    assert made.largest_onnx_difference < 1e-12
    assert training.train(home, spec, snapshot).digest == made.digest
    told = Case.load(home, spec, snapshot, made.digest).model.signature["learning"]
    assert told["way"] == "federated"
    assert set(told["clients"]) == {"basic", "free", "pro"}
    assert sum(told["clients"].values()) == made.train_rows


@pytest.mark.parametrize("name", ["churn", "tier", "spend"])
def test_the_pipeline_answers_as_the_rounds_did(home: Home, name: str) -> None:
    """Encoding, weights and the target's scale are all in it."""
    spec = federated(name)
    rows = Case.load(
        home, spec, snapshot := snapshot_of(home, spec, customers(2000)), training.train(home, spec, snapshot).digest
    ).learnt
    frame, labels = model_frame(spec, rows.rows), rows.labels(spec)
    members = clients_of(spec, frame, labels, rows.rows, b"")
    found = federate(plan_of(spec), LocalGrid(members))
    fitted = pipeline_of(spec, found)
    own = (rows.rows["plan"] == "pro").to_numpy()
    scores = found.encoding.matrix(members["pro"].rows) @ found.weights
    if name == "spend":
        asked = scores[:, 0] * found.encoding.label_scale + found.encoding.label_mean
        np.testing.assert_allclose(fitted.predict(frame[own]), asked)
    else:
        asked = scores[:, 0] if name == "churn" else scores
        np.testing.assert_allclose(fitted.decision_function(frame[own]), asked)


def test_the_model_folder_shows_no_row_of_a_client(home: Home) -> None:
    """What it shows for the usual is made up of what was agreed on."""
    spec = federated("churn")
    snapshot = snapshot_of(home, spec, customers(2000))
    signature = json.loads((training.train(home, spec, snapshot).folder / "model.json").read_text())
    rows = customers(2000)
    shown = {(item["age"], item["visits"]) for item in signature["background"]}
    assert len(shown) == 32
    assert not shown & set(zip(rows["age"].astype(float), rows["visits"], strict=True))
    assert signature["features"]["plan"]["known"] == ["basic", "free", "pro"]


def test_epsilon_stands_in_the_signature(home: Home) -> None:
    """It is that of all rounds, by the accountant, and no more than was declared."""
    spec = federated("churn", privacy=PRIVATE, rounds=20)
    snapshot = snapshot_of(home, spec, customers(6000))
    made = training.train(home, spec, snapshot)
    told = Case.load(home, spec, snapshot, made.digest).model.signature["learning"]["privacy"]
    assert 2.9 < told["epsilon"] <= 3.0
    assert (told["delta"], told["clip"], told["sampling"]) == (1e-5, 2.0, 0.5)
    assert told["noise"] > 1
    assert training.train(home, spec, snapshot).digest == made.digest


@pytest.mark.parametrize(
    ("rows", "said", "told"),
    [
        (customers(2000), {"min_client_rows": 500}, r"min_client_rows' is 500, but basic has \d+, pro has \d+\. Lower"),
        (customers(2000).assign(plan="free"), {}, "by' plan has one value, free, so there is one client"),
        (customers(2000), {"privacy": {"epsilon": 3.0, "delta": 0.01}}, r"has delta 0.01, but there are \d+ training rows"),
        (customers(2000), {"privacy": {"epsilon": 0.02, "delta": 1e-6}}, "of epsilon 0.02 needs noise of"),
    ],
)
def test_rows_that_no_model_can_be_agreed_on_are_an_error(home: Home, rows: Any, said: dict[str, Any], told: str) -> None:
    """Before any client is asked."""
    spec = federated("churn", **said)
    with pytest.raises(DataError, match=told):
        training.train(home, spec, snapshot_of(home, spec, rows))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            federated("churn", estimator="SGDClassifier"),
            "learns a linear model, but 'model.estimator' is sklearn.linear_model.SGDClassifier. Allowed: sklearn.linear_model.L",
        ),
        (
            federated("churn", model={"parameters": {"C": 0.5, "tol": 0.1}}),
            "takes no 'model.parameters' but C, got tol. Remove",
        ),
        (federated("spend", privacy=PRIVATE), "privacy' needs a target of classes"),
        (federated("churn", privacy={"epsilon": 0.001, "delta": 1e-9}), "gives epsilon 0.001 at delta 1e-09 in 40 rounds of 3"),
        (federated("churn", privacy=PRIVATE, model={"refit": True}), "counts one training, but 'model.refit' trains twice"),
        (federated("churn", by="churned"), "by' churned is the target: each client would know one answer only"),
        (federated("churn", by="household", min_client_rows=5), None),
    ],
)
def test_what_stands_against_it_is_told_before_anything_is_trained(home: Home, spec: ProductSpec, told: str | None) -> None:
    """Each with what to do."""
    found = list(problems(home, spec, {}))
    assert (told is None and not found) or any(told and told in problem for problem in found), found


def test_clients_of_the_last_snapshot_are_counted_by_a_check(home: Home) -> None:
    """So too few rows are known before a training."""
    spec = federated("churn", min_client_rows=500)
    snapshot = snapshot_of(home, spec, customers(2000))
    write_json(home.snapshots / spec.name / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
    assert any("min_client_rows' is 500, but basic has" in problem for problem in problems(home, spec, {}))


def test_clients_of_folds_are_counted_by_a_check(home: Home) -> None:
    """A small product is judged by models of folds, the first of which learns from few rows."""
    spec = federated("churn", min_client_rows=60)
    spec = spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"cross_fitted_below": 4000})})
    snapshot = snapshot_of(home, spec, customers(1000))
    write_json(home.snapshots / spec.name / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
    (told,) = problems(home, spec, {})
    assert "models of folds judge, and in one of" in told
    assert "min_client_rows' is 60, but basic has" in told
    with pytest.raises(
        DataError, match=r"of \d+ rows to learn from, .* has \d+.* evaluation.cross_fitted_below 0 leaves them out"
    ):
        training.train(home, spec, snapshot)


def test_a_column_that_is_no_feature_may_name_the_clients(home: Home) -> None:
    """The snapshot then holds it; a column that the source lacks is an error."""
    spec = federated("churn", by="household", min_client_rows=1)
    assert "household" in spec.snapshot_columns
    with pytest.raises(ValueError, match=r"uses \['region'\], which 'source' does not declare"):
        federated("churn", by="region")


@pytest.mark.parametrize("said", [{}, {"strategy": "fedprox"}, {"robust": "krum"}])
def test_a_declaration_that_was_written_out_is_read_again(said: dict[str, Any]) -> None:
    """As a replay does, whatever was left out."""
    spec = federated("churn", **said)
    assert ProductSpec.model_validate(spec.model_dump()) == spec
    given = {"strategy": "fedprox", "robust": "krum", "proximal": 0.1, "liar_share": 0.25}
    assert plan_of(federated("churn", **given)) == plan_of(federated("churn", strategy="fedprox", robust="krum"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"proximal": 0.5}, "gives 'proximal', which only fedprox has, not fedavg. Remove it"),
        ({"liar_share": 0.2}, "gives 'liar_share', but a plain mean survives no liar"),
        ({"secure_aggregation": True}, "masks updates, but one process hides nothing from itself. Declare processes: true"),
        (
            {"secure_aggregation": True, "processes": True, "robust": "krum"},
            "masks updates, of which krum would have to see each",
        ),
        ({"privacy": {"epsilon": 0, "delta": 1e-6}}, "epsilon"),
        ({"privacy": {"epsilon": 1.0, "delta": 1.0}}, "delta"),
        ({"rounds": 0}, "rounds"),
    ],
)
def test_what_does_not_fit_together_is_an_error_of_the_declaration(said: dict[str, Any], told: str) -> None:
    """When it is read."""
    with pytest.raises(ValueError, match=told):
        federated("churn", **said)

"""Online learning as a declared way: its state stands in the signature, and what it cannot do is told before a training."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from assets.errors import DataError
from assets.evaluation.evidence import Case
from assets.features.labelled_rows import joined
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import learning, training
from tests.assets.training.test_online_learning import ESTIMATORS, MODELS, declared, delayed, learned, online_product
from tests.models import snapshot_of
from tests.shop import AT_RANDOM, KINDS

MANY = {"evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0}}


def product_of(
    name: str, online: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **parts: Any
) -> ProductSpec:
    """One of the shop's products that declares online learning."""
    told = {**MODELS[name], "checkpoint_rows": 300, **(online or {})}
    whole = {"estimator": ESTIMATORS[name], "seed": 3, "refit": True, **(model or {}), "learning": {"online": told}}
    return online_product(name, **{**MANY, "model": whole, **parts})


@pytest.mark.parametrize("name", ["churn", "spend"])
def test_the_model_is_the_state_after_all_labels_that_had_arrived(home: Home, name: str) -> None:
    """Its digest is in the signature; trained again it goes on from a checkpoint and is the same model."""
    spec = product_of(name)
    snapshot = snapshot_of(home, spec, delayed())
    made, again = training.train(home, spec, snapshot), training.train(home, spec, snapshot)
    case = Case.load(home, spec, snapshot, made.digest)
    told = case.model.signature["learning"]
    rows = joined([case.parts["train"], case.parts["validate"]], "both").rows
    assert told["way"] == "online"
    assert told["rows"] == len(rows)
    assert (rows["known_at"] < case.parts["test"].window.start).all()  # type: ignore[union-attr]
    assert told["state"] == learned(name, rows).digest
    assert made.largest_onnx_difference < 1e-12
    assert (again.digest, again.learning["rows_of_checkpoint"]) == (made.digest, 300 * (len(rows) // 300))


def test_another_label_makes_another_model(home: Home) -> None:
    """However little it moves."""
    spec, frame = product_of("churn"), delayed()
    first = training.train(home, spec, snapshot_of(home, spec, frame))
    frame.loc[3, "churned"] = "no" if frame.loc[3, "churned"] == "yes" else "yes"
    assert training.train(home, spec, snapshot_of(home, spec, frame)).digest != first.digest


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        (
            {"target": KINDS["churn"]["target"]},
            "'model.learning.online': 'target.known_at' is missing, but a row is learned when",
        ),
        ({"online": {"model": "linear"}}, "'model' linear is for a regression target, not a binary one: give logistic"),
        (
            {"model": {"estimator": "sklearn.ensemble.RandomForestClassifier"}},
            "leaves as sklearn.linear_model.LogisticRegression",
        ),
        ({"model": {"parameters": {"C": 2.0}}}, "'model.parameters' has C, but 'model.learning.online' has its own"),
        ({"model": {"categories": "target_means"}}, "'model.categories' is target_means"),
        ({"split": AT_RANDOM}, "learns in order of time, but the split is at random"),
        (
            {"split": {"by": "days", "train": 20, "validation": 5, "test": 5}, "online": {"drift": "adwin", "warmup_days": 20}},
            "warmup_days' is 20, but the rows to train on are of 20 days",
        ),
        (
            {"tune": {"trials": 2, "parameters": {"C": {"low": 0.1, "high": 1.0}}}},
            "'tune' searches parameters of the estimator",
        ),
    ],
)
def test_what_stands_against_it_is_told(home: Home, parts: dict[str, Any], wanted: str) -> None:
    """Each with what is allowed or what to do, and nothing else."""
    (told,) = learning.problems(home, product_of("churn", **parts), {})
    assert wanted in told


def test_nothing_stands_against_a_sound_declaration(home: Home) -> None:
    """Nor is a field of the declaration needed beyond the model."""
    assert list(learning.problems(home, product_of("churn"), {})) == []
    assert list(learning.problems(home, product_of("spend"), {})) == []


def test_a_warm_up_longer_than_the_snapshot_is_told(home: Home) -> None:
    """Where the split is by shares, the snapshot says of how many days the rows are."""
    spec = product_of("churn", {"drift": "adwin", "warmup_days": 400})
    assert list(learning.problems(home, spec, {})) == []
    snapshot = snapshot_of(home, spec, delayed())
    write_json(home.snapshots / spec.name / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
    (told,) = learning.problems(home, spec, {})
    assert "warmup_days' is 400, but the rows to train on are of 1" in told
    with pytest.raises(DataError, match="warmup_days' is 400, but the labels of the .* rows"):
        training.train(home, spec, snapshot)


@pytest.mark.parametrize(
    ("online", "wanted"),
    [
        ({"model": "hoeffding_tree"}, "'logistic' or 'linear'"),
        ({"rate": 0.0}, "greater than 0"),
        ({"warmup_days": 7}, "has 'warmup_days', which only drift: adwin asks for"),
        ({"drift": "ddm"}, "'adwin' or 'none'"),
        ({"checkpoint_rows": 5}, "greater than or equal to 100"),
    ],
)
def test_a_wrong_field_is_told(online: dict[str, Any], wanted: str) -> None:
    """By what is allowed."""
    with pytest.raises(ValidationError, match=wanted):
        declared("churn", **online)

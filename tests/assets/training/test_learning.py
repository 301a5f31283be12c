"""The declared way of learning: what it learns from stands in the signature, and plain products know nothing of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression

from assets.errors import DataError
from assets.evaluation.evaluation import evaluate
from assets.evaluation.evidence import Case
from assets.features import labelled_rows, snapshots
from assets.features.labelled_rows import LabelledRows
from assets.features.snapshots import Snapshot
from assets.methods.density_ratio import effective, held_out_chances, weights
from assets.registries import registry
from assets.spec import ProductSpec
from assets.spec.ways_of_learning import LearningSpec
from assets.storage.home import Home
from assets.training import cross_fitting, learning, training
from assets.training.estimators import model_frame
from assets.training.transfer.problems import problems
from assets.training.transfer.weighted_source import source_rows
from tests.models import snapshot_of
from tests.shop import AT_RANDOM, customers, product

ESTIMATOR = {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "seed": 3, "parameters": {"max_iter": 20}}
MANY = {"evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0}}


def child(how: str = "weights", **parts: Any) -> ProductSpec:
    """A product that is learnt from `churn`."""
    model = {**ESTIMATOR, "learning": {"transfer": {"from": "churn", "how": how}}}
    return product("churn", **{"name": "child", "model": model, **MANY, **parts})


def trained_pair(home: Home, spec: ProductSpec, rows: int = 400) -> tuple[training.Trained, Case]:
    """The source's model, and the child's on few rows."""
    source = product("churn", **MANY)
    made = training.train(home, source, snapshot_of(home, source, customers(3000)))
    snapshot = snapshot_of(home, spec, customers(rows, seed=7))
    child_made = training.train(home, spec, snapshot, {"churn": made.digest})
    return child_made, Case.load(home, spec, snapshot, child_made.digest)


def test_every_way_is_a_field_of_the_declaration_and_each_field_a_way() -> None:
    """By the same name."""
    assert set(registry("WAYS_OF_LEARNING")) == set(LearningSpec.model_fields)


def test_a_product_without_a_way_declares_and_signs_nothing_of_it(home: Home) -> None:
    """So its digests stay."""
    spec = product("churn", **MANY)
    assert "learning" not in spec.model_dump(mode="json")["model"]
    made = training.train(home, spec, snapshot_of(home, spec, customers(600)))
    assert "learning" not in Case.load(home, spec, snapshot_of(home, spec, customers(600)), made.digest).model.signature
    assert (learning.modules_of(spec), learning.learns_from(spec), made.learning) == ([], (), {})


def test_what_was_learnt_from_is_in_the_signature_and_so_in_the_digest(home: Home) -> None:
    """With the source's digest; the same again gives the same digest, and so does the learner of an examination."""
    made, case = trained_pair(home, child())
    told = case.model.signature["learning"]
    assert (told["way"], told["how"]) == ("transfer", "weights")
    assert list(told["sources"]) == ["churn"]
    assert told["source_rows"] == made.learning["source_rows"] > 1000
    assert 20 < made.learning["effective_source_rows"] <= told["source_rows"]
    assert training.train(home, child(), case.snapshot, told["sources"]).digest == made.digest
    assert learning.modules_of(child()) == ["assets.training.transfer.way"]


def test_folds_are_learnt_from_the_same_source(home: Home) -> None:
    """A small product is judged by cross-fitting, each fold by the declared way."""
    spec = child(evaluation={"bootstrap_replicates": 100})
    _, case = trained_pair(home, spec)
    assert case.model.signature["is_cross_fitted"]
    rows = case.learnt
    learnt = case.learner()(spec, *_taught(spec, rows), rows.rows)
    assert learnt.figures["source_rows"] == case.model.signature["learning"]["source_rows"]


def test_a_source_that_learnt_the_rows_of_folds_does_not_judge_them(home: Home) -> None:
    """Nothing can be learnt of labels that are noise, though the source knows those of its own rows by heart."""
    frame = customers(1500)
    frame["churned"] = np.where(np.random.default_rng(5).random(len(frame)) < 0.5, "yes", "no")
    forest = {"estimator": "sklearn.ensemble.RandomForestClassifier", "seed": 3, "parameters": {"n_estimators": 40}}
    source = product("churn", model=forest, **MANY)
    made = training.train(home, source, snapshot_of(home, source, frame))
    spec = child("features", evaluation={"bootstrap_replicates": 100})
    snapshot = snapshot_of(home, spec, frame)
    digest = training.train(home, spec, snapshot, {"churn": made.digest}).digest
    found = evaluate(home, spec, snapshot, digest).record["metrics"]["model"]["roc_auc"]
    assert found["low"] < 0.5 < found["high"]
    assert cross_fitting.is_wanted(child("features", split=AT_RANDOM, evaluation={}), labelled_parts(spec, snapshot))


def labelled_parts(spec: ProductSpec, snapshot: Snapshot) -> list[LabelledRows]:
    """The rows to learn from and to choose by."""
    parts = labelled_rows.labelled(spec, snapshots.read(snapshot))
    return [parts["train"], parts["validate"]]


def _taught(spec: ProductSpec, rows: Any) -> tuple[Any, Any]:
    return model_frame(spec, rows.rows), rows.labels(spec)


def test_no_row_of_the_source_is_later_than_what_is_learnt_from(home: Home) -> None:
    """Else the model would know of days that it is judged by."""
    made, case = trained_pair(home, child())
    source = source_rows(home, case.spec, "churn", case.model.signature["learning"]["sources"]["churn"]).rows.rows
    last = case.learnt.rows["signed_up_at"].max()
    assert made.learning["source_rows"] == int((source["signed_up_at"] <= last).sum()) < len(source)


def test_nobody_serves_at_the_source(home: Home) -> None:
    """One error, with what to do."""
    with pytest.raises(
        DataError, match=r"learns from the champion of churn, and nobody serves there\. Run `loopline run churn`"
    ):
        learning.learner_of(home, child(), {})


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({}, "declares nothing. Give exactly one of transfer"),
        ({"transfer": {"from": "churn", "how": "magic"}}, "weights"),
        ({"transfer": {"how": "weights"}}, "from"),
    ],
)
def test_a_way_that_is_declared_wrongly_is_an_error(declared: dict[str, Any], told: str) -> None:
    """When the declaration is read."""
    with pytest.raises(ValidationError, match=told):
        product("churn", model={**ESTIMATOR, "learning": declared})


def test_one_way_learns_one_estimator() -> None:
    """Which of several would do best is not asked of the source's rows."""
    alternatives = [{"estimator": "sklearn.linear_model.LogisticRegression"}]
    with pytest.raises(ValidationError, match=r"declares both 'learning.transfer' and 'alternatives'\. Remove one"):
        product("churn", model={**child().model.model_dump(), "alternatives": alternatives})


FEATURES = {"entity": "customer_id", "event_time": "signed_up_at"}


@pytest.mark.parametrize(
    ("source", "of_child", "told"),
    [
        (None, {}, "is 'churn', which is no product. Products: none"),
        (product("spend", name="churn"), {}, "which is regression; this product is binary"),
        (
            product("churn", features={**FEATURES, "groups": {"all": {"age": {}, "plan": {}}}}),
            {},
            "'churn' has not the feature visits, but age, plan. Declare the same",
        ),
        (
            product(
                "churn",
                features={**FEATURES, "groups": {"all": {"household": {"type": "category"}}}},
                baseline={"by": {"household": None}},
                evaluation={},
            ),
            {
                "features": {**FEATURES, "groups": {"all": {"household": {"type": "number"}}}},
                "baseline": {"by": {"household": None}},
                "evaluation": {},
            },
            "'household' is a number here and a category in 'churn'",
        ),
        (product("churn"), {}, "there is no champion to learn from. Run `loopline run churn` first"),
        (
            product("churn"),
            {"model": {**child().model.model_dump(), "estimator": "sklearn.neighbors.KNeighborsClassifier", "parameters": {}}},
            "KNeighborsClassifier takes no weights of rows",
        ),
        (
            child(name="churn", model={**ESTIMATOR, "learning": {"transfer": {"from": "child", "how": "weights"}}}),
            {},
            "leads back: child <- churn <- child",
        ),
    ],
)
def test_what_stands_against_a_transfer_is_told_before_anything_is_trained(
    home: Home, source: ProductSpec | None, of_child: dict[str, Any], told: str
) -> None:
    """Each with what to do."""
    spec = child(**of_child)
    transfer = spec.model.learning.transfer if spec.model.learning else None
    assert transfer is not None
    products = {"child": spec} | ({} if source is None else {"churn": source})
    found = list(problems(home, spec, transfer, products))
    assert any(told in problem for problem in found), found
    assert all(problem.endswith(".") for problem in found)


def test_the_weights_of_source_rows_follow_the_targets_mix(home: Home) -> None:
    """Of two populations that differ in one feature, source rows that are like the target's count more."""
    random = np.random.default_rng(1)
    source, target = random.normal(0, 1, 3000), random.normal(1, 1, 600)
    columns = np.concatenate([source, target])[:, None]
    is_target = np.repeat([False, True], [3000, 600])
    chances = held_out_chances(LogisticRegression(), columns, is_target, seed=1)
    found = weights(chances[~is_target], 3000, 600)
    true = np.exp(source - 0.5)
    assert np.corrcoef(found, true)[0, 1] > 0.9
    assert abs(np.average(source, weights=found) - 1) < 0.15
    assert effective(found) < 3000

"""`loopline check`: what can be known without running is known, and the repository's own products pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from assets.errors import DataError
from assets.evaluation.evaluation import evaluate
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.training import training
from orchestration import declarations
from orchestration.operations.declaration.check import Checked, check
from tests.models import snapshot_of
from tests.shop import AT_RANDOM, customers, product
from tests.world import DEFS, changed, small_product


@pytest.mark.parametrize(("spec", "folder"), declarations.products(), ids=lambda item: getattr(item, "name", ""))
def test_the_products_of_this_repository_pass(home: Home, spec: ProductSpec, folder: Path) -> None:
    """Each column, parameter and gate."""
    assert check(home, spec, folder).problems == []


def with_feature(name: str, **feature: Any) -> dict[str, Any]:
    """The features of flight_delay with one more."""
    features = small_product().features.model_dump()
    features["groups"]["plane"][name] = feature
    return {"features": features}


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (with_feature("plane_engines", type="number"), r"features.flight_delay declares no column 'plane_engines'. It has: "),
        (with_feature("is_cancelled_text", type="category"), r"declares no column 'is_cancelled_text'"),
        (
            with_feature("weather_known_utc", type="number"),
            r"'weather_known_utc' is a number, but timestamp .* cast it to",
        ),
        (
            {"features": {**small_product().features.model_dump(), "relation": "features.flights"}},
            r"is no model of the warehouse",
        ),
        ({"model": {"estimator": "sklearn.linear_model.Ridge"}}, r"gives no probabilities"),
        (
            {"tune": {"trials": 2, "parameters": {"max_depths": {"low": 2, "high": 4}}}},
            r"'tune.parameters.max_depths' is none that .*Allowed: .*max_depth",
        ),
        (
            {"tune": {"trials": 2, "parameters": {"max_iter": {"low": -5, "high": 4}}}},
            r"'max_iter' parameter .* Got -5 instead",
        ),
        (
            {"tune": {"trials": 2, "warehouse": {"long_window_hours": {"values": [1]}}}},
            r"'tune.warehouse.long_window_hours' is no parameter of the warehouse. Declared: .*long_window_days",
        ),
    ],
)
def test_a_mistake_is_found_without_running(home: Home, parts: dict[str, Any], problem: str) -> None:
    """And told with what is allowed."""
    found = check(home, changed(small_product(), **parts), DEFS / "flight_delay")
    assert len(found.problems) == 1, found.problems
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(found.problems[0])


def test_a_file_with_other_columns_is_found(home: Home, tmp_path: Path) -> None:
    """Before anything is landed."""
    spec = product("churn")
    assert "is missing" in check(home, spec, tmp_path).problems[0]
    customers(60).rename(columns={"age": "years"}).to_csv(tmp_path / "customers.csv", index=False)
    (problem,) = check(home, spec, tmp_path).problems
    assert "the file lacks ['age'] and has undeclared ['years']" in problem


def test_too_few_rows_for_a_coverage_are_found_once_rows_are_there(home: Home, tmp_path: Path) -> None:
    """By the snapshot that was published last; a coverage that they are enough for is none."""
    customers().to_csv(tmp_path / "customers.csv", index=False)
    never = {"bootstrap_replicates": 100, "cross_fitted_below": 0}
    asked = [product("spend", uncertainty={"coverage": share}, evaluation=never) for share in (0.9, 0.999)]
    snapshot = snapshot_of(home, asked[0], customers())
    write_json(home.snapshots / "spend" / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
    assert check(home, asked[0], tmp_path).problems == []
    (problem,) = check(home, asked[1], tmp_path).problems
    assert "405 rows choose the width of its answers; a coverage of 0.999 needs at least 999" in problem


@pytest.mark.parametrize("split", [None, AT_RANDOM])
def test_folds_of_too_few_rows_for_abstaining_are_found_before_an_evaluation_fails(
    home: Home, tmp_path: Path, split: dict[str, Any] | None
) -> None:
    """Each fold is judged by thresholds of the others; without abstaining the model's own are enough."""
    customers(400).to_csv(tmp_path / "customers.csv", index=False)
    parts: dict[str, Any] = {"uncertainty": {"coverage": 0.99 if split is None else 0.996}}
    parts |= {} if split is None else {"split": split}
    plain, abstaining = product("churn", **parts), product("churn", **parts, abstain={"cost": 0.3})
    snapshot = snapshot_of(home, plain, customers(400))
    write_json(home.snapshots / "churn" / "current.json", {"digest": snapshot.digest, "rows": snapshot.rows})
    assert check(home, plain, tmp_path).problems == []
    found = check(home, abstaining, tmp_path).problems
    made = training.train(home, abstaining, snapshot)
    if split is None:
        (problem,) = found
        assert re.search(
            r"churn: 6\d rows choose .* in one of the folds by which 'abstain' is judged; .* needs at least 99", problem
        )
        with pytest.raises(DataError, match="in one of the folds|rows choose the width"):
            evaluate(home, abstaining, snapshot, made.digest)
    else:
        assert found == []
        assert evaluate(home, abstaining, snapshot, made.digest).record["judged_by"]["method"] == "cross-fitting"


def test_features_without_bounds_are_remarked(home: Home) -> None:
    """They are no mistake."""
    (remark,) = check(home, small_product(), DEFS / "flight_delay").remarks
    assert remark == "the contract bounds 31 of 33 features; without a whole range or vocabulary: carrier, destination"


def served_by(home: Home, estimator: str, **parameters: object) -> Checked:
    """What is found of a product with another estimator."""
    spec = small_product()
    model = spec.model.model_copy(update={"estimator": estimator, "parameters": parameters, "alternatives": ()})
    return check(home, spec.model_copy(update={"model": model}), DEFS / "flight_delay")


def test_an_estimator_that_is_served_inexactly_is_named(home: Home) -> None:
    """Before anything trains; the usual ones are exact, and nothing is said."""
    found = served_by(home, "sklearn.neural_network.MLPClassifier", max_iter=20)
    assert not found.problems
    assert any("MLPClassifier is served in single precision" in remark for remark in found.remarks)
    exact = served_by(home, "sklearn.linear_model.LogisticRegression", max_iter=20)
    assert not any("precision" in remark for remark in exact.remarks)


def test_an_estimator_that_cannot_be_served_is_a_problem(home: Home) -> None:
    """It would be found after hours of training."""
    (problem,) = served_by(home, "sklearn.semi_supervised.LabelSpreading").problems
    assert "does not convert to ONNX" in problem


def test_the_clients_of_a_file_are_counted(home: Home, tmp_path: Path) -> None:
    """One client, or one of too few rows, is found before anything is landed."""
    learning = {"federated": {"by": "plan", "min_client_rows": 100}}
    spec = product("churn", model={"estimator": "sklearn.linear_model.LogisticRegression", "learning": learning})
    rows = customers(300)
    rows.assign(plan="free").to_csv(tmp_path / "customers.csv", index=False)
    (found,) = check(home, spec, tmp_path).problems
    assert "by' plan has one value, free, so there is one client" in found
    rows.to_csv(tmp_path / "customers.csv", index=False)
    (found,) = check(home, spec, tmp_path).problems
    assert f"min_client_rows' is 100, but basic has {(rows['plan'] == 'basic').sum()}, pro has" in found

"""Explanations: for any estimator, contributions add up to what is served, and the rule behind the data is named first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from assets.evaluation import explanations, robustness
from assets.storage import pseudonym_key
from assets.storage.digests import file_digest
from assets.storage.home import REPOSITORY, Home
from assets.training import training
from bentos.pseudonyms import pseudonym
from tests.assets.training.test_estimators import CASES, published
from tests.shop import customers, product

OTHERS: list[tuple[str, str, dict[str, Any]]] = [
    ("churn", "sklearn.naive_bayes.GaussianNB", {}),
    ("tier", "sklearn.ensemble.RandomForestClassifier", {"n_estimators": 20, "min_samples_leaf": 5}),
    ("spend", "sklearn.svm.SVR", {"C": 10.0}),
    ("spend", "lightgbm.LGBMRegressor", {"objective": "poisson", "n_estimators": 40}),
]
STRONGEST = {"churn": "plan", "tier": "age", "spend": "plan"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the customers' file; nobody spends less than nothing."""
    folder = tmp_path_factory.mktemp("shop")
    frame = customers()
    frame.assign(spend=frame["spend"].clip(lower=0)).to_csv(folder / "customers.csv", index=False)
    return folder


@pytest.mark.parametrize(("name", "path", "parameters"), CASES + OTHERS, ids=lambda item: str(item).rsplit(".", 1)[-1][:30])
def test_contributions_add_up_to_what_is_served(
    home: Home,
    shop: Path,
    name: str,
    path: str,
    parameters: dict[str, Any],
) -> None:
    """In the units of the method, through calibration, to single precision."""
    spec = product(name, model={"estimator": path, "seed": 5, "parameters": parameters, "calibration": "auto"})
    snapshot = published(home, shop, spec)
    digest = training.train(home, spec, snapshot).digest
    found = explanations.explain_model(home, spec, snapshot, digest)
    assert found.record["gap"] < 1e-5
    assert max(found.record["importance"], key=found.record["importance"].get) == STRONGEST[name]
    assert found.record["method"] in ("trees", "linear", "sampling")
    table = pq.read_table(found.path.with_name("contributions.parquet"))
    assert table.num_rows == found.record["rows"]


def test_examples_show_no_private_value(home: Home, shop: Path) -> None:
    """Neither the record nor the contributions hold a key or a value; rows of one value still share its pseudonym."""
    privacy = {"customer_id": "hash", "plan": "hash", "age": "drop"}
    spec = product("churn", privacy=privacy)
    snapshot = published(home, shop, spec)
    found = explanations.explain_model(home, spec, snapshot, training.train(home, spec, snapshot).digest)
    assert found.record["examples"]
    for example in found.record["examples"]:
        moved = {item["feature"]: item["value"] for item in example["moved"]}
        assert example["entity"].startswith("hmac:")
        assert moved["plan"] in {pseudonym(pseudonym_key.secret(home), "plan", name) for name in ("basic", "free", "pro")}
        assert moved["age"] == "(private)"
    keys = pq.read_table(found.path.with_name("contributions.parquet")).column("customer_id").to_pylist()
    assert len(set(keys)) == len(keys) == found.record["rows"]
    assert all(key.startswith("hmac:") for key in keys)


def test_a_feature_declared_monotone_must_be(home: Home, shop: Path) -> None:
    """Spending grows with visits, and does not fall with age."""
    groups = {"all": {"age": {"monotone": "increasing"}, "plan": {}, "visits": {"max_missing": 0.3, "monotone": "increasing"}}}
    features = {**product("spend").features.model_dump(), "groups": groups}
    parameters = {"max_iter": 60, "monotonic_cst": None}
    spec = product("spend", features=features, model={**product("spend").model.model_dump(), "parameters": parameters})
    snapshot = published(home, shop, spec)
    record = robustness.stressed(home, spec, snapshot, training.train(home, spec, snapshot).digest).record
    assert record["steps_against"]["visits"] < 0.2
    assert record["steps_against"]["age"] > 0.2
    by_hand = {"max_iter": 60, "monotonic_cst": [0, 1, 1]}  # the plan first: categories are encoded before numbers
    digests = []
    for held in (by_hand, {"max_iter": 60}):
        spec = product("spend", features=features, model={**product("spend").model.model_dump(), "parameters": held})
        trained = training.train(home, spec, snapshot)
        record = robustness.stressed(home, spec, snapshot, trained.digest).record
        assert record["steps_against"] == {"age": 0.0, "visits": 0.0}
        digests.append(file_digest(trained.folder / "model.onnx"))
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("estimator", "more"),
    [("lightgbm.LGBMRegressor", {}), ("sklearn.ensemble.ExtraTreesRegressor", {"categories": "target_means"})],
)
def test_other_trees_hold_a_declared_direction_too(home: Home, shop: Path, estimator: str, more: dict[str, str]) -> None:
    """By their own parameter, in the order of the encoded columns."""
    groups = {"all": {"age": {"monotone": "decreasing"}, "plan": {}, "visits": {"max_missing": 0.3, "monotone": "increasing"}}}
    features = {**product("spend").features.model_dump(), "groups": groups}
    spec = product("spend", features=features, model={"estimator": estimator, "seed": 3, **more})
    snapshot = published(home, shop, spec)
    record = robustness.stressed(home, spec, snapshot, training.train(home, spec, snapshot).digest).record
    assert record["steps_against"] == {"age": 0.0, "visits": 0.0}


def test_stresses_that_are_asked_together_are_those_asked_one_by_one(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of many changes lie in one call; each change keeps what it would keep alone."""
    spec = product("churn")
    snapshot = published(home, shop, spec)
    digest = training.train(home, spec, snapshot).digest
    together = robustness.stressed(home, spec, snapshot, digest).record
    monkeypatch.setattr(robustness, "STACKED_VALUES", 1)
    alone = robustness.stressed(home, spec, snapshot, digest).record
    for stress in ("kept_shifted", "kept_permuted"):
        assert len(set(together[stress].values())) > 1
        assert together[stress] == pytest.approx(alone[stress], rel=1e-9)
    assert together["least_kept"].keys() == alone["least_kept"].keys() >= {"shifted", "shuffled"}


KEPT = """
import gc, weakref
from assets.evaluation.shap_values import import_shap

class Rows: pass

def explain():
    rows = Rows()
    seen.append(weakref.ref(rows))
    import_shap()

seen = []
explain()
gc.collect()
print(seen[0]() is None)
"""


def test_an_explainer_that_cannot_be_imported_is_one_error(tmp_path: Path) -> None:
    """Of an optional library that is installed and broken; it is raised to who asked, and nothing is printed besides."""
    (tmp_path / "cv2.py").write_text("raise OSError('libGL.so.1: cannot open shared object file')", encoding="utf-8")
    code = "from assets.evaluation.shap_values import import_shap\ntry: import_shap()\nexcept OSError as error: print(error)"
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("libGL.so.1: cannot open shared object file\n", "")


def test_what_is_explained_does_not_stay_in_memory() -> None:
    """The explainer's package keeps exceptions of its own import, and their frames."""
    done = subprocess.run([sys.executable, "-c", KEPT], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]

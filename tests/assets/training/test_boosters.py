"""XGBoost and CatBoost by declaration: the served graph answers as the library, and SQL as the graph; or one error says why not."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import skops.io

from assets.errors import SpecificationError
from assets.evaluation import explanations
from assets.methods.calibration import Scaling
from assets.methods.raw_scores import raw_scores
from assets.serving import sql_export
from assets.serving.row_graph import row_graph
from assets.spec import ProductSpec
from assets.storage.code_version import estimator_version
from assets.storage.home import Home
from assets.training import estimators, onnx_export, training
from assets.training.boosters import install
from bentos.runtime import Model, session_of
from tests.assets.serving.test_sql_export import answers, same
from tests.models import champion_of, snapshot_of
from tests.shop import customers, product

IS_THERE = all(find_spec(name) for name in ("xgboost", "catboost"))
needs_them = pytest.mark.skipif(not IS_THERE, reason="XGBoost and CatBoost are not installed: make boosters")
LIBRARIES = {"xgboost": ("XGB", {"n_estimators": 12, "max_depth": 4}), "catboost": ("CatBoost", {"iterations": 12, "depth": 4})}
KINDS = {"churn": "Classifier", "tier": "Classifier", "spend": "Regressor"}
NEAR = {"xgboost": 2e-6, "catboost": 1e-12}
"""XGBoost adds up in single precision."""


def declared(library: str, name: str, **parts: Any) -> ProductSpec:
    """A product of the shop with one of their estimators."""
    prefix, parameters = LIBRARIES[library]
    model = {
        "estimator": f"{library}.{prefix}{KINDS[name]}",
        "seed": 1,
        "parameters": {**parameters, **parts.pop("parameters", {})},
        **parts.pop("model", {}),
    }
    return product(name, model=model, **{"evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0}, **parts})


def strange(rows: int = 300) -> pd.DataFrame:
    """Customers that no model saw: missing and unknown values, ends of ranges, numbers between two of single precision."""
    frame = customers(rows, seed=5).astype({"age": float, "plan": object})
    frame.loc[:40, "plan"] = "gold"
    frame.loc[41:60, "plan"] = None
    frame.loc[61:100, "age"] = np.nan
    frame.loc[101:110, "age"] = [0, 120, 0.1, 1e-300, -1e-300, 2**24 + 1, 16.000001, -5, 1e6, 39.49999999999]
    frame.loc[100:140, "visits"] = np.nan
    return frame


@needs_them
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_graph_answers_as_the_library_and_sql_as_the_graph(home: Home, library: str, name: str) -> None:
    """For missing values, unknown categories and numbers at the edge; twice with the same digest, and with explanations."""
    spec = declared(library, name)
    snapshot = snapshot_of(home, spec, customers(1200))
    made = training.train(home, spec, snapshot)
    assert training.train(home, spec, snapshot).digest == made.digest
    model, rows = Model.load(made.folder, made.digest), strange()
    stored = skops.io.load(made.folder / "model.skops", trusted=list(estimators.trusted_types(spec)))
    expected = estimators.outputs_of(spec, stored, estimators.model_frame(spec, rows))
    answered = model.predict({column: rows[column].to_numpy() for column in spec.columns})
    assert np.abs(answered - expected).max() <= NEAR[library] * max(1.0, np.abs(expected).max())
    assert model.is_double
    assert row_graph(model, (made.folder / "model.onnx").read_bytes()) is not None

    query = sql_export.query(home, spec, champion_of(model), dialect="duckdb", relation="asked", kept=["customer_id"])
    with duckdb.connect() as connection:
        connection.register("asked", rows[["customer_id", "age", "plan", "visits"]])
        same(connection.execute(query).df(), answers(model, rows))

    found = explanations.explain_model(home, spec, snapshot, made.digest).record
    assert (found["method"], found["gap"] < 1e-5) == ("trees", True)


def random_table(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers of very different sizes and few values, categories, and gaps; and a rule with noise."""
    random, rows = np.random.default_rng(seed), 250
    frame = pd.DataFrame(
        {
            "age": random.choice([random.normal(0, 10.0 ** random.integers(-6, 7), rows), random.integers(0, 4, rows) * 1.0]),
            "plan": random.choice(list("abcdefgh")[: random.integers(1, 9)], rows).astype(object),
            "visits": np.round(random.exponential(1, rows), int(random.integers(0, 9))),
        }
    )
    for column in frame:
        frame.loc[random.random(rows) < random.choice([0.0, 0.3]), column] = None
    strength = frame["visits"].fillna(0) + (frame["plan"] == "a") + random.normal(0, 1, rows)
    return frame.astype({"age": float, "visits": float}), strength.to_numpy()


@needs_them
@pytest.mark.parametrize("library", LIBRARIES)
def test_over_random_tables_graph_and_library_agree(library: str) -> None:
    """Whatever the parameters; scaled and as they are, and the margins that calibration rests on."""
    choices: dict[str, list[dict[str, Any]]] = {
        "xgboost": [{}, {"max_depth": 0, "grow_policy": "lossguide", "max_leaves": 7}, {"num_parallel_tree": 2, "subsample": 0.5},
                    {"booster": "gbtree", "tree_method": "exact", "gamma": 1.0}],
        "catboost": [{}, {"nan_mode": "Max"}, {"bootstrap_type": "Bernoulli", "subsample": 0.5}, {"border_count": 3, "depth": 1}],
    }  # fmt: skip
    for seed in range(16):
        name = list(KINDS)[seed % 3]
        spec = declared(library, name, parameters=choices[library][seed % 4])
        frame, strength = random_table(seed)
        asked, other = (estimators.model_frame(spec, part) for part in (frame, random_table(seed + 100)[0]))
        ranks = strength.argsort().argsort() / len(strength)
        labels = {"churn": (ranks > 0.5) * 1.0, "tier": np.floor(ranks * 3), "spend": strength * 100}[name]
        fitted = estimators.fit(spec, asked, labels)
        scaling = None if name == "spend" or seed % 2 else Scaling(0.7, (0.0, 0.3) if name == "churn" else (0.1, 0.0, -0.2))
        session = session_of(onnx_export.convert(spec, fitted, scaling))
        for rows in (asked, other):
            feeds = {column: rows[[column]].to_numpy() for column in rows}
            (found,) = session.run(None, feeds)
            expected = _expected(spec, fitted, rows, scaling)
            scale = max(1.0, np.abs(expected).max())
            assert np.abs(found - expected.reshape(found.shape)).max() <= NEAR[library] * scale, (seed, name)


def _expected(spec: ProductSpec, fitted: Any, rows: pd.DataFrame, scaling: Scaling | None) -> np.ndarray:
    if spec.kind == "regression":
        return np.asarray(fitted.predict(rows), dtype=np.float64)
    return np.asarray(fitted.predict_proba(rows) if scaling is None else scaling.apply(raw_scores(fitted, rows)))


@needs_them
@pytest.mark.parametrize("library", LIBRARIES)
def test_declared_directions_are_held(library: str) -> None:
    """Whatever the rows say: more visits never make a customer leave less."""
    groups = {"all": {"age": {}, "plan": {}, "visits": {"max_missing": 0.3, "monotone": "decreasing"}}}
    spec = declared(library, "churn", features={"entity": "customer_id", "event_time": "signed_up_at", "groups": groups})
    frame = customers(800)
    fitted = estimators.fit(spec, estimators.model_frame(spec, frame), (frame["churned"] == "yes").to_numpy(float))
    asked = pd.DataFrame({"age": 40.0, "plan": ["free"] * 50, "visits": np.linspace(0, 12, 50)})
    assert (np.diff(estimators.outputs_of(spec, fitted, asked)) <= 0).all()
    plain = declared(library, "churn")
    fitted = estimators.fit(plain, estimators.model_frame(plain, frame), (frame["churned"] == "yes").to_numpy(float))
    assert (np.diff(estimators.outputs_of(plain, fitted, asked)) > 0).any()


@needs_them
@pytest.mark.parametrize(
    ("library", "parameters", "wanted"),
    [
        ("xgboost", {"booster": "dart"}, "does not convert to ONNX"),
        ("catboost", {"grow_policy": "Lossguide"}, "does not convert to ONNX"),
        ("xgboost", {"trees": 5}, "'model.parameters' has trees, which XGBClassifier does not take. Allowed: .*n_estimators"),
        (
            "catboost",
            {"trees": 5},
            "'model.parameters' has trees, which CatBoostClassifier does not take. Allowed: .*iterations",
        ),
    ],
)
def test_what_has_no_graph_is_refused(library: str, parameters: dict[str, Any], wanted: str) -> None:
    """At check, which tries it on made-up rows."""
    spec = declared(library, "churn", parameters=parameters)
    with pytest.raises(SpecificationError, match=wanted):
        frame, labels = estimators.made_up(spec, 100)
        onnx_export.convert(spec, estimators.fit(spec, frame, labels), None)


@needs_them
def test_another_version_of_a_library_makes_another_model() -> None:
    """Also of a wheel that is not named like its module."""
    assert all(estimator_version(f"{name}.Any") for name in LIBRARIES)


@pytest.mark.parametrize("library", LIBRARIES)
def test_without_the_library_the_check_says_what_to_run(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SpecificationError, match=rf"churn: 'model.estimator' {library}\..* Run `make boosters`\.$"):
        estimators.resolved(declared(library, "churn"))
    assert install("elsewhere.Model") == "Install what holds it, or correct the path"


@pytest.mark.parametrize("parameter", ["cat_features", "enable_categorical"])
def test_native_categories_are_refused(parameter: str) -> None:
    """Whichever library has them."""
    with pytest.raises(ValueError, match=f"sets {parameter}: native categorical splits"):
        declared("catboost", "churn", parameters={parameter: True})

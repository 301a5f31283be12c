"""Estimators: whatever is declared by its path is served as it was fitted, or refused with what it would take."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier

from assets.errors import DataError, SpecificationError
from assets.features import labelled_rows, publish, snapshots
from assets.features.snapshots import Snapshot
from assets.ingestion import landed_tables, landing
from assets.methods.calibration import Scaling
from assets.methods.scaled import ScaledClassifier
from assets.spec import ProductSpec
from assets.spec.features import FeatureSpec
from assets.storage.home import Home
from assets.training import estimators, onnx_export, training
from bentos.runtime import Model
from tests.shop import AT_RANDOM, KINDS, customers, product


class Patient(HistGradientBoostingClassifier):
    """A user's own classifier: another's, with a default of its own."""

    def __init__(self, learning_rate: float = 0.05, max_iter: int = 40, random_state: int | None = None) -> None:
        super().__init__(learning_rate=learning_rate, max_iter=max_iter, random_state=random_state)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the customers' file."""
    folder = tmp_path_factory.mktemp("shop")
    customers().to_csv(folder / "customers.csv", index=False)
    return folder


def published(home: Home, folder: Path, spec: ProductSpec) -> Snapshot:
    """Land the file and publish its rows."""
    source = spec.as_source()
    assert source is not None
    landing.land(home, source, "data", folder)
    with publish.candidate(home, spec, landed_tables.files(home, spec.name, "data")) as connection:
        return publish.publish(home, spec, connection, {})


CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("churn", "sklearn.linear_model.LogisticRegression", {"C": 0.5}),
    ("churn", "sklearn.ensemble.RandomForestClassifier", {"n_estimators": 20, "min_samples_leaf": 5}),
    ("churn", "lightgbm.LGBMClassifier", {"n_estimators": 20}),
    ("churn", "tests.assets.training.test_estimators.Patient", {"max_iter": 20}),
    ("tier", "sklearn.linear_model.LogisticRegression", {}),
    ("tier", "lightgbm.LGBMClassifier", {"n_estimators": 20}),
    ("tier", "sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 20}),
    ("spend", "sklearn.linear_model.Ridge", {"alpha": 2.0}),
    ("spend", "sklearn.linear_model.RidgeCV", {}),
    ("spend", "sklearn.ensemble.RandomForestRegressor", {"n_estimators": 20, "min_samples_leaf": 5}),
    ("spend", "lightgbm.LGBMRegressor", {"n_estimators": 20}),
    ("spend", "sklearn.ensemble.HistGradientBoostingRegressor", {"max_iter": 20}),
]


@pytest.mark.parametrize(
    ("name", "path", "parameters"), CASES, ids=[f"{name}-{path.rsplit('.', 1)[1]}" for name, path, _ in CASES]
)
def test_an_estimator_is_served_as_it_was_fitted(
    home: Home, shop: Path, name: str, path: str, parameters: dict[str, Any]
) -> None:
    """Also for missing values and categories never seen, twice with the same digest, and better than nothing."""
    spec = product(
        name,
        model={"estimator": path, "seed": 1, "parameters": parameters, "calibration": "scaling" if name != "spend" else "auto"},
    )
    snapshot = published(home, shop, spec)
    trained = training.train(home, spec, snapshot)
    assert training.train(home, spec, snapshot).digest == trained.digest
    rows = snapshots.read(snapshot).iloc[-300:].copy()
    rows.iloc[:100, rows.columns.get_loc("plan")] = "gold"
    rows.iloc[100:200, rows.columns.get_loc("visits")] = np.nan
    stored = skops.io.load(trained.folder / "model.skops", trusted=list(estimators.trusted_types(spec)))
    expected = estimators.outputs_of(spec, stored, estimators.model_frame(spec, rows))
    model = Model.load(trained.folder, trained.digest)
    answered = model.predict({column: rows[column].to_numpy() for column in spec.columns})
    assert answered.shape == expected.shape
    assert np.abs(answered - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    assert len(model.decide(answered)) == len(rows)
    assert (trained.scaling is not None) == (name != "spend")


@pytest.mark.parametrize("split", ["time", "random"])
@pytest.mark.parametrize("name", list(KINDS))
def test_the_parts_are_apart_and_hold_every_row(home: Home, shop: Path, name: str, split: str) -> None:
    """In order of time, or dealt by a hash; every class in each."""
    parts: dict[str, Any] = {}
    if split == "random":
        without_time = {"entity": "customer_id", "groups": {"all": {"age": {}, "plan": {}}}}
        parts = {"split": {**AT_RANDOM, "group": "household"}, "features": without_time}
    spec = product(name, **parts)
    frame = snapshots.read(published(home, shop, spec))
    cut = labelled_rows.labelled(spec, frame)
    assert sum(len(part.rows) for part in cut.values()) == len(frame) == 2000
    if split == "time":
        assert cut["train"].rows["signed_up_at"].max() < cut["validate"].rows["signed_up_at"].min()
        assert cut["validate"].rows["signed_up_at"].max() < cut["test"].rows["signed_up_at"].min()
    else:
        assert not set(cut["train"].rows["household"]) & set(cut["test"].rows["household"])
    clusters = cut["test"].clusters(spec)
    assert len(clusters) == len(cut["test"].rows)
    assert set(clusters) == set(range(clusters.max() + 1))
    assert cut["test"].cluster_name(spec) == ("days" if split == "time" else "groups of equal household")
    few = replace(
        cut["test"],
        rows=cut["test"].rows.assign(**{name: frame[name].iloc[0] for name in ("signed_up_at", "household") if name in frame}),
    )
    assert few.clusters(spec).max() > 100
    assert few.cluster_name(spec).startswith("rows, as there are fewer than 5")


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("churn", {"estimator": "sklearn.linear_model.Ridge"}, "Ridge gives no probabilities, which a binary target needs"),
        ("spend", {"estimator": "sklearn.linear_model.LogisticRegression"}, "LogisticRegression is no regressor"),
        ("churn", {"estimator": "sklearn.metrics.roc_auc_score"}, "is no class. Give the class of an estimator"),
        (
            "churn",
            {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "parameters": {"max_iter": "many"}},
            r"The 'max_iter' parameter of HistGradientBoostingClassifier must be an int in the range \[1, inf\). Got 'many' instead",
        ),
        (
            "churn",
            {"estimator": "lightgbm.LGBMClassifier", "parameters": {"n_estimators": "many"}},
            r"'model.parameters.n_estimators' must be like 100, a int, got 'many'",
        ),
        (
            "churn",
            {"estimator": "sklearn.linear_model.LogisticRegression", "categories": "target_means"},
            "'model.categories' is target_means, but sklearn.linear_model.LogisticRegression gets each value of a category as a",
        ),
    ],
)
def test_an_estimator_that_does_not_fit_is_refused(name: str, model: dict[str, Any], message: str) -> None:
    """By kind, by name, by type."""
    with pytest.raises(SpecificationError, match=message):
        estimators.pipeline(product(name, model=model), ["age", "plan"])


def test_an_estimator_that_does_not_convert_is_refused_and_nothing_is_published(home: Home, shop: Path) -> None:
    """With what to do."""
    spec = product("churn", model={"estimator": "sklearn.semi_supervised.LabelSpreading"})
    snapshot = published(home, shop, spec)
    with pytest.raises(SpecificationError, match=r"LabelSpreading does not convert to ONNX .*register a converter"):
        training.train(home, spec, snapshot)
    assert not home.models.exists()


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("family", ["boosted", "linear"])
def test_features_may_have_the_names_of_the_graph_s_own_nodes(home: Home, name: str, family: str) -> None:
    """Every name in the graph of a fitted pipeline, and what it is made of, taken for the features of another."""
    plain = product(name)
    kind = "Regressor" if plain.kind == "regression" else "Classifier"
    linear = "sklearn.linear_model.Ridge" if plain.kind == "regression" else "sklearn.linear_model.LogisticRegression"
    path = linear if family == "linear" else f"sklearn.ensemble.HistGradientBoosting{kind}"
    scaling = None if plain.kind == "regression" else Scaling(0.5, (0.0, 0.1, -0.1)[: 2 if plain.kind == "binary" else 3])
    model = {"estimator": path, "seed": 1, "parameters": {}}

    def asked(columns: dict[str, Any]) -> tuple[ProductSpec, Any, Any]:
        groups = {"all": {word: FeatureSpec(**feature) for word, feature in columns.items()}}
        features = plain.features.model_copy(update={"groups": groups})
        spec = product(name, model=model).model_copy(update={"features": features, "source": None})
        frame, labels = estimators.made_up(spec, 200)
        return spec, frame, estimators.fit(spec, frame, labels)

    spec, _, fitted = asked({"age": {"type": "number"}, "plan": {"type": "category"}})
    graph = onnx.load_from_string(onnx_export.convert(spec, fitted, scaling)).graph
    used = {word for node in [*graph.node, *graph.initializer] for word in re.findall(r"[a-z]\w*", node.name)}
    assert {"columns", "code", "outputs"} <= used
    taken = {"weights", "means", "raw", "slope", "country", "country_code", "logs", "logs_places"} | used
    spec, frame, fitted = asked({word: {"type": ("number", "category")[place % 2]} for place, word in enumerate(sorted(taken))})
    session = onnxruntime.InferenceSession(onnx_export.convert(spec, fitted, scaling))
    feeds = {column: frame[column].to_numpy().reshape(-1, 1) for column in frame}
    (answered,) = session.run(None, feeds)
    whole = fitted if scaling is None else ScaledClassifier(fitted, scaling.slope, list(scaling.intercepts))
    expected = whole.predict(frame).reshape(-1, 1) if scaling is None else whole.predict_proba(frame)
    assert np.abs(answered - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max())


def test_a_number_whose_square_is_beyond_double_precision_is_named() -> None:
    """A placeholder such as the largest double would make every variance infinite."""
    spec = product("spend", model={"estimator": "sklearn.linear_model.Ridge", "seed": 1, "parameters": {}})
    frame, labels = estimators.made_up(spec, 100)
    column = next(name for name, feature in spec.columns.items() if feature.type == "number")
    frame.loc[7, column] = -1.7976931348623157e308
    with pytest.raises(DataError, match=rf"'{column}' holds 1.79769e\+308.*--null 1.79769e\+308.*quarantine"):
        estimators.fit(spec, frame, labels)


@pytest.mark.parametrize("name", list(KINDS))
def test_target_means_are_shown_beside_the_codes_and_served_as_they_were_fitted(home: Home, name: str) -> None:
    """Of the rows' own target, a value that is new has the mean of all; a class of a single row stops nothing."""
    plain = product(name)
    kind = "Regressor" if plain.kind == "regression" else "Classifier"
    path = f"sklearn.ensemble.HistGradientBoosting{kind}"
    spec = product(name, model={"estimator": path, "seed": 1, "parameters": {"max_iter": 10}, "categories": "target_means"})
    frame, labels = estimators.made_up(spec, 300)
    frame["plan"] = np.random.default_rng(1).permutation(np.repeat([f"p{number}" for number in range(30)], 10)).astype(object)
    labels = labels if spec.kind == "regression" else np.r_[np.zeros(298), 1.0, 1.0 if spec.kind == "binary" else 2.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # scikit-learn's would be printed in every run
        fitted = estimators.fit(spec, frame, labels)
    again = estimators.fit(spec, frame, labels)
    assert np.array_equal(fitted.predict(frame), again.predict(frame)), "its folds are seeded"
    told = fitted.named_steps["columns"].transform(frame.assign(plan="never seen"))
    assert told.shape[1] == len(spec.columns) + (3 if spec.kind == "multiclass" else 1)
    assert told[:, -1] == pytest.approx(np.mean(labels if spec.kind == "regression" else labels == labels.max()))
    session = onnxruntime.InferenceSession(onnx_export.convert(spec, fitted, None))
    asked = pd.concat([frame, frame.assign(plan="never seen")], ignore_index=True)
    (answered,) = session.run(None, {column: asked[column].to_numpy().reshape(-1, 1) for column in asked})
    expected = fitted.predict(asked).reshape(-1, 1) if spec.kind == "regression" else fitted.predict_proba(asked)
    assert np.abs(answered - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max())

"""Transfer: each way leaves as one graph that answers as its pipeline, in SQL too, and few rows change little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from assets.errors import DataError, SpecificationError, TranslationError
from assets.evaluation import explanations, shap_values
from assets.evaluation.evidence import Case
from assets.features.snapshots import Snapshot
from assets.serving import sql_export
from assets.serving.row_graph import row_graph
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import learning, training
from assets.training.estimators import model_frame, outputs_of, trusted_types
from assets.training.transfer import source as transfer_source
from bentos.runtime import Model
from tests.assets.serving.test_sql_export import answers, same
from tests.models import champion_of, snapshot_of
from tests.shop import customers, product

MANY = {"evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0}}
KINDS = {"churn": "Classifier", "tier": "Classifier", "spend": "Regressor"}
HOWS = ("refit", "boost", "features", "weights")


def child(name: str, how: str, source: Any = None, **model: Any) -> ProductSpec:
    """A product of the shop that is learnt from another."""
    estimator = f"lightgbm.LGBM{KINDS[name]}" if how == "boost" else f"sklearn.ensemble.HistGradientBoosting{KINDS[name]}"
    learning = {"transfer": {"from": source or name, "how": how}}
    return product(name, name=f"{name}_child", model={"estimator": estimator, "seed": 3, "learning": learning, **model}, **MANY)


def altered(frame: pd.DataFrame) -> pd.DataFrame:
    """The same customers elsewhere: who leaves, which tier and what is spent has moved, mostly for one plan."""
    frame = frame.copy()
    pro = (frame["plan"] == "pro").to_numpy()
    frame["spend"] = (frame["spend"] + 15 * pro).round(2)
    random = np.random.default_rng(11)
    frame.loc[pro, "churned"] = np.where(random.random(pro.sum()) < 0.9, "yes", "no")
    frame.loc[pro, "tier"] = np.where(random.random(pro.sum()) < 0.8, "gold", "silver")
    return frame


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for all the models."""
    return Home(tmp_path_factory.mktemp("transfer") / "home").prepare()


@pytest.fixture(scope="module")
def sources(home: Home) -> dict[str, str]:
    """A model of each product, of many rows."""
    found = {}
    for name in KINDS:
        spec = product(name, **MANY)
        found[name] = training.train(home, spec, snapshot_of(home, spec, customers(3000))).digest
    return found


def few(home: Home, spec: ProductSpec, rows: int = 900) -> Snapshot:
    """Few rows of elsewhere."""
    return snapshot_of(home, spec, altered(customers(rows, seed=7)))


def loss(case: Case, predicted: Any) -> float:
    """The mean loss of answers to the test rows."""
    labels = case.labels("test")
    if case.spec.kind == "regression":
        return float(np.mean((predicted - labels) ** 2))
    chance = (
        np.where(labels == 1, predicted, 1 - predicted)
        if case.spec.kind == "binary"
        else predicted[range(len(labels)), labels.astype(int)]
    )
    return float(-np.mean(np.log(np.maximum(chance, 1e-9))))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", KINDS)
def test_each_way_is_one_graph_that_answers_as_its_pipeline_and_as_sql(
    home: Home, sources: dict[str, str], name: str, how: str
) -> None:
    """To the last digits, in any batch; a stored pipeline is read with our list of types alone."""
    spec = child(name, how)
    snapshot = few(home, spec)
    made = training.train(home, spec, snapshot, sources)
    case = Case.load(home, spec, snapshot, made.digest)
    assert made.largest_onnx_difference < 1e-12
    assert case.model.is_double

    fitted = skops.io.load(made.folder / "model.skops", trusted=list(trusted_types(spec)))
    rows = customers(300, seed=5).astype({"age": float})
    rows.loc[:20, "plan"] = None
    rows.loc[21:30, "age"] = np.nan
    columns = {feature: rows[feature].to_numpy() for feature in spec.columns}
    outputs = case.model.predict(columns)
    assert outputs_of(spec, fitted, model_frame(spec, rows)) == pytest.approx(outputs, abs=1e-12, rel=1e-12)
    alone = np.concatenate(
        [case.model.predict({key: values[[place]] for key, values in columns.items()}) for place in range(20)]
    )
    assert np.array_equal(alone, outputs[:20])

    with duckdb.connect() as connection:
        connection.register("asked", rows)
        text = sql_export.query(home, spec, champion_of(case.model), dialect="duckdb", relation="asked", kept=["customer_id"])
        found = connection.execute(text).df()
    same(found, answers(case.model, rows))
    content = (made.folder / "model.onnx").read_bytes()
    assert row_graph(case.model, content) is not None
    assert (b"/source/" in content) == (how != "weights")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", KINDS)
def test_a_source_that_is_mostly_right_is_mended_where_it_is_wrong(
    home: Home, sources: dict[str, str], name: str, how: str
) -> None:
    """What is learnt is better than the source as it is, on rows of elsewhere that nobody saw."""
    spec = child(name, how)
    snapshot = few(home, spec, 3000)
    case = Case.load(home, spec, snapshot, training.train(home, spec, snapshot, sources).digest)
    untouched = Model.load(home.models / name / sources[name], sources[name])
    assert loss(case, case.model.predict(case.columns("test"))) < loss(case, untouched.predict(case.columns("test")))


@pytest.mark.parametrize("how", ["refit", "boost"])
def test_rows_that_say_nothing_new_leave_the_source_as_it_was(home: Home, sources: dict[str, str], how: str) -> None:
    """In at least eight draws of ten no leaf moves and no tree is grown; then the answers are the source's."""
    untouched = Model.load(home.models / "churn" / sources["churn"], sources["churn"])
    same_answers = 0
    for seed in range(10):
        spec = child("churn", how, calibration="none")
        snapshot = snapshot_of(home, spec, customers(200, seed=100 + seed))
        made = training.train(home, spec, snapshot, sources)
        case = Case.load(home, spec, snapshot, made.digest)
        differs = np.abs(case.model.predict(case.columns("test")) - untouched.predict(case.columns("test"))).max()
        assert (differs < 1e-12) == (set(made.learning.values()) in ({None}, {0}))
        same_answers += differs < 1e-12
    assert same_answers >= 8


def test_contributions_of_features_add_up_through_another_models_score(
    home: Home, sources: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its score is no feature: the features that it is made of get what it adds."""
    monkeypatch.setattr(shap_values, "SAMPLED_ROWS", 8)  # each row takes as long as any other
    for name in KINDS:
        spec = child(name, "features")
        snapshot = few(home, spec)
        digest = training.train(home, spec, snapshot, sources).digest
        record = explanations.explain_model(home, spec, snapshot, digest).record
        assert record["method"] == "sampling"
        assert record["gap"] < 1e-9
        assert set(record["importance"]) == set(spec.columns)
        assert min(record["importance"].values()) >= 0 < max(record["importance"].values())


def test_a_model_learnt_from_another_can_be_learnt_from(home: Home, sources: dict[str, str]) -> None:
    """The graph of the grandchild holds both."""
    spec = child("churn", "refit")
    first = training.train(home, spec, few(home, spec, 3000), sources).digest
    grandchild = product("churn", name="grandchild", model={**child("churn", "boost", spec.name).model.model_dump()}, **MANY)
    made = training.train(home, grandchild, few(home, grandchild), {spec.name: first})
    assert made.largest_onnx_difference < 1e-12
    refit = product("churn", name="grandchild", model={**child("churn", "refit", spec.name).model.model_dump()}, **MANY)
    assert training.train(home, refit, few(home, refit), {spec.name: first}).largest_onnx_difference < 1e-12


def lightgbm_file(folder: Path, names: list[str]) -> Path:
    """A LightGBM model of the shop's numbers."""
    frame = customers(2000, seed=2)
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(
            frame[["age", "visits"]].rename(columns=dict(zip(["age", "visits"], names, strict=True))), frame["churned"] == "yes"
        ),
        20,
    )
    path = folder / "elsewhere.txt"
    booster.save_model(path)
    return path


@pytest.mark.parametrize("how", ["refit", "boost", "features"])
def test_a_lightgbm_file_is_learnt_from(home: Home, tmp_path: Path, how: str) -> None:
    """By the names of its features; its digest is in the signature."""
    path = lightgbm_file(tmp_path, ["age", "visits"])
    spec = child("churn", how, {"lightgbm": str(path)})
    made = training.train(home, spec, few(home, spec))
    assert made.largest_onnx_difference < 1e-12
    case = Case.load(home, spec, few(home, spec), made.digest)
    assert len(case.model.signature["learning"]["file"]) == 64
    source = transfer_source.of_file(spec, spec.model.learning.transfer.source)  # type: ignore[union-attr,arg-type]
    rows = model_frame(spec, customers(200, seed=4))
    raw = lightgbm.Booster(model_file=str(path)).predict(rows[["age", "visits"]], raw_score=True)
    assert source.scores.fit(rows).transform(rows)[:, 0] == pytest.approx(raw, abs=1e-9)


def onnx_file(folder: Path, **options: Any) -> Path:
    """An ONNX file in single precision, of one tensor of numbers."""
    frame = customers(2000, seed=2)
    matrix = frame[["age", "visits"]].fillna(4.0).to_numpy(np.float32)
    fitted = LogisticRegression().fit(matrix, (frame["churned"] == "yes").astype(int))
    path = folder / "elsewhere.onnx"
    made = to_onnx(fitted, matrix[:1], target_opset={"": 18, "ai.onnx.ml": 3}, **options)
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("how", ["boost", "features"])
def test_an_onnx_file_is_learnt_from_and_sql_says_why_it_cannot_express_it(home: Home, tmp_path: Path, how: str) -> None:
    """Its numbers in single precision, ours in double."""
    path = onnx_file(tmp_path, options={"zipmap": False})
    spec = child("churn", how, {"onnx": str(path)})
    frame = altered(customers(900, seed=7))
    frame["visits"] = frame["visits"].fillna(4.0)
    snapshot = snapshot_of(home, spec, frame)
    made = training.train(home, spec, snapshot)
    assert made.largest_onnx_difference < 1e-12
    model = Model.load(made.folder, made.digest)
    with pytest.raises(TranslationError, match=r"holds another model that computes in single precision"):
        sql_export.query(home, spec, champion_of(model), dialect="duckdb", relation="asked", kept=["customer_id"])


@pytest.mark.parametrize(
    ("how", "sql", "told"),
    [
        ("weights", "auto", "is weights, and this file has no rows to read. Give boost or features, or name a product"),
        ("refit", "auto", "is refit, and this file has no trees to read. Give boost or features, or name a product"),
        (
            "features",
            "required",
            "computes in single precision, which SQL does not express exactly, and 'serving.sql' is required",
        ),
    ],
)
def test_what_a_file_cannot_give_is_told_before_anything_is_trained(
    home: Home, tmp_path: Path, how: str, sql: str, told: str
) -> None:
    """With what to choose."""
    spec = child("churn", how, {"onnx": str(onnx_file(tmp_path, options={"zipmap": False}))})
    spec = ProductSpec.model_validate({**spec.model_dump(exclude_none=True), "serving": {"sql": sql}})
    assert any(told in problem for problem in learning.problems(home, spec, {}))


def broken_onnx(folder: Path) -> Path:
    """No ONNX."""
    path = folder / "elsewhere.onnx"
    path.write_text("not a graph")
    return path


@pytest.mark.parametrize(
    ("made", "key", "told"),
    [
        (lambda folder: folder / "nothing.txt", "lightgbm", "cannot be read"),
        (lambda folder: folder / "nothing.onnx", "onnx", "cannot be read"),
        (broken_onnx, "onnx", "is no ONNX file"),
        (broken_onnx, "lightgbm", "is no LightGBM model"),
        (lambda folder: lightgbm_file(folder, ["years", "visits"]), "lightgbm", "takes years, which are no numbers among"),
        (
            lambda folder: onnx_file(folder, options={"zipmap": True}),
            "onnx",
            r"has no output with 2 probabilities .*zipmap=False",
        ),
    ],
)
def test_a_file_that_cannot_be_learnt_from_is_one_clear_error(tmp_path: Path, made: Any, key: str, told: str) -> None:
    """What is wrong with it, and what to do."""
    spec = child("churn", "boost", {key: str(made(tmp_path))})
    with pytest.raises(SpecificationError, match=told):
        transfer_source.of_file(spec, spec.model.learning.transfer.source)  # type: ignore[union-attr,arg-type]


def test_a_graph_that_means_something_else_among_ours_is_refused(home: Home, tmp_path: Path) -> None:
    """Its answers are held against those of the file alone before anything is learnt."""
    path = onnx_file(tmp_path, options={"zipmap": False})
    spec = child("churn", "boost", {"onnx": str(path)})
    source = transfer_source.of_file(spec, spec.model.learning.transfer.source)  # type: ignore[union-attr,arg-type]
    frame = model_frame(spec, customers(50, seed=4))
    frame["visits"] = frame["visits"].fillna(4.0)
    transfer_source.require_same_answers(spec, source, frame)

    class Shifted(type(source.scores)):  # type: ignore[misc]
        def transform(self, X: Any) -> Any:  # noqa: N803
            return super().transform(X) + 0.5

    other = Shifted(source.scores.graph, source.scores.output, source.scores.kind, source.scores.names)
    with pytest.raises(DataError, match="answers otherwise within the served one"):
        transfer_source.require_same_answers(spec, transfer_source.Source(other, 1, ""), frame)

"""The champion as SQL: the same answers in DuckDB and in PostgreSQL, for each estimator that has a translation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from assets.errors import TranslationError
from assets.promotion import current_artifacts, ledger
from assets.promotion.ledger_state import Decision, Entry
from assets.serving import sql_export
from assets.serving.sql_asset import write_sql
from assets.spec import ProductSpec
from assets.storage.home import Home
from bentos.runtime import Model, is_missing
from tests.databases import postgres
from tests.models import champion_of, trained
from tests.shop import customers, product
from tests.world import REPOSITORY

FOREST = {"n_estimators": 12, "max_depth": 5}
MEANS = {"max_iter": 20, "categories": "target_means"}
HISTOGRAM = "sklearn.ensemble.HistGradientBoosting"
MODELS = [
    ("churn", f"{HISTOGRAM}Classifier", {"max_iter": 40}, "scaling"),
    ("churn", "sklearn.linear_model.LogisticRegression", {}, "none"),
    ("churn", "sklearn.ensemble.RandomForestClassifier", FOREST, "none"),
    ("churn", "sklearn.tree.DecisionTreeClassifier", {"max_depth": 4}, "scaling"),
    ("churn", "lightgbm.LGBMClassifier", {"n_estimators": 12}, "none"),
    ("tier", f"{HISTOGRAM}Classifier", {"max_iter": 12}, "scaling"),
    ("tier", "sklearn.linear_model.LogisticRegression", {}, "scaling"),
    ("tier", "sklearn.ensemble.ExtraTreesClassifier", FOREST, "none"),
    ("tier", "lightgbm.LGBMClassifier", {"n_estimators": 5}, "none"),
    ("spend", f"{HISTOGRAM}Regressor", {"max_iter": 40}, "none"),
    ("churn", f"{HISTOGRAM}Classifier", MEANS, "scaling"),
    ("tier", f"{HISTOGRAM}Classifier", MEANS, "scaling"),
    ("spend", f"{HISTOGRAM}Regressor", MEANS, "none"),
    ("spend", "lightgbm.LGBMRegressor", {"n_estimators": 12, "categories": "target_means"}, "none"),
    ("spend", "sklearn.linear_model.Ridge", {}, "none"),
    ("spend", "sklearn.linear_model.RidgeCV", {}, "none"),
    ("spend", "sklearn.ensemble.RandomForestRegressor", FOREST, "none"),
    ("spend", "lightgbm.LGBMRegressor", {"n_estimators": 12}, "none"),
]
NAMES = [f"{name}-{estimator.rsplit('.', 1)[1]}-{given.get('categories', 'codes')}" for name, estimator, given, _ in MODELS]
KEPT = ["customer_id", "signed_up_at"]
SPARK = REPOSITORY / ".venv-spark" / "bin" / "python"


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection[Any] | None]:
    """A PostgreSQL, where it is installed."""
    with postgres() as connection:
        yield connection


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for all the models."""
    return Home(tmp_path_factory.mktemp("translated") / "home").prepare()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Customers that no model saw: unknown and missing plans, missing numbers, ends of ranges, and what is far beyond them."""
    frame = customers(600, seed=5).astype({"age": float})[["customer_id", "signed_up_at", "age", "plan", "visits"]]
    frame.loc[:20, "plan"] = 'it\'s "odd" ü'
    frame.loc[21:40, "plan"] = None
    frame.loc[41:60, "age"] = np.nan
    frame.loc[61:70, "age"] = [0, 120, 0.1, 1e-300, -1e-300, 2**24 + 1, 16.000001, -5, 1e6, -1e6]
    return frame


def declared(name: str, estimator: str, parameters: dict[str, Any], calibration: str = "none") -> dict[str, Any]:
    """The part of a declaration that names the model."""
    own = {key: value for key, value in parameters.items() if key != "categories"}
    encoded = {"categories": parameters.get("categories", "codes")}
    return {"model": {"estimator": estimator, "parameters": own, **encoded, "seed": 1, "calibration": calibration}}


def answers(model: Model, rows: pd.DataFrame) -> pd.DataFrame:
    """What the served model says, in the columns of the batch predictions."""
    outputs = model.predict({name: rows[name].to_numpy() for name in model.signature["features"]})
    decided = model.decide(outputs)
    if model.kind == "binary":
        return pd.DataFrame({"probability": outputs, "is_positive": decided})
    if model.kind == "regression":
        return pd.DataFrame({"prediction": outputs, "planned": decided})
    classes = model.signature["classes"]
    chances = {f"probability_{name}": outputs[:, place] for place, name in enumerate(classes)}
    return pd.DataFrame({"predicted_class": [classes[number] for number in decided], **chances})


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Outputs within a millionth, relative to the largest where they are values, and the same decisions."""
    for name, values in expected.items():
        given = found[str(name)].to_numpy()
        if values.dtype.kind == "f":
            scale = max(1.0, np.abs(values).max())
            assert np.max(np.abs(given.astype(float) - values) / scale) <= 1e-12, name
        else:
            assert given.tolist() == values.tolist(), name


def query(home: Home, spec: ProductSpec, champion: Entry, dialect: str) -> str:
    """The query over a table `asked`."""
    return sql_export.query(home, spec, champion, dialect=dialect, relation="asked", kept=KEPT)


@pytest.mark.parametrize("case", MODELS, ids=NAMES)
def test_duckdb_and_postgresql_answer_as_the_model(
    home: Home, rows: pd.DataFrame, database: psycopg.Connection[Any] | None, case: tuple[str, str, dict[str, Any], str]
) -> None:
    """Row for row; the Spark query parses as Spark."""
    name, *chosen = case
    spec = product(name, **declared(name, *chosen))
    model = trained(home, name, **declared(name, *chosen))
    champion, expected = champion_of(model), answers(model, rows)

    with duckdb.connect() as connection:
        connection.register("asked", rows)
        found = connection.execute(query(home, spec, champion, "duckdb")).df()
    assert found["customer_id"].tolist() == rows["customer_id"].tolist()
    assert set(found["model_digest"]) == {model.digest}
    same(found, expected)
    assert sqlglot.parse_one(query(home, spec, champion, "spark"), read="spark")

    if database is None:
        pytest.skip("no PostgreSQL (DuckDB answered right): sudo apt-get install --no-install-recommends postgresql")
    with database.cursor() as cursor:
        cursor.execute("drop table if exists asked")
        cursor.execute(
            "create table asked (customer_id text, signed_up_at timestamp, age double precision, plan text, visits double precision)"
        )
        with cursor.copy("copy asked from stdin") as copy:
            for row in rows.itertuples(index=False):
                copy.write_row([None if is_missing(value) else value for value in row])
        cursor.execute(query(home, spec, champion, "postgres"))  # type: ignore[arg-type]
        columns = [column.name for column in cursor.description or ()]
        there = pd.DataFrame(cursor.fetchall(), columns=columns).set_index("customer_id").loc[rows["customer_id"]].reset_index()
    same(there, expected)


def test_spark_answers_as_the_models(home: Home, rows: pd.DataFrame, tmp_path: Path) -> None:
    """All models' queries, run by a Spark of their own."""
    if not SPARK.exists() or shutil.which("java") is None:
        pytest.skip("there is no Spark: make spark sets it up and runs this test")
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), tmp_path / "asked.parquet", coerce_timestamps="us")
    expected = {}
    for case, (name, *chosen) in zip(NAMES, MODELS, strict=True):
        spec = product(name, **declared(name, *chosen))
        model = trained(home, name, **declared(name, *chosen))
        (tmp_path / f"{case}.sql").write_text(query(home, spec, champion_of(model), "spark"), encoding="utf-8")
        expected[case] = answers(model, rows)
    (tmp_path / "scratch").mkdir()
    program, variables = REPOSITORY / "tests" / "spark_answers.py", {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    subprocess.run([SPARK, "-P", program, tmp_path], env=variables, check=True)
    for case, answer in expected.items():
        there = pd.read_parquet(tmp_path / case).set_index("customer_id").loc[rows["customer_id"]].reset_index()
        same(there, answer)


def test_an_estimator_without_translation_is_refused_with_what_has_one(home: Home) -> None:
    """The operator, the estimators that are translated, and how to go without."""
    chosen = declared("churn", "sklearn.naive_bayes.GaussianNB", {})
    model = trained(home, "churn", **chosen)
    with pytest.raises(
        TranslationError, match=r"GaussianNB is not written as SQL: the operator \w+ has no translation"
    ) as told:
        query(home, product("churn", **chosen), champion_of(model), "duckdb")
    assert "LogisticRegression" in str(told.value)
    assert "serving.sql to off" in str(told.value)


def test_the_published_files_are_the_same_each_time_and_name_their_model(home: Home) -> None:
    """Three queries and a dbt package, by version; published again, the digest is the same."""
    spec, model = product("churn"), trained(home, "churn")
    done = sql_export.translate(home, spec, champion_of(model))
    assert sql_export.translate(home, spec, champion_of(model)).digest == done.digest
    assert current_artifacts.found(home.sql / "churn") == done.folder
    for dialect in sql_export.DIALECTS:
        assert model.digest in (done.folder / f"{dialect}.sql").read_text().splitlines()[0]


def test_the_dbt_package_scores_in_a_warehouse(home: Home, rows: pd.DataFrame, tmp_path: Path) -> None:
    """A project that has the package as a dependency gets a table of scores; the macro keeps other columns too."""
    spec, model = product("churn"), trained(home, "churn")
    done = sql_export.translate(home, spec, champion_of(model))
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    shutil.copytree(done.folder / "dbt", project / "scores")
    (project / "dbt_project.yml").write_text(
        'name: shop\nversion: "1.0"\nprofile: shop\nvars: {churn_relation: main.customers}\n'
        "flags: {send_anonymous_usage_stats: false}\n"
    )
    (project / "packages.yml").write_text("packages: [{local: scores}]\n")
    (project / "profiles.yml").write_text(
        f"shop: {{target: here, outputs: {{here: {{type: duckdb, path: '{tmp_path}/shop.duckdb'}}}}}}\n"
    )
    (project / "models" / "dated.sql").write_text(
        "select * from ({{ churn_scores.score_churn('main.customers', ['customer_id', 'signed_up_at']) }})"
    )
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.register("given", rows)
        connection.execute("create table customers as from given")
    for command in (["deps"], ["build"]):
        done_ = subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), *command, "--profiles-dir", "."],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done_.returncode == 0, done_.stdout[-2000:]
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        found = connection.execute("from churn_scores order by customer_id").df()
        dated = connection.execute("select signed_up_at from dated order by customer_id").df()
    same(found, answers(model, rows))
    assert dated["signed_up_at"].tolist() == rows["signed_up_at"].tolist()


def test_a_champion_without_sql_is_told_so_or_fails_where_sql_is_required(home: Home) -> None:
    """The asset says why nothing was written, and an earlier translation is not current any more."""
    chosen = declared("churn", "sklearn.naive_bayes.GaussianNB", {})
    earlier, model = trained(home, "churn"), trained(home, "churn", **chosen)
    ledger.promote(home, "churn", Decision(1, model.digest, "s", "tester", "for a test"), instead_of=None)
    for sql, told in (("auto", "GaussianNB is not written as SQL"), ("off", "serving.sql is off")):
        sql_export.translate(home, product("churn"), champion_of(earlier))
        made = write_sql(home, product("churn", **chosen, serving={"sql": sql}))
        assert told in made.metadata["not_written"]
        assert current_artifacts.found(home.sql / "churn") is None
    with pytest.raises(TranslationError):
        write_sql(home, product("churn", **chosen, serving={"sql": "required"}))

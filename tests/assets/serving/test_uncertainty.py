"""Intervals and sets are the same in all ways of serving, and what is served is what was counted when thresholds were chosen."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
import sqlglot

from assets.serving import sql_export, uncertainty_parity, wheel_package
from assets.serving.answer_columns import answer_columns
from assets.serving.way_of_serving import answers_of_columns
from assets.storage.home import Home
from bentos.app import ModelApp
from bentos.arrow_batches import encoded
from bentos.runtime import Model, is_missing
from bentos.served import Served
from tests.bentos.serving import answering
from tests.databases import postgres
from tests.models import champion_of, promised, trained
from tests.shop import customers, product

ABSTAIN = {"churn": {"cost": 0.4}, "tier": {"cost": 0.4}, "spend": {"cost": 2.0, "wider_than": 8.5}}
FEATURES = ["age", "plan", "visits"]


def declared(name: str) -> dict[str, Any]:
    """By plan; too uncertain answers are no decision."""
    return {
        "uncertainty": {"coverage": 0.8, "by": ["plan"]},
        "abstain": ABSTAIN[name],
        "evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0},
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for the three models."""
    return Home(tmp_path_factory.mktemp("sure") / "home").prepare()


@pytest.fixture(scope="module", params=["churn", "tier", "spend"])
def model(request: pytest.FixtureRequest, home: Home) -> Model:
    """A model of each kind."""
    return trained(home, request.param, **declared(request.param))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Customers that no model saw, of known, unknown and missing plans."""
    frame = customers(400, seed=5).astype({"age": float})[["customer_id", "signed_up_at", *FEATURES]]
    frame.loc[:20, "plan"] = 'it\'s "odd" ü'
    frame.loc[21:40, "plan"] = None
    return frame


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection[Any] | None]:
    """A PostgreSQL, where it is installed."""
    with postgres() as connection:
        yield connection


def expected(model: Model, rows: pd.DataFrame) -> dict[str, list[Any]]:
    """The fields, from the thresholds in the signature by pandas alone."""
    told, classes = model.signature["uncertainty"], model.signature["classes"] or ["no", "yes"]
    reach = rows["plan"].map({item["values"][0]: item["threshold"] for item in told["slices"]}).fillna(told["threshold"])
    outputs = model.predict({name: rows[name].to_numpy() for name in FEATURES})
    if model.kind == "regression":
        wide = (2 * reach > told["abstain"]["wider_than"]).tolist()
        return {"low": (outputs - reach).tolist(), "high": (outputs + reach).tolist(), "is_abstained": wide}
    chances = np.column_stack([1 - outputs, outputs]) if model.kind == "binary" else outputs
    inside = 1 - chances <= reach.to_numpy()[:, None] + 1e-13
    certain = (inside.sum(axis=1) == 1).tolist()
    sets = [[name for name, held in zip(classes, row, strict=True) if held] for row in inside]
    return {"prediction_set": sets, "is_certain": certain, "is_abstained": [not sure for sure in certain]}


def same(found: dict[str, Any], wanted: dict[str, list[Any]]) -> None:
    """The same fields; ends of intervals to the last digits."""
    for name, values in wanted.items():
        given = list(found[name])
        if name in ("low", "high"):
            assert np.allclose(np.array(given, dtype=float), values, rtol=0, atol=1e-11)
        else:
            assert [list(item) if isinstance(item, tuple) else item for item in given] == values, name


def joined(wanted: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """As tables have them: sets as one text."""
    return {
        name: ["|".join(item) for item in values] if name == "prediction_set" else values for name, values in wanted.items()
    }


def test_some_answers_are_sure_and_some_are_not(model: Model, rows: pd.DataFrame) -> None:
    """Else the others of these tests would prove nothing."""
    wanted = expected(model, rows)
    assert {True, False} == set(wanted["is_abstained"]), model.signature["uncertainty"]
    assert len(model.signature["uncertainty"]["slices"]) >= 2


def test_the_service_answers_by_row_and_by_columns(home: Home, model: Model, rows: pd.DataFrame, tmp_path: Path) -> None:
    """One row, many rows, and an Arrow batch."""
    served, wanted = promised(home, model, tmp_path / "package"), expected(model, rows)
    given = [tuple(None if is_missing(value) else value for value in row) for row in rows[FEATURES].itertuples(index=False)]
    _, answers = served.predict(given)
    same({name: [answer[name] for answer in answers] for name in wanted}, wanted)
    _, (alone,) = served.predict(given[:1])
    assert alone == answers[0]
    _, fields = served.predict_columns({name: rows[name].tolist() for name in FEATURES})
    same(fields, wanted)
    table = pa.ipc.open_stream(encoded(served, fields)).read_all()
    same({name: table[name].to_pylist() for name in wanted}, wanted)


def test_the_answers_are_those_that_the_schema_promises(home: Home, model: Model, rows: pd.DataFrame, tmp_path: Path) -> None:
    """Over HTTP, with the Open Inference Protocol beside it; the coverage is told in the documentation."""
    served, wanted = promised(home, model, tmp_path / "package"), expected(model, rows.iloc[100:103])
    asked = [
        {name: value for name, value in row.items() if not is_missing(value)}
        for row in rows[FEATURES].iloc[100:103].to_dict("records")
    ]
    with answering(ModelApp(served)) as client:
        told = client.get("/docs.json").json()
        answers = client.post("/predict_batch", json={"rows": asked}).json()["predictions"]
        (one,) = [client.post("/predict", json={"row": asked[0]}).json()["prediction"]]
        tensors = [{"name": name, "shape": [3], "datatype": "BYTES" if name == "plan" else "FP64",
                    "data": [row.get(name) for row in asked]} for name in FEATURES]  # fmt: skip
        name = served.promise["product"]
        inferred = client.post(f"/v2/models/{name}/infer", json={"inputs": tensors})
    promised_fields = next(item for key, item in told["components"]["schemas"].items() if key.endswith("Prediction"))
    assert set(answers[0]) == set(promised_fields["properties"])
    assert any("80 %" in field.get("description", "") for field in promised_fields["properties"].values())
    assert one == answers[0]
    same({field: [answer[field] for answer in answers] for field in wanted}, wanted)
    outputs = {item["name"]: item["data"] for item in inferred.json()["outputs"]}
    same({field: outputs[field] for field in wanted}, joined(wanted))


def test_tables_and_queries_have_the_same_columns(
    home: Home, model: Model, rows: pd.DataFrame, database: psycopg.Connection[Any] | None
) -> None:
    """Batch predictions, DuckDB and PostgreSQL; Spark's query parses as Spark."""
    name, wanted = model.signature["product"], joined(expected(model, rows))
    spec, champion = product(name, **declared(name)), champion_of(model)
    columns = {feature: rows[feature].to_numpy() for feature in FEATURES}
    table = pa.table(answer_columns(model, model.predict(columns), columns))
    same({field: table[field].to_pylist() for field in wanted}, wanted)
    assert set(table.column_names) | {"model_version", "model_digest", "snapshot_digest", "scored_at_utc"} == set(
        spec.prediction_columns
    )

    def query(dialect: str) -> str:
        return sql_export.query(home, spec, champion, dialect=dialect, relation="asked", kept=["customer_id"])

    with duckdb.connect() as connection:
        connection.register("asked", rows)
        found = connection.execute(query("duckdb")).df()
    assert found["customer_id"].tolist() == rows["customer_id"].tolist()
    same({field: found[field].tolist() for field in wanted}, wanted)
    assert not [column for column in found if column.startswith("loopline_slice")]
    assert sqlglot.parse_one(query("spark"), read="spark")
    if database is None:
        pytest.skip("no PostgreSQL (DuckDB answered right): sudo apt-get install --no-install-recommends postgresql")
    with database.cursor() as cursor:
        cursor.execute("drop table if exists asked")
        cursor.execute("create table asked (customer_id text, age double precision, plan text, visits double precision)")
        with cursor.copy("copy asked from stdin") as copy:
            for row in rows[["customer_id", *FEATURES]].itertuples(index=False):
                copy.write_row([None if is_missing(value) else value for value in row])
        cursor.execute(query("postgres"))  # type: ignore[arg-type]
        names = [column.name for column in cursor.description or ()]
        there = pd.DataFrame(cursor.fetchall(), columns=names).set_index("customer_id").loc[rows["customer_id"]]
    same({field: there[field].tolist() for field in wanted}, wanted)


def test_the_wheel_answers_in_a_program_of_its_own(home: Home, model: Model, rows: pd.DataFrame, tmp_path: Path) -> None:
    """With numpy and onnxruntime only."""
    name = model.signature["product"]
    wheel = wheel_package.embed(home, product(name, **declared(name)), champion_of(model))
    zipfile.ZipFile(wheel.path).extractall(tmp_path)
    known = rows.dropna(subset=["plan"])  # a wheel refuses what the service refuses
    known[FEATURES].to_json(tmp_path / "rows.json", orient="records")
    code = (
        f"import json, sys; sys.path.insert(0, {str(tmp_path)!r}); import {name}_model as wheel\n"
        f"found = wheel.predict_rows(json.load(open({str(tmp_path / 'rows.json')!r})))\n"
        "json.dump({name: values.tolist() for name, values in found.uncertainty.items()}, sys.stdout)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    same(json.loads(done.stdout), joined(expected(model, known)))


def test_a_way_that_says_otherwise_is_found(model: Model, rows: pd.DataFrame) -> None:
    """Another threshold, a set of its own, or none at all; what is too close to call is not held against it."""
    columns = {name: rows[name].to_numpy() for name in FEATURES}
    outputs = model.predict(columns)
    own = {**model.uncertainty.as_columns(outputs, columns)} if model.uncertainty else {}
    reach = np.array(model.uncertainty.thresholds(columns, len(rows))) if model.uncertainty else np.zeros(0)
    wanted = (outputs, model.decide(outputs), own)

    def found(**changed: Any) -> tuple[float, int, int]:
        return uncertainty_parity.differences(model, wanted, (outputs, wanted[1], {**own, **changed}), reach, 1e-12)

    assert found() == (0.0, 0, 0)
    assert uncertainty_parity.differences(model, wanted, (outputs, wanted[1], {}), reach, 1e-12)[1] == len(rows)
    assert found(is_abstained=~own["is_abstained"])[1] >= len(rows) - 3
    if model.kind == "regression":
        assert found(low=own["low"] - 0.5)[0] > 1e-3
    else:
        assert found(prediction_set=np.array(["never"] * len(rows), dtype=object))[1] >= len(rows) - 3
        # rows exactly at a threshold may fall on either side
        edge = reach.copy()
        edge[0] = 1 - (outputs[0].max() if model.kind == "multiclass" else outputs[0])
        told = {**own, "is_certain": np.r_[[not own["is_certain"][0]], own["is_certain"][1:]]}
        assert uncertainty_parity.differences(model, wanted, (outputs, wanted[1], told), edge, 1e-12) == (0.0, 0, 1)


def test_a_product_that_declares_none_answers_as_before(home: Home, rows: pd.DataFrame, tmp_path: Path) -> None:
    """A value has its interval of 90 %, classes have no set."""
    for name, fields in (("churn", {"probability", "is_positive"}), ("spend", {"value", "planned", "low", "high"})):
        plain = trained(home, name)
        served = promised(home, plain, tmp_path / name)
        _, (answer,) = served.predict([served.bodies.row(plain.signature["background"][0])])
        assert set(answer) == {*fields, "unknown_categories"}
        assert isinstance(served, Served)
        columns = {feature: rows[feature].to_numpy() for feature in FEATURES}
        found = answers_of_columns(
            plain, {key: np.array(value) for key, value in answer_columns(plain, plain.predict(columns), columns).items()}
        )
        assert found[2] == {}

"""The registry of ways of serving: each form in which a champion answers, what makes it, and how it is asked."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from assets.promotion import current_artifacts
from assets.promotion.ledger_state import Entry
from assets.registries import Registry
from assets.serving import bento_package, service_requirements, sql_export, wheel_package
from assets.serving.bento_asset import package_bento
from assets.serving.predictions_asset import score_test_rows
from assets.serving.sql_asset import write_sql
from assets.serving.way_of_serving import Answers, Question, WayOfServing, answers_of_columns, answers_of_program
from assets.serving.wheel_asset import build_wheel
from assets.storage.drafts import draft_folder
from assets.storage.home import Home
from assets.storage.sql import identifier
from bentos.uncertainty import SEPARATOR


def _predictions(home: Home, champion: Entry) -> Path | None:
    return current_artifacts.found(home.predictions / champion.product)


def _precomputed(asked: Question, file: Path) -> Answers:
    import pyarrow.parquet as pq

    table = pq.read_table(file).to_pandas().set_index(asked.spec.features.entity).loc[asked.keys]
    return answers_of_columns(asked.model, {name: table[name].to_numpy() for name in table.columns})


def _wheel(home: Home, champion: Entry) -> Path | None:
    return current_artifacts.found(home.wheels / champion.product)


def _embedded(asked: Question, wheel: Path) -> Answers:
    module = asked.spec.module
    code = (
        f"import json, sys; sys.path.insert(0, sys.argv[1]); import {module}\n"
        f"found = {module}.predict_rows(json.load(sys.stdin))\n"
        "sure = {name: values.tolist() for name, values in found.uncertainty.items()}\n"
        "json.dump([found.outputs.tolist(), found.decisions.tolist(), sure], sys.stdout)"
    )
    with draft_folder(asked.home) as scratch:
        zipfile.ZipFile(wheel).extractall(scratch)
        outputs, decisions, sure = answers_of_program(
            asked.spec, "embedded", ["-I", "-c", code, str(scratch)], scratch, asked.rows
        )
    return np.array(outputs), np.array(decisions), {name: np.array(values) for name, values in sure.items()}


def _query(home: Home, champion: Entry) -> Path | None:
    folder = current_artifacts.found(home.sql / champion.product)
    return None if folder is None else folder / "duckdb.sql"


def _sql(asked: Question, file: Path) -> Answers:
    import duckdb
    import pyarrow as pa

    spec, rows = asked.spec, asked.rows
    numbered = pa.array([str(number) for number in range(len(rows))])
    columns: dict[str, Any] = {
        spec.features.entity: numbered,
        **{name: pa.nulls(len(rows), pa.timestamp("us")) for name in spec.moments},
    }
    for name, feature in asked.model.signature["features"].items():
        kind = pa.string() if feature["type"] == "category" else pa.float64()
        columns[name] = pa.array([row[name] for row in rows], kind)
    relation = str(spec.features.relation or spec.name).split(".")
    with duckdb.connect() as connection:
        connection.register("loopline_rows", pa.table(columns))
        if len(relation) > 1:
            connection.execute(f"create schema {identifier(relation[0])}")
        connection.execute(f"create view {'.'.join(map(identifier, relation))} as from loopline_rows")
        found = connection.execute(file.read_text(encoding="utf-8")).fetchnumpy()
    order = np.argsort(found[spec.features.entity].astype(int))
    return answers_of_columns(asked.model, {name: values[order] for name, values in found.items()})


def _bento(home: Home, champion: Entry) -> Path | None:
    return bento_package.bento_folder(home, bento_package.tag_of(champion)) / "src"


def _service(asked: Question, source: Path) -> Answers:
    sent = [{name: value for name, value in row.items() if value is not None} for row in asked.rows]
    found = answers_of_program(asked.spec, "service", ["-m", "bentos.probe"], source, sent)
    columns = {
        name: np.array([item[name] for item in found])
        for name in found[0]
        if name not in ("probabilities", "prediction_set", "unknown_categories")
    }
    if "prediction_set" in found[0]:
        columns["prediction_set"] = np.array([SEPARATOR.join(item["prediction_set"]) for item in found])
    if asked.model.kind == "multiclass":
        for name in asked.model.signature["classes"]:
            columns[f"probability_{name}"] = np.array([item["probabilities"][name] for item in found])
    if asked.model.kind == "regression":
        columns["prediction"] = columns.pop("value")
    return answers_of_columns(asked.model, columns)


WAYS_OF_SERVING = Registry(
    "WAYS_OF_SERVING",
    (
        WayOfServing(
            "precomputed",
            "predictions",
            "The champion's predictions of the test rows, with version, digest and time of scoring.",
            score_test_rows,
            _predictions,
            _precomputed,
            reads=frozenset(("features", "split", "target")),
            kinds=frozenset(("parquet", "onnx")),
            distributions=("onnxruntime",),
            inputs=("champion", "snapshot"),
            mode="ahead",
        ),
        WayOfServing(
            "embedded",
            "wheel",
            "The champion as a wheel: `pip install` it into any program; needs numpy and onnxruntime only.",
            build_wheel,
            _wheel,
            _embedded,
            reads=frozenset(("name", "description")),
            kinds=frozenset(("python", "onnx")),
            distributions=("flit-core",),
            withdraw=wheel_package.withdraw,
        ),
        WayOfServing(
            "sql",
            "sql",
            "The champion's graph as SQL for DuckDB, PostgreSQL and Spark, and as a dbt package.",
            write_sql,
            _query,
            _sql,
            reads=frozenset(("name", "features", "model", "serving")),
            kinds=frozenset(("sql", "duckdb")),
            distributions=("sqlglot",),
            withdraw=sql_export.withdraw,
            mode="ahead",
        ),
        WayOfServing(
            "service",
            "bento",
            "The champion as a service: ONNX, signature, typed input; every answer carries version and digest.",
            package_bento,
            _bento,
            _service,
            reads=frozenset(("name", "description", "serving", "privacy")),
            kinds=frozenset(("bentoml", "onnx")),
            distributions=service_requirements.REQUIREMENTS,
            files=bento_package.sources,
            withdraw=bento_package.withdraw,
            can_fall_back=True,
        ),
    ),
)

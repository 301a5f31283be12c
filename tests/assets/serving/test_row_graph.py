"""The graph for single rows gives what the model gives, bit by bit, or there is none."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from assets.serving import parity
from assets.serving.row_graph import row_graph
from assets.storage.home import Home
from bentos.row_graph import FILE, MOST_ROWS, RowGraph
from bentos.runtime import Model, TamperedModelError
from bentos.served import Served
from tests.assets.training.test_estimators import CASES
from tests.models import promised, trained

OTHERS: list[tuple[str, str, dict[str, Any]]] = [
    ("churn", "sklearn.naive_bayes.GaussianNB", {}),
    ("tier", "sklearn.ensemble.RandomForestClassifier", {"n_estimators": 20, "min_samples_leaf": 5}),
]


def content(home: Home, model: Model) -> bytes:
    """The model's graph."""
    return (home.models / model.signature["product"] / model.digest / "model.onnx").read_bytes()


def values(model: Model, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row in the order of the model's features."""
    return tuple(row.get(name) for name in model.signature["features"])


def expected(model: Model, row: Mapping[str, Any]) -> Any:
    """What the model itself gives."""
    return model.session_outputs({name: [row.get(name)] for name in model.signature["features"]})


@pytest.mark.parametrize(("name", "path", "parameters"), CASES + OTHERS, ids=lambda item: str(item).rsplit(".", 1)[-1][:30])
def test_every_estimator_answers_few_rows_exactly(home: Home, name: str, path: str, parameters: dict[str, Any]) -> None:
    """Usual rows, and rows at the ends of ranges, without values, and with unknown categories, which the model answers.

    Alone, and several at once.
    """
    model = trained(home, name, model={"estimator": path, "parameters": parameters})
    made = row_graph(model, content(home, model))
    assert made is not None
    graph, several = RowGraph(made, model), []
    for row in parity._hard(model):
        given = graph.outputs([values(model, row)])
        if any((row.get(category) or None) not in known for category, known in model.known.items()):
            assert given is None
            continue
        np.testing.assert_array_equal(given, expected(model, row))
        several.append(row)
    assert len(several) > len(model.signature["background"])
    for size in range(2, MOST_ROWS + 1):
        given = graph.outputs([values(model, row) for row in several[:size]])
        names = model.signature["features"]
        np.testing.assert_array_equal(
            given, model.session_outputs({name: [row.get(name) for row in several[:size]] for name in names})
        )


@pytest.mark.parametrize(("feature", "is_made"), [("plan", False), ("age", True)])
def test_a_model_of_one_feature(home: Home, feature: str, is_made: bool) -> None:
    """Of a category alone all outputs are known beforehand, so that no graph is left: the model's own answers."""
    model = trained(
        home,
        "churn",
        features={"entity": "customer_id", "event_time": "signed_up_at", "groups": {"all": {feature: {}}}},
        baseline={"by": {feature: 10 if feature == "age" else None}},
        evaluation={},
    )
    made = row_graph(model, content(home, model))
    assert (made is not None) == is_made
    if made is not None:
        row = model.signature["background"][0]
        np.testing.assert_array_equal(RowGraph(made, model).outputs([values(model, row)]), expected(model, row))


@pytest.fixture(scope="module")
def model_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for one model."""
    return Home(tmp_path_factory.mktemp("single") / "home").prepare()


@pytest.fixture(scope="module")
def model(model_home: Home) -> Model:
    """One of the shop's models."""
    return trained(model_home, "churn")


def test_a_service_answers_by_it_what_it_answers_to_batches(model_home: Home, model: Model, tmp_path: Path) -> None:
    """One row alone, and the same row among others."""
    served = promised(model_home, model, tmp_path / "service")
    assert served.row_graph is not None
    rows = [served.bodies.row(row) for row in parity._hard(model)]
    together, answers = served.predict(rows)
    alone = [served.predict([row]) for row in rows]
    assert [scores[0] for scores, _ in alone] == together
    assert [answer for _, (answer,) in alone] == answers


def test_threads_do_not_write_into_each_others_rows(model_home: Home, model: Model) -> None:
    """All share one piece of memory."""
    made = row_graph(model, content(model_home, model))
    assert made is not None
    graph, rows = RowGraph(made, model), model.signature["background"]
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda row: graph.outputs([values(model, row)]), rows * 50))
    for place, row in enumerate(rows * 50):
        np.testing.assert_array_equal(given[place], expected(model, row))


def test_a_graph_that_computes_something_else_is_not_used(model_home: Home, model: Model) -> None:
    """By a last digit: the service then asks the model itself."""
    graph = onnx.load_from_string(content(model_home, model))
    thresholds = next(item for item in graph.graph.initializer if numpy_helper.to_array(item).dtype == np.float64)
    changed = numpy_helper.to_array(thresholds) * (1 + 1e-9)
    thresholds.CopyFrom(numpy_helper.from_array(changed, thresholds.name))
    assert row_graph(model, graph.SerializeToString()) is None


def test_changed_bytes_are_not_loaded(model_home: Home, model: Model, tmp_path: Path) -> None:
    """The promise names their digest."""
    promised(model_home, model, tmp_path / "service")
    file = tmp_path / "service" / FILE
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(TamperedModelError, match=f"{FILE} has digest .*promised was .*package the champion again"):
        Served.load(tmp_path / "service")

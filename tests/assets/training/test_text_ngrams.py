"""Texts by their n-grams: counted alike in training and in the graph, whatever is written; and served as every model is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.errors import TranslationError
from assets.evaluation import explanations
from assets.serving import sql_export
from assets.serving.row_graph import row_graph
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.training import estimators, training
from assets.training.onnx_nodes import Builder
from assets.training.text_ngrams import TextNgrams, ngrams
from bentos.runtime import DOUBLE, OUTPUTS, Model, session_of
from tests.models import champion_of, promised, snapshot_of
from tests.shop import COLUMNS, KINDS, customers, product

WORDS = ["late", "rude", "fine", "never again", "Never", "again", "über", "x"]


def strength_of(frame: pd.DataFrame) -> pd.Series:
    """The log-odds that a customer leaves, by what is written."""
    text = frame["review"].fillna("")
    return 2.0 * text.str.count("late") + 2.0 * text.str.count("rude") - 1.5 * text.str.count("fine") - 1


def reviewed(rows: int = 1500, seed: int = 0) -> pd.DataFrame:
    """Customers, each with a few words: who writes that something was late or rude leaves."""
    frame, random = customers(rows, seed), np.random.default_rng(seed + 50)
    counts = random.integers(0, 6, rows)
    frame["review"] = [" ".join(random.choice(WORDS, count)) if count else None for count in counts]
    frame["churned"] = np.where(random.random(rows) < 1 / (1 + np.exp(-strength_of(frame))), "yes", "no")
    frame["spend"] = 10 + 5.0 * frame["review"].fillna("").str.count("never again") + random.normal(0, 1, rows).round(2)
    return frame


def reading(name: str = "churn", size: int = 12, length: int = 2, estimator: str | None = None, **parts: Any) -> ProductSpec:
    """A product that reads the review."""
    groups = {"all": {"age": {}, "plan": {}, "visits": {"max_missing": 0.3, **parts.pop("visits", {})},
                      "review": {"max_missing": 0.5, "ngrams": {"size": size, "length": length}}}}  # fmt: skip
    kind, small = KINDS[name]["model"], {} if estimator else {"parameters": {"max_iter": 30, "max_leaf_nodes": 8}}
    model = {
        "estimator": estimator or f"sklearn.ensemble.HistGradientBoosting{kind}",
        "seed": 3,
        **small,
        **parts.pop("model", {}),
    }
    return product(
        name,
        features={"entity": "customer_id", "event_time": "signed_up_at", "groups": groups},
        source={"file": "customers.csv", "key": ["customer_id"], "columns": {**COLUMNS, "review": {"type": "text"}}},
        model=model,
        **{"evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0}, **parts},
    )


def counted(step: TextNgrams, texts: list[str]) -> np.ndarray:
    """What a graph of the step alone gives for texts."""
    from onnx import TensorProto, helper

    builder = Builder()
    (part,) = step.written(builder, ["text"])
    builder.add("Identity", [part], OUTPUTS)
    inputs = [helper.make_tensor_value_info("text", TensorProto.STRING, [None, 1])]
    output = helper.make_tensor_value_info(OUTPUTS, TensorProto.DOUBLE, [None, None])
    graph = builder.model("texts", inputs, output, DOUBLE).SerializeToString()
    (found,) = session_of(graph).run([OUTPUTS], {"text": np.array(texts, dtype=object).reshape(-1, 1)})
    return np.asarray(found)


TEXTS = st.lists(st.text(st.sampled_from("ab  \t\n\u00a0\u3000Aß\U0001f600,.'")), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(taught=TEXTS, asked=TEXTS, size=st.integers(1, 9), length=st.integers(1, 3))
def test_whatever_is_written_the_graph_counts_as_the_training(
    taught: list[str], asked: list[str], size: int, length: int
) -> None:
    """Spaces of all kinds, capitals, signs beyond two bytes, nothing at all; with as many columns as are asked for."""
    step = TextNgrams([size], [length]).fit(np.array(taught, dtype=object).reshape(-1, 1))
    for texts in (taught, asked, [""]):
        expected = step.transform(np.array(texts, dtype=object).reshape(-1, 1))
        assert expected.shape == (len(texts), size)
        found = counted(step, texts)
        assert np.array_equal(found, expected), (step.ngrams_, texts)


def test_the_ngrams_are_those_that_most_rows_have() -> None:
    """Two rows at least, however often one row has them; a word that is there twice counts twice."""
    texts = np.array([["a b a"], ["a b"], ["b b c c"], ["d"], [""]], dtype=object)
    step = TextNgrams([3], [2]).fit(texts)
    assert step.ngrams_ == [["a", "a b", "b"]]
    assert step.transform(texts).tolist() == [[2, 1, 1], [1, 1, 1], [0, 0, 2], [0, 0, 0], [0, 0, 0]]
    assert list(ngrams(" a b  c ", 2)) == ["a", "b", "c", "a b"]


@pytest.mark.parametrize("length", [2, 3])
def test_words_two_spaces_apart_are_counted_alike(length: int) -> None:
    """An n-gram that training rows have, and rows that have its words farther apart: after a full stop, say."""
    step = TextNgrams([9], [length]).fit(np.array([["not good"], ["not good"], ["ok.  Bad"], ["ok. Bad"]], dtype=object))
    texts = ["not  good", " not   good ", "not good  not good", "ok.  Bad", "ok. Bad", "  "]
    assert np.array_equal(counted(step, texts), step.transform(np.array(texts, dtype=object).reshape(-1, 1)))


@pytest.mark.parametrize(
    ("name", "estimator"),
    [("churn", None), ("spend", None), ("churn", "sklearn.linear_model.LogisticRegression"),
     ("spend", "lightgbm.LGBMRegressor")],
)  # fmt: skip
def test_a_model_reads_texts_and_is_served(home: Home, name: str, estimator: str | None) -> None:
    """It learns from them, in the precision of every model; the signature holds no text; SQL says why it cannot."""
    spec = reading(name, estimator=estimator)
    made = training.train(home, spec, snapshot_of(home, spec, reviewed()))
    assert training.train(home, spec, snapshot_of(home, spec, reviewed())).digest == made.digest
    assert made.largest_onnx_difference < 1e-12
    model, new = Model.load(made.folder, made.digest), reviewed(400, seed=9)
    assert model.signature["features"]["review"]["known"] == []
    answered = model.predict({column: new[column].to_numpy() for column in spec.columns})
    if name == "churn":
        # as the rule itself orders them, which the noise does not let anyone know better
        assert np.corrcoef(answered, 1 / (1 + np.exp(-strength_of(new))))[0, 1] > 0.9
    else:
        assert np.corrcoef(answered, new["spend"])[0, 1] > 0.9
    assert row_graph(model, (made.folder / "model.onnx").read_bytes()) is None
    with pytest.raises(TranslationError, match="StringSplit|TfIdf"):
        sql_export.query(home, spec, champion_of(model), dialect="duckdb", relation="asked", kept=["customer_id"])


def test_the_service_and_the_explanation_know_the_text(home: Home) -> None:
    """One row and many, never an unknown category; what its n-grams add is the text's."""
    spec = reading()
    snapshot = snapshot_of(home, spec, reviewed())
    made = training.train(home, spec, snapshot)
    served = promised(home, Model.load(made.folder, made.digest), home.root / "package")
    rows = [
        {"age": 40.0, "plan": "free", "visits": 3.0, "review": text} for text in ("late and rude", "fine", None, "never seen")
    ]
    one = [served.predict([served.bodies.row(row)])[1][0] for row in rows]
    assert one == served.predict([served.bodies.row(row) for row in rows])[1]
    assert one[0]["probability"] > 2 * one[1]["probability"]
    assert all(answer["unknown_categories"] == [] for answer in one)
    assert served.predict([served.bodies.row({**rows[0], "plan": "gold"})])[1][0]["unknown_categories"] == ["plan"]
    record = explanations.explain_model(home, spec, snapshot, made.digest).record
    assert record["gap"] < 1e-9
    assert max(record["importance"], key=record["importance"].get) == "review"


def test_a_number_beside_it_keeps_its_direction() -> None:
    """The columns of a text are free."""
    spec = reading(visits={"monotone": "decreasing"})
    frame = reviewed()
    fitted = estimators.fit(spec, estimators.model_frame(spec, frame), (frame["churned"] == "yes").to_numpy(float))
    asked = pd.DataFrame({"age": 40.0, "plan": ["free"] * 30, "visits": np.linspace(0, 12, 30), "review": "late"})
    assert (np.diff(estimators.outputs_of(spec, fitted, asked)) <= 0).all()


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        (
            {"serving": {"sql": "required"}},
            r"reads \['review'\] by ngrams, which no SQL here counts, and serving.sql is required",
        ),
        ({"model": {"learning": {"federated": {"by": "plan"}}}}, "by ngrams and declares model.learning"),
        ({"visits": {"ngrams": {"size": 3}}}, "has ngrams, which only a category can have"),
        ({"size": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_read_it_is_told_in_the_declaration(parts: dict[str, Any], wanted: str) -> None:
    """Before anything is trained."""
    with pytest.raises(ValueError, match=wanted):
        reading(**parts)

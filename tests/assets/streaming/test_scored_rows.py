"""A stream's workers score as the model does: the same outputs, bit by bit. Spark is not needed."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from assets.storage.digests import file_digest
from assets.storage.home import Home
from assets.storage.publishing import write_json
from assets.streaming.scored_rows import RowScorer, as_features, model_in
from assets.streaming.served_model import followed
from bentos.runtime import Model, TamperedModelError
from bentos.uncertainty import ADAPTED, RECORD
from tests.models import trained
from tests.shop import customers


def scorer_of(home: Home, model: Model, *kept: tuple[str, str]) -> RowScorer:
    """The scorer of a trained model."""
    return RowScorer(str(home.models / model.signature["product"] / model.digest), model.digest, 7, kept)


def asked(model: Model, rows: int = 300) -> tuple[pa.RecordBatch, dict[str, Any]]:
    """Rows as Spark hands them over, and as the model is asked."""
    frame = customers(rows)
    columns = {"c0": ["a.csv"] * rows, "c1": range(rows), "c2": frame["customer_id"]}
    features = {name: frame[name] for name in model.signature["features"]}
    return pa.RecordBatch.from_pydict({**{k: pa.array(v) for k, v in (columns | features).items()}}), features


@pytest.mark.parametrize("name", ["churn", "tier", "spend"])
def test_answers_are_the_models_own(home: Home, name: str) -> None:
    """By kind of target, with version, digest and place beside them."""
    model = trained(home, name)
    scorer = pickle.loads(pickle.dumps(scorer_of(home, model, ("customer_id", "text"))))  # noqa: S301 - our own
    batch, features = asked(model)
    (scored,) = scorer.score(iter([batch, batch.slice(0, 0)]))
    outputs = model.predict({key: value.to_numpy() for key, value in features.items()})
    if name == "tier":
        given = np.column_stack([scored[f"probability_{label}"] for label in model.signature["classes"]])
    else:
        given = scored["probability" if name == "churn" else "prediction"].to_numpy()
    np.testing.assert_array_equal(given, outputs)
    assert scored["customer_id"].to_pylist() == batch["c2"].to_pylist()
    assert set(scored["model_version"].to_pylist()) == {7}
    assert set(scored["model_digest"].to_pylist()) == {model.digest}
    assert (scored["source_file"][0].as_py(), scored["source_row"].to_pylist()) == ("a.csv", list(range(300)))
    assert [part.split("`")[1] for part in scorer.schema().split(", ")] == scored.schema.names


def test_a_record_that_followed_the_labels_is_answered_by(home: Home, tmp_path: Path) -> None:
    """As in the service: the one that its promise names, and no other."""
    model = trained(home, "spend", uncertainty={"coverage": 0.8})
    shutil.copytree(home.models / "spend" / model.digest, tmp_path / "model")
    record = write_json(tmp_path / RECORD, {"model_digest": model.digest, "threshold": 77.0, "slices": []})
    promise = {"model_digest": model.digest, "model_version": 7, ADAPTED: file_digest(record)}
    write_json(tmp_path / "promoted.json", promise)
    served = followed(write_json(tmp_path / "champion.json", {"folder": "."}))
    assert served is not None
    scorer = RowScorer(str(served.folder), served.digest, served.version, (), served.adapted)
    (scored,) = scorer.score(iter([asked(model)[0].drop_columns(["c2"])]))
    reach = (scored["high"].to_numpy() - scored["low"].to_numpy()) / 2
    np.testing.assert_allclose(reach, 77.0)
    write_json(record, {"model_digest": model.digest, "threshold": 1.0, "slices": []})
    model_in.cache_clear()
    with pytest.raises(TamperedModelError, match="is not the record"):
        next(scorer.score(iter([asked(model)[0].drop_columns(["c2"])])))


def test_a_model_whose_bytes_were_changed_is_not_loaded(home: Home) -> None:
    """As in the service."""
    model = trained(home, "churn")
    file = home.models / "churn" / model.digest / "model.onnx"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(TamperedModelError):
        next(scorer_of(home, model).score(iter([asked(model)[0]])))


def test_an_entity_named_like_an_answer_gets_a_number(home: Home) -> None:
    """Nothing is overwritten."""
    model = trained(home, "churn")
    batch, _ = asked(model)
    (scored,) = scorer_of(home, model, ("probability", "text")).score(iter([batch]))
    assert scored["probability_2"].to_pylist() == batch["c2"].to_pylist()
    assert scored["probability"].type == pa.float64()


def test_categories_become_the_text_that_training_saw(home: Home) -> None:
    """Booleans and whole numbers as DuckDB writes them, as when a snapshot is published."""
    model = trained(home, "churn")
    (name,) = model.inputs[0]
    for values, texts in (([True, None], ["true", None]), ([3, 4], ["3", "4"]), ([1.0, 2.5], ["1.0", "2.5"])):
        assert as_features(model, {name: pa.array(values)})[name].to_pylist() == texts
    assert model_in.cache_info().maxsize is None

"""The fallback of a service: each kind, each way of asking, and who it answers for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.storage.home import Home
from assets.storage.publishing import write_json
from bentos.app import ModelApp
from bentos.fallback import MITIGATION
from bentos.fallback_served import falling_back
from bentos.log_lines import Answering
from bentos.runtime import Model
from bentos.served import UPDATED, Served
from bentos.split import Split
from tests.bentos.serving import answering, until
from tests.models import promised, trained
from tests.shop import KINDS

ROW = {"age": 30.0, "plan": "free", "visits": 2.0}
OTHERWISE = {"churn": [0.9, 0.1], "tier": [0.2, 0.5, 0.3], "spend": [12.0]}
SAID: dict[str, dict[str, Any]] = {
    "churn": {"probability": 0.1, "is_positive": False},
    "tier": {"probabilities": {"bronze": 0.2, "silver": 0.5, "gold": 0.3}},
    "spend": {"value": 12.0, "low": 7.0, "high": 17.0},
}


def constant(name: str) -> dict[str, Any]:
    """The record of a constant fallback."""
    return {"otherwise": OTHERWISE[name], "reach": 5.0 if name == "spend" else None}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_answers_alike_on_every_path(shop: Home, models: dict[str, Model], tmp_path: Path, name: str) -> None:
    """With the fields of the model's answers, a header, and a field of its own; unknown categories are still told."""
    served = promised(shop, models[name], tmp_path / "package", fallback=constant(name), arrow=True)
    assert served.fallback is not None
    app = ModelApp(served)
    with answering(app) as client:
        usual = client.post("/predict", json={"row": ROW})
        app.fallbacks.follow(served, is_wanted=True)
        one = client.post("/predict", json={"row": {**ROW, "plan": "never seen"}})
        many = client.post("/predict_batch", json={"rows": [ROW] * 40})
        table = pa.table({key: pa.array([value]) for key, value in ROW.items()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        kind = {"content-type": "application/vnd.apache.arrow.stream"}
        columns = client.post("/predict_batch", content=sink.getvalue().to_pybytes(), headers=kind)
        inputs = [
            {"name": key, "shape": [1], "datatype": "BYTES" if key == "plan" else "FP64", "data": [value]}
            for key, value in ROW.items()
        ]
        tensors = client.post(f"/v2/models/{name}/infer", json={"inputs": inputs})
        app.fallbacks.follow(served, is_wanted=False)
        again = client.post("/predict", json={"row": ROW})
    assert again.json() == usual.json()
    assert set(one.json()["prediction"]) == set(usual.json()["prediction"])
    assert one.json()["prediction"]["unknown_categories"] == ["plan"]
    for answer in (one.json()["prediction"], many.json()["predictions"][-1]):
        assert {key: answer[key] for key in SAID[name]} == SAID[name]
    stamped = pa.ipc.open_stream(columns.content).read_all()
    assert stamped.schema.metadata[b"fallback"] == MITIGATION.encode()
    assert tensors.json()["parameters"]["fallback"] == MITIGATION
    for response in (one, many, columns, tensors):
        assert response.headers["x-model-fallback"] == MITIGATION
        assert response.headers["x-model-digest"] == served.fallback.digest


@pytest.mark.parametrize(("name", "classes"), [("churn", ["no", "yes"]), ("tier", ["bronze", "silver", "gold"])])
def test_a_fallback_is_never_certain(shop: Home, tmp_path: Path, name: str, classes: list[str]) -> None:
    """Its sets hold all classes, and it decides nothing where answers may abstain."""
    model = trained(shop, name, uncertainty={"coverage": 0.8}, abstain={"cost": 0.4})
    app = ModelApp(promised(shop, model, tmp_path / "package", fallback=constant(name)))
    app.fallbacks.follow(app.served, is_wanted=True)
    with answering(app) as client:
        told = client.post("/predict", json={"row": ROW}).json()["prediction"]
    assert (told["prediction_set"], told["is_certain"], told["is_abstained"]) == (classes, False, True)


def test_a_state_that_labels_taught_did_not_give_its_answers(shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """Neither for the service, nor for the log's process, which knows the promise, the signature and the digest alone."""
    served = promised(shop, models["churn"], tmp_path / "package", fallback=constant("churn"))
    taught = replace(served, promise={**served.promise, UPDATED: {"state": "taught"}})
    made = falling_back(taught, MITIGATION)
    promise, signature, digest = made.for_log
    in_process = Served(promise, Model(signature, digest, session=None))
    assert (taught.state, made.state, Answering.of(in_process).state) == ("taught", None, None)


def test_arms_fall_back_too(shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """No arm is said to have given an answer that it did not give."""
    served = promised(shop, models["churn"], tmp_path / "package", fallback=constant("churn"), entity={"name": "customer"})
    app = ModelApp(served)
    arm = {"name": "control", "share": 1.0, "folder": None}
    app.experiments.split = Split.load({"experiment": "trial", "salt": "s", "arms": [arm]}, tmp_path, served)
    app.fallbacks.follow(served, is_wanted=True)
    with answering(app) as client:
        answer = client.post("/predict", json={"row": ROW}, headers={"X-Entity-Key": "c1"})
        assert answer.headers["x-model-fallback"] == MITIGATION
        assert "loopline_arm_requests_total{" not in client.get("/metrics").text
        app.fallbacks.follow(served, is_wanted=False)
        client.post("/predict", json={"row": ROW}, headers={"X-Entity-Key": "c1"})
        assert "loopline_arm_requests_total{" in client.get("/metrics").text


def test_a_champion_without_one_answers_itself(
    shop: Home, models: dict[str, Model], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And the service's log says why."""
    app = ModelApp(promised(shop, models["churn"], tmp_path / "package"))
    app.fallbacks.follow(app.served, is_wanted=True)
    with answering(app) as client:
        assert "x-model-fallback" not in client.post("/predict", json={"row": ROW}).headers
    assert "the champion was packaged without one" in capfd.readouterr().err


def test_it_answers_also_where_the_package_is_damaged_by_now(shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """Who answers is in memory already: what a person says of it needs no file but the pointer."""
    served, pointer = (
        promised(shop, models["churn"], tmp_path / "package", fallback=constant("churn")),
        tmp_path / "champion.json",
    )
    write_json(pointer, {"folder": "package"})
    with answering(ModelApp(served, pointer=pointer)) as client:
        assert "x-model-fallback" not in client.post("/predict", json={"row": ROW}).headers
        (tmp_path / "package" / "model" / "model.onnx").write_bytes(b"damaged")
        write_json(pointer, {"folder": "package", "fallback": "d"})
        until(lambda: client.post("/predict", json={"row": ROW}).headers.get("x-model-fallback") == MITIGATION)
        write_json(pointer, {"folder": "package"})
        until(lambda: "x-model-fallback" not in client.post("/predict", json={"row": ROW}).headers)

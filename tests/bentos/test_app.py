"""The service's HTTP side, for each kind of model: answers, explanations, limits, ids, metrics, logs, and changing models."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from assets.storage import pseudonym_key
from assets.storage.home import Home
from assets.storage.publishing import write_json
from bentos.app import ModelApp
from bentos.runtime import Model
from bentos.served import Served
from tests.bentos.serving import answering, until
from tests.models import promised, trained

ROW = {"age": 30.0, "plan": "free", "visits": 2.0}


@pytest.fixture
def churn(shop: Home, models: dict[str, Model], tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the yes-or-no service, which writes a prediction log."""
    with answering(ModelApp(promised(shop, models["churn"], tmp_path / "package"), log_folder=tmp_path / "log")) as client:
        yield client


def outputs(model: Model, rows: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    """What the model itself says."""
    return model.predict({name: [row.get(name) for row in rows] for name in model.signature["features"]})


def metric(client: httpx.Client, line: str) -> float:
    """A metric's value, 0 if it is not there."""
    found = re.search(rf"^{re.escape(line)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_each_kind_answers_as_its_model(served: Served) -> None:
    """One row and many, over HTTP."""
    rows = [ROW, {**ROW, "visits": None}, {"age": 80, "plan": "never seen"}]
    expected = outputs(served.model, rows)
    with answering(ModelApp(served)) as client:
        found = client.post("/predict_batch", json={"rows": rows}).json()["predictions"]
        single = [client.post("/predict", json={"row": row}).json()["prediction"] for row in rows]
    assert found == single
    assert [item["unknown_categories"] for item in found] == [[], [], ["plan"]]
    if served.model.kind == "binary":
        assert [item["probability"] for item in found] == expected.tolist()
    elif served.model.kind == "multiclass":
        assert [list(item["probabilities"].values()) for item in found] == expected.tolist()
    else:
        assert [item["value"] for item in found] == expected.tolist()


def test_an_explanation_adds_up_to_the_answer(served: Served) -> None:
    """Base and contributions give the output; a feature equal to all background rows' adds nothing."""
    with answering(ModelApp(served)) as client:
        told = client.post("/explain", json={"row": ROW}).json()
    assert told["base"] + sum(told["contributions"].values()) == pytest.approx(told["output"], abs=1e-9)
    answer = told["prediction"]
    said = {
        "binary": lambda: answer["probability"],
        "multiclass": lambda: answer["probabilities"][answer["predicted_class"]],
        "regression": lambda: answer["value"],
    }[served.model.kind]()
    assert told["output"] == pytest.approx(said, abs=1e-6)
    sizes = [abs(value) for value in told["contributions"].values()]
    assert sizes == sorted(sizes, reverse=True)
    assert set(told["standard_errors"]) == set(ROW)


def test_the_model_says_since_when_it_serves_and_keeps_its_rows_to_itself(churn: httpx.Client) -> None:
    """`/model` tells the ledger's time and the limits, and no training row."""
    told = churn.get("/model").json()
    assert told["champion_since_utc"] == "2024-01-01T00:00:00+00:00"
    assert told["limits"]["max_batch_rows"] == 1000
    assert "background" not in told


def test_a_request_keeps_its_id_and_a_bad_one_gets_another(churn: httpx.Client) -> None:
    """In the answer's header, and in a refusal's body too."""
    answer = churn.post("/predict", json={"row": ROW}, headers={"X-Request-ID": "order-17"})
    assert answer.headers["X-Request-ID"] == "order-17"
    refused = churn.post("/predict", json={"row": {}}, headers={"X-Request-ID": "no blanks"})
    assert refused.headers["X-Request-ID"] == refused.json()["request_id"] != "no blanks"


@pytest.mark.parametrize(
    ("content", "headers", "status", "told"),
    [
        (b"{", {"Content-Type": "application/json"}, 400, "The body is no JSON"),
        (b"", {"Content-Type": "application/json"}, 400, "The body is no JSON"),
        (b"\xff\xfe", {"Content-Type": "application/json"}, 400, "The body is no JSON"),
        (b"[]", {"Content-Type": "application/json"}, 422, "body: Input should be an object"),
        (b'{"row": 3}', {"Content-Type": "application/json"}, 422, "row: Input should be an object"),
        (b'{"row": {"age": 1e999}}', {"Content-Type": "application/json"}, 422, "row.age: "),
        (b'{"row": {}, "rows": []}', {"Content-Type": "application/json"}, 422, "rows: Extra inputs are not permitted"),
        (b"age=3", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "must be application/json"),
        (b" " * 20_000, {"Content-Type": "application/json"}, 413, "more than 10000 bytes"),
    ],
)
def test_a_bad_body_is_refused_with_one_clear_error(
    shop: Home, models: dict[str, Model], tmp_path: Path, content: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    """What is wrong, and the service lives on."""
    small = promised(shop, models["churn"], tmp_path / "package", max_body_bytes=10_000)
    with answering(ModelApp(small)) as client:
        answer = client.post("/predict", content=content, headers=headers)
        assert (answer.status_code, told in answer.json()["error"]) == (status, True), answer.text
        assert client.post("/predict", json={"row": ROW}).status_code == 200


def test_another_method_and_another_path_are_told_what_there_is(churn: httpx.Client) -> None:
    """405 with what is allowed, 404 with where to look."""
    assert churn.get("/predict").status_code == 405
    assert "Allowed: POST" in churn.get("/predict").json()["error"]
    assert churn.post("/nowhere").status_code == 404


def test_the_metrics_count_what_happened(churn: httpx.Client) -> None:
    """Requests by status, rows, scores by tenth, unknown categories and refused values; no name from outside."""
    churn.post("/predict_batch", json={"rows": [ROW, {**ROW, "plan": "odd"}]})
    churn.post("/predict", json={"row": {**ROW, "age": 1000}})
    churn.post("/predict", json={"row": {**ROW, "made_up_field": 1}})
    assert metric(churn, 'loopline_requests_total{path="/predict_batch",status="200"}') == 1
    assert metric(churn, 'loopline_requests_total{path="/predict",status="422"}') == 2
    assert metric(churn, 'loopline_predicted_rows_total{version="1"}') == 2
    assert metric(churn, 'loopline_unknown_categories_total{feature="plan"}') == 1
    assert metric(churn, 'loopline_refused_inputs_total{feature="age",problem="less_than_equal"}') == 1
    assert metric(churn, 'loopline_refused_inputs_total{feature="other",problem="extra_forbidden"}') == 1
    assert metric(churn, 'loopline_request_duration_seconds_count{path="/predict"}') == 2
    text = churn.get("/metrics").text
    assert "made_up_field" not in text
    assert sum(float(value) for value in re.findall(r"^loopline_scores_total\{.*\} (\S+)$", text, re.MULTILINE)) == 2


def test_the_prediction_log_holds_what_was_asked_and_answered(shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """Each row with the model that answered; a repeated id does not double it."""
    app = ModelApp(promised(shop, models["churn"], tmp_path / "package"), log_folder=tmp_path / "log")
    with answering(app) as client:
        answer = client.post("/predict_batch", json={"rows": [ROW, ROW]}, headers={"X-Request-ID": "a"}).json()
        client.post("/predict", json={"row": ROW}, headers={"X-Request-ID": "b"})
        client.post("/predict", json={"row": ROW}, headers={"X-Request-ID": "b"})
        client.post("/predict", json={"row": {}})
    (file,) = (tmp_path / "log").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("select * from predictions order by request_id, row_number").fetchall()
    assert [(row[0], row[1], row[3], row[4]) for row in found] == [
        (name, number, 1, models["churn"].digest) for name, number in (("a", 0), ("a", 1), ("b", 0))
    ]
    assert json.loads(found[0][5]) == ROW
    assert json.loads(found[0][6]) == answer["predictions"][0]
    said = answer["predictions"][0]
    assert found[0][-5:] == (said["probability"], str(said["is_positive"]).lower(), None, None, None)


def test_private_columns_are_in_no_log_and_no_example(shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """Hashed values stay equal, dropped ones are gone; the answer is that of the values; the OpenAPI example is made up."""
    served = promised(shop, models["churn"], tmp_path / "package")
    real = served.model.signature["background"][0]
    hidden = replace(served, promise={**served.promise, "privacy": {"plan": "hash", "age": "drop"}})
    pseudonym_key.secret(shop)
    app = ModelApp(hidden, log_folder=tmp_path / "log", secret_file=pseudonym_key.file_of(shop))
    with answering(app) as client:
        answer = client.post("/predict", json={"row": ROW}, headers={"X-Request-ID": "a"}).json()
        client.post("/predict", json={"row": {**ROW, "age": 31.0}}, headers={"X-Request-ID": "b"})
        description = client.get("/docs.json").json()
        asked = description["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert client.post("/predict", json=asked).status_code == 200
    assert answer["prediction"]["probability"] == outputs(models["churn"], [ROW])[0]
    (file,) = (tmp_path / "log").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        found = [
            json.loads(row[0]) for row in connection.execute("select features from predictions where request_id in ('a', 'b')")
        ]
    assert found[0] == found[1] == {"plan": found[0]["plan"], "visits": 2.0}
    assert found[0]["plan"].startswith("hmac:")
    assert (asked["row"]["plan"], asked["row"]["visits"]) == ("example", real["visits"])
    examples = description["components"]["schemas"]["Row"]["properties"]
    assert examples["plan"]["examples"] == ["example"]
    assert examples["age"]["examples"] == [asked["row"]["age"]] != [real["age"]]


def test_a_service_without_the_key_of_pseudonyms_says_so(
    shop: Home, models: dict[str, Model], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, by the variable and the columns."""
    served = promised(shop, models["churn"], tmp_path / "package")
    ModelApp(replace(served, promise={**served.promise, "privacy": {"plan": "hash"}}), log_folder=tmp_path / "log")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert "LOOPLINE_PSEUDONYM_KEY names no file" in line
    assert "plan" in line


def test_a_log_that_cannot_be_written_stops_no_answer_and_is_said(
    shop: Home, models: dict[str, Model], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is counted and said, and logging goes on as soon as it can."""
    (tmp_path / "blocked").write_text("no folder")
    app = ModelApp(promised(shop, models["churn"], tmp_path / "package"), log_folder=tmp_path / "blocked" / "log")
    lost = "loopline_prediction_log_dropped_rows_total"
    with answering(app) as client:
        assert client.post("/predict", json={"row": ROW}).status_code == 200
        until(lambda: metric(client, lost) == 1)
        (tmp_path / "blocked").unlink()
        assert client.post("/predict", json={"row": ROW}).status_code == 200
        until(lambda: list((tmp_path / "blocked" / "log").glob("*.sqlite")))
        assert client.get("/readyz").status_code == 200
    told = [json.loads(line)["problem"] for line in capsys.readouterr().err.splitlines() if '"prediction log"' in line]
    assert [text.partition(" rows")[0][-3:] for text in told] == [": 1", "; 1"]
    assert "blocked/log cannot be written (" in told[0]
    assert told[1].endswith("can be written again; 1 rows are missing")


@pytest.mark.parametrize(
    ("keep", "has_key", "kept"), [("hash", True, "hmac:"), ("hash", False, None), ("plain", False, "N14228")]
)
def test_the_log_holds_the_entity_as_declared(
    shop: Home, models: dict[str, Model], tmp_path: Path, keep: str, has_key: bool, kept: str | None
) -> None:
    """Its pseudonym, or nothing where it cannot be made; in the clear only if that is declared."""
    pseudonym_key.secret(shop)
    entity = {"name": "tail_number", "keep": keep}
    served = promised(shop, models["churn"], tmp_path / "package", entity=entity)
    secret = {"secret_file": pseudonym_key.file_of(shop)} if has_key else {}
    with answering(ModelApp(served, log_folder=tmp_path / "log", **secret)) as client:
        asked = [{"X-Entity-Key": "N14228", "X-Request-ID": f"a{number}"} for number in range(2)]
        for headers in (*asked, {"X-Request-ID": "unnamed"}):
            assert client.post("/predict", json={"row": ROW}, headers=headers).status_code == 200
        refused = client.post("/predict", json={"row": ROW}, headers={"X-Entity-Key": "two words"})
        assert metric(client, "loopline_rows_without_entity_total") == 1
    assert (refused.status_code, refused.json()["error"].partition(", the key")[0]) == (
        422,
        "The header X-Entity-Key must hold 1 to 128 letters, digits or characters of '_.:@+/=-'",
    )
    (file,) = (tmp_path / "log").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        lines = connection.execute("select entity, inputs_digest, experiment from predictions order by request_id").fetchall()
    assert lines[0] == lines[1]
    assert lines[2] == (None, lines[0][1], None)
    assert re.fullmatch("[0-9a-f]{32}", lines[0][1])
    assert lines[0][0] is None if kept is None else lines[0][0].startswith(kept)
    assert (b"N14228" in file.read_bytes()) is (keep == "plain")


def test_an_entity_that_is_not_declared_is_not_logged(churn: httpx.Client, tmp_path: Path) -> None:
    """Nor is the header looked at."""
    assert churn.post("/predict", json={"row": ROW}, headers={"X-Entity-Key": "two words"}).status_code == 200
    until(lambda: list((tmp_path / "log").glob("*.sqlite")))
    assert not any(b"two words" in path.read_bytes() for path in (tmp_path / "log").iterdir())


@pytest.mark.parametrize(("sample", "low", "high"), [(0.0, 0, 0), (0.25, 30, 70)])
def test_the_prediction_log_keeps_the_declared_share(
    shop: Home, models: dict[str, Model], tmp_path: Path, sample: float, low: int, high: int
) -> None:
    """Of 200 requests; none where none is declared."""
    app = ModelApp(promised(shop, models["churn"], tmp_path / "package", log_sample=sample), log_folder=tmp_path / "log")
    with answering(app) as client:
        for number in range(200):
            client.post("/predict", json={"row": ROW}, headers={"X-Request-ID": f"request-{number}"})
    kept = 0
    for file in (tmp_path / "log").glob("*.sqlite"):
        with closing(sqlite3.connect(file)) as connection:
            kept += connection.execute("select count(*) from predictions").fetchone()[0]
    assert low <= kept <= high


def test_concurrent_batches_are_answered_each_with_its_own_rows(churn: httpx.Client) -> None:
    """Batches that are joined come apart again."""
    found: dict[int, list[float]] = {}

    def ask(number: int) -> None:
        rows = [{**ROW, "age": 18 + number}] * (number + 1)
        answer = httpx.post(f"{churn.base_url}/predict_batch", json={"rows": rows}, timeout=30).json()
        found[number] = [item["probability"] for item in answer["predictions"]]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, given in found.items():
        alone = churn.post("/predict", json={"row": {**ROW, "age": 18 + number}}).json()["prediction"]["probability"]
        assert given == [alone] * (number + 1)


def test_what_is_too_much_is_refused_and_the_service_recovers(
    shop: Home, models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the model is busy, rows wait up to the declared number; more get 503 and when to try again."""
    served = promised(shop, models["churn"], tmp_path / "package", max_waiting_rows=100)
    busy = threading.Event()
    predict = Model.predict

    def slow(model: Model, columns: Any) -> Any:
        busy.wait(10)
        return predict(model, columns)

    statuses: list[int] = []
    with answering(ModelApp(served)) as client:
        monkeypatch.setattr(Model, "predict", slow)
        url = f"{client.base_url}/predict_batch"
        threads = [
            threading.Thread(target=lambda: statuses.append(httpx.post(url, json={"rows": [ROW] * 60}, timeout=30).status_code))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while statuses.count(503) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        refused = client.post("/predict_batch", json={"rows": [ROW] * 60})
        busy.set()
        for thread in threads:
            thread.join()
        assert client.post("/predict_batch", json={"rows": [ROW] * 60}).status_code == 200
    assert sorted(statuses) == [200, 503, 503, 503, 503, 503]
    assert refused.headers["Retry-After"] == "1"
    assert "rows wait already" in refused.json()["error"]


def test_requests_are_refused_while_the_service_lags(
    shop: Home, models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the declared delay; health is still told, and once the delay is over, all are answered again."""
    monkeypatch.setattr("bentos.app.TICK", 2.0)
    app = ModelApp(promised(shop, models["churn"], tmp_path / "package", max_lag_ms=1000))
    with answering(app) as client:
        app.lag = 10.0
        refused = client.post("/predict", json={"row": ROW})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert client.get("/livez").status_code == 200
        until(lambda: client.post("/predict", json={"row": ROW}).status_code == 200)


def test_what_takes_too_long_is_told_so(
    shop: Home, models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """504 after the declared time, and the service goes on."""
    served = promised(shop, models["churn"], tmp_path / "package", timeout_seconds=1.0)
    explain = Served.explain
    with answering(ModelApp(served)) as client:
        monkeypatch.setattr(Served, "explain", lambda self, row: (time.sleep(3), explain(self, row))[1])
        answer = client.post("/explain", json={"row": ROW})
        assert answer.status_code == 504
        assert "within 1 seconds" in answer.json()["error"]
        assert client.post("/predict", json={"row": ROW}).status_code == 200


def test_the_service_follows_the_champion_without_dropping_a_request(
    shop: Home, models: dict[str, Model], tmp_path: Path
) -> None:
    """The pointer names another bento: every request is answered, by the one or the other, and `/model` says which."""
    first = promised(shop, models["churn"], tmp_path / "first")
    other = promised(shop, trained(shop, "churn", model={**small_model(), "seed": 9}), tmp_path / "second")
    pointer = tmp_path / "champion.json"
    write_json(pointer, {"folder": "first"})
    answers: list[httpx.Response] = []
    with answering(ModelApp(first, pointer=pointer)) as client:
        going = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=client.base_url, timeout=30) as own:
                while not going.is_set():
                    answers.append(own.post("/predict", json={"row": ROW}))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        write_json(pointer, {"folder": "second"})
        until(lambda: client.get("/model").headers["X-Model-Digest"] == other.model.digest)
        going.set()
        for thread in threads:
            thread.join()

        assert {answer.status_code for answer in answers} == {200}
        for answer in answers:
            assert answer.headers["X-Model-Digest"] == answer.json()["model_digest"]
            model = first.model if answer.json()["model_digest"] == first.model.digest else other.model
            assert answer.json()["prediction"]["probability"] == outputs(model, [ROW])[0]

        model = tmp_path / "first" / "model" / "model.onnx"
        model.write_bytes(model.read_bytes()[:-1])
        write_json(pointer, {"folder": "first"})
        time.sleep(1.2)
        assert client.get("/model").headers["X-Model-Digest"] == other.model.digest, "a tampered model is not switched to"

        pointer.unlink()
        until(lambda: client.get("/readyz").status_code == 503)
        assert client.post("/predict", json={"row": ROW}).status_code == 503
        shutil.copytree(tmp_path / "second", tmp_path / "third")
        write_json(pointer, {"folder": "third"})
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/predict", json={"row": ROW}).status_code == 200


def small_model() -> dict[str, Any]:
    """The classifier's declaration, to be varied."""
    return {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "parameters": {"max_iter": 10}}

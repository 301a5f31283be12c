"""Experiments in the service: the same entity gets the same arm, others the champion, and a shadow can do no harm."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from assets.experiments import shadow_report
from assets.experiments.shadow_pairs import Period
from assets.monitoring import shadow_store
from assets.promotion.experiment_records import Arm, Stage
from assets.storage.home import Home
from assets.storage.publishing import write_json
from bentos.app import ModelApp
from bentos.arrow_batches import KIND
from bentos.log_blocks import complete
from bentos.log_encryption import LOG_KEY, PublicKey
from bentos.pseudonyms import VARIABLE
from bentos.runtime import Model
from bentos.served import Served
from bentos.shadow import Message, Shadow, read_message
from bentos.split import place_of
from tests.bentos.serving import answering, until
from tests.bentos.test_arrow_batches import stream
from tests.models import promised, trained
from tests.shop import product

ROW = {"age": 30.0, "plan": "free", "visits": 2.0}
ENTITY = {"name": "customer", "keep": "plain"}
SMALL = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"C": 0.01}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for two models."""
    return Home(tmp_path_factory.mktemp("shop") / "home").prepare()


@pytest.fixture(scope="module")
def models(shop: Home) -> tuple[Model, Model]:
    """A champion and a challenger of one product."""
    return trained(shop, "churn"), trained(shop, "churn", model=SMALL)


@pytest.fixture
def packages(shop: Home, models: tuple[Model, Model], tmp_path: Path) -> tuple[Served, Served]:
    """Their service packages."""
    one, other = (
        promised(shop, model, tmp_path / name, entity=ENTITY) for model, name in zip(models, ("first", "second"), strict=True)
    )
    return one, other


def split(share: float, **more: Any) -> dict[str, Any]:
    """What a pointer says while an experiment runs."""
    arms = [{"name": "treatment", "share": share, "folder": "second"}, {"name": "control", "share": 1 - share, "folder": None}]
    return {"folder": "first", "split": {"experiment": "trial", "salt": "s", "arms": arms}, **more}


def ask(client: httpx.Client, key: str | None, **more: Any) -> httpx.Response:
    """Ask about an entity."""
    return client.post("/predict", json={"row": ROW}, headers={} if key is None else {"X-Entity-Key": key, **more})


def lines(folder: Path, table: str) -> list[dict[str, Any]]:
    """The lines of a log's only day."""
    found: list[dict[str, Any]] = []
    for file in sorted(folder.glob("*.sqlite")):
        complete(file)
        with closing(sqlite3.connect(file)) as connection:
            connection.row_factory = sqlite3.Row
            # the file is there a moment before its table
            if connection.execute("select 1 from sqlite_master where name = ?", [table]).fetchone():
                found += [dict(line) for line in connection.execute(f"select * from {table}")]
    return found


def test_entities_are_dealt_to_arms_and_stay_there_as_a_share_grows(packages: tuple[Served, Served], tmp_path: Path) -> None:
    """Each answer is its arm's own and says so; who gives no key gets the champion and is in no arm; all is logged."""
    first, second = packages
    pointer, keys = tmp_path / "champion.json", [f"N{number}" for number in range(200)]
    write_json(pointer, split(0.2))
    app = ModelApp(first, pointer=pointer, log_folder=tmp_path / "log")
    with answering(app) as client:
        until(lambda: app.experiments.split is not None)
        small = {key: ask(client, key).headers["X-Model-Digest"] for key in keys}
        nobody = ask(client, None)
        write_json(pointer, split(0.6))
        until(lambda: app.experiments.split is not None and app.experiments.split.arms[0][0] == 0.6)
        large = {key: ask(client, key) for key in keys}
        assert client.post("/predict", json={"row": {"age": "x"}}, headers={"X-Entity-Key": "N1"}).status_code == 422
        text = client.get("/metrics").text
    treated = {key for key, digest in small.items() if digest == second.model.digest}
    assert treated == {key for key in keys if place_of("s", key) < 0.2}
    assert 20 < len(treated) < 60
    assert all(large[key].headers["X-Model-Digest"] == second.model.digest for key in treated)
    assert 90 < sum(answer.headers["X-Model-Digest"] == second.model.digest for answer in large.values()) < 150
    assert nobody.headers["X-Model-Digest"] == first.model.digest
    for answer in large.values():
        own = second if answer.headers["X-Model-Digest"] == second.model.digest else first
        _, (expected,) = own.predict([own.bodies.row(ROW)])
        assert answer.json()["prediction"] == expected
    logged = lines(tmp_path / "log", "predictions")
    assert len(logged) == 401
    assert Counter((line["arm"], line["propensity"]) for line in logged if line["arm"] == "treatment") == {
        ("treatment", 0.2): len(treated),
        ("treatment", 0.6): sum(answer.headers["X-Model-Digest"] == second.model.digest for answer in large.values()),
    }
    assert [line["experiment"] for line in logged if line["entity"] is None] == [None]
    ended = lines(tmp_path / "log" / "arms", "requests")
    assert Counter(line["status"] for line in ended) == {200: 400, 422: 1}
    assert {line["entity"] for line in ended} == set(keys)
    assert all(line["milliseconds"] > 0 for line in ended)
    assert 'loopline_arm_requests_total{arm="treatment",experiment="trial",status="200"}' in text


def test_a_pointer_that_cannot_be_followed_leaves_the_split_as_it_is(
    packages: tuple[Served, Served], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An arm whose model is not what was promised is not loaded."""
    first, second = packages
    pointer = tmp_path / "champion.json"
    write_json(pointer, {"folder": "first"})
    model = tmp_path / "second" / "model" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    app = ModelApp(first, pointer=pointer)
    with answering(app) as client:
        write_json(pointer, split(0.99))
        until(lambda: "TamperedModelError" in capfd.readouterr().err)
        assert {ask(client, f"N{number}").headers["X-Model-Digest"] for number in range(20)} == {first.model.digest}
    assert second.model.digest != first.model.digest


def test_a_champion_is_followed_though_an_arm_is_missing_until_it_is_there(
    packages: tuple[Served, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers all meanwhile; the arm is tried again."""
    monkeypatch.setattr("bentos.following.AGAIN", 0.1)
    first, second = packages
    pointer, away = tmp_path / "champion.json", tmp_path / "away"
    write_json(pointer, {"folder": "first"})
    app = ModelApp(second, pointer=pointer)
    (tmp_path / "second").rename(away)
    with answering(app) as client:
        until(lambda: app.served is not None and app.served.model.digest == first.model.digest)
        write_json(pointer, split(0.5))
        assert {ask(client, f"N{number}").headers["X-Model-Digest"] for number in range(20)} == {first.model.digest}
        away.rename(tmp_path / "second")
        until(lambda: app.experiments.split is not None)
        asked = {ask(client, f"N{number}").headers["X-Model-Digest"] for number in range(20)}
    assert asked == {first.model.digest, second.model.digest}


def test_what_is_asked_is_in_clear_nowhere_where_the_log_is_encrypted(
    packages: tuple[Served, Served], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the arm log, nor what a shadow says of a body that it cannot take; too long a body is missed."""
    first, _ = packages
    private = X25519PrivateKey.generate()
    key, secret = PublicKey(private.public_key().public_bytes_raw()), tmp_path / "secret"
    secret.write_text("5" * 64)
    monkeypatch.setenv(LOG_KEY, key.text)
    monkeypatch.setenv(VARIABLE, str(secret))
    pointer = tmp_path / "champion.json"
    write_json(pointer, split(0.5, shadow={"experiment": "trial", "folder": "second"}))
    app = ModelApp(first, pointer=pointer, log_folder=tmp_path / "log", secret_file=secret, public_key=key)
    with answering(app) as client:
        until(lambda: app.experiments.shadow is not None and app.experiments.shadow.messages is not None)
        shadow = app.experiments.shadow
        assert shadow is not None
        for number in range(10):
            ask(client, f"PLAINKEY{number}")
        shadow.offer(Message("/predict", "cannot", "PLAINKEY", b'{"row": {"plan": "very private"}}'))
        shadow.offer(Message("/predict", "long", None, b"x" * 300_000))
        until(lambda: len(lines(tmp_path / "log" / "arms", "requests")) == 21, 60)
        missed = client.get("/metrics").text.split("\nloopline_not_shadowed_requests_total ")[1].split("\n")[0]
    said = capfd.readouterr().err
    assert '"request_id":"cannot"' in said
    assert "very private" not in said
    assert float(missed) == 1
    for file in (tmp_path / "log").rglob("*.sqlite*"):
        assert b"PLAINKEY" not in file.read_bytes(), file
    assert len({line["entity"] for line in lines(tmp_path / "log" / "arms", "requests")}) == 11


def test_a_shadow_answers_the_same_and_is_only_logged(packages: tuple[Served, Served], tmp_path: Path) -> None:
    """Single rows and batches; it ends with the experiment."""
    first, second = packages
    pointer = tmp_path / "champion.json"
    write_json(pointer, {"folder": "first", "shadow": {"experiment": "trial", "folder": "second"}})
    app = ModelApp(first, pointer=pointer, log_folder=tmp_path / "log")
    with answering(app) as client:
        until(lambda: app.experiments.shadow is not None and app.experiments.shadow.process is not None)
        assert app.experiments.shadow is not None
        process = app.experiments.shadow.process
        assert process is not None
        asked = [ask(client, f"N{number}", **{"X-Request-Id": f"r{number}"}) for number in range(20)]
        rows = [{**ROW, "age": 20.0 + number} for number in range(10)]
        asked.append(client.post("/predict_batch", json={"rows": rows}, headers={"X-Request-Id": "batch"}))
        tensors = [
            {"name": name, "shape": [10], "datatype": kind, "data": [row[name] for row in rows]}
            for name, kind in (("age", "FP64"), ("plan", "BYTES"), ("visits", "FP64"))
        ]
        asked.append(client.post("/v2/models/churn/infer", json={"id": "tensors", "inputs": tensors}))
        assert {answer.headers["X-Model-Digest"] for answer in asked} == {first.model.digest}
        until(lambda: len(lines(tmp_path / "log" / "shadow", "predictions")) == 40, 60)
        write_json(pointer, {"folder": "first"})
        until(lambda: process.poll() is not None)
    found = {(line["request_id"], line["row_number"]): line for line in lines(tmp_path / "log" / "shadow", "predictions")}
    _, answers = second.predict([second.bodies.row(row) for row in rows])
    for number, answer in enumerate(answers):
        assert json.loads(found["batch", number]["prediction"]) == answer
        assert json.loads(found["tensors", number]["prediction"]) == answer
    assert {(line["arm"], line["model_digest"]) for line in found.values()} == {("shadow", second.model.digest)}
    assert {line["entity"] for line in found.values()} == {*(f"N{number}" for number in range(20)), None}
    assert Counter(line["status"] for line in lines(tmp_path / "log" / "arms", "requests")) == {200: 22}


def test_what_a_service_and_its_shadow_log_is_compared(shop: Home, packages: tuple[Served, Served], tmp_path: Path) -> None:
    """Row by row, the decisions as each model makes them; a request that the shadow cannot answer is its error."""
    first, second = packages
    log, pointer = shop.served / "churn", tmp_path / "champion.json"
    write_json(pointer, {"folder": "first", "shadow": {"experiment": "trial", "folder": "second"}})
    app = ModelApp(first, pointer=pointer, log_folder=log)
    began = datetime.now(UTC)
    rows = [{"age": 20.0 + number, "plan": ("free", "pro")[number % 2], "visits": float(number % 9)} for number in range(60)]
    with answering(app) as client:
        shadow = app.experiments.shadow
        assert shadow is not None
        until(lambda: shadow.process is not None)
        for number, row in enumerate(rows[:40]):
            assert client.post("/predict", json={"row": row}, headers={"X-Entity-Key": f"N{number % 7}"}).status_code == 200
        assert client.post("/predict_batch", json={"rows": rows[40:]}).status_code == 200
        until(lambda: len(lines(shadow_store.folder(shop, "churn"), "predictions")) == 60, 60)
        shadow.offer(Message("/predict", "broken", None, b"no row"))
        until(lambda: len(lines(log / "arms", "requests")) == 42, 60)
    arms = Arm("new", 1, second.model.digest, 0.0), Arm("control", 1, first.model.digest, 1.0)
    stage = Stage("trial", "shadow", "s", arms, began.isoformat(), began.isoformat(), {}, {})
    record = shadow_report.compared(shop, product("churn"), stage, Period(began, datetime.now(UTC)))
    said = [
        [answer["is_positive"] for answer in served.predict([served.bodies.row(row) for row in rows])[1]] for served in packages
    ]
    counts = record["counts"]
    assert (counts["compared_requests"], counts["compared_rows"], counts["units"]) == (41, 60, 8)
    assert (counts["missed_requests"], counts["errors"], counts["shadow_requests"]) == (0, 1, 42)
    assert record["decisions"]["rows"] == sum(one != other for one, other in zip(*said, strict=True))
    assert record["latency"]["single_row"]["requests"] == 40
    assert not record["is_fit"]


@pytest.mark.usefixtures("packages")
def test_an_arrow_batch_is_missed_by_the_shadow_and_no_error_of_it(
    shop: Home, models: tuple[Model, Model], tmp_path: Path
) -> None:
    """It reads JSON alone; the request is answered and counted."""
    first = promised(shop, models[0], tmp_path / "arrow", entity=ENTITY, arrow=True)
    pointer = tmp_path / "champion.json"
    write_json(pointer, {"folder": "arrow", "shadow": {"experiment": "trial", "folder": "second"}})
    app = ModelApp(first, pointer=pointer, log_folder=tmp_path / "log")
    with answering(app) as client:
        shadow = app.experiments.shadow
        assert shadow is not None
        until(lambda: shadow.process is not None)
        body = stream(pa.Table.from_pylist([ROW, ROW]))
        answer = client.post("/predict_batch", content=body, headers={"Content-Type": KIND.decode()})
        assert (answer.status_code, ask(client, "N1").status_code) == (200, 200)
        until(lambda: len(lines(tmp_path / "log" / "shadow", "predictions")) == 1, 60)
        assert "\nloopline_not_shadowed_requests_total 1.0\n" in client.get("/metrics").text
    assert [line["status"] for line in lines(tmp_path / "log" / "arms", "requests")] == [200]


def test_a_shadow_that_is_killed_or_hangs_costs_no_request(
    packages: tuple[Served, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that it misses are counted; after a while it is there again."""
    monkeypatch.setattr("bentos.companion.AGAIN", 0.2)
    first, _ = packages
    pointer = tmp_path / "champion.json"
    write_json(pointer, {"folder": "first", "shadow": {"experiment": "trial", "folder": "second"}})
    app = ModelApp(first, pointer=pointer, log_folder=tmp_path / "log")
    with answering(app) as client:
        shadow = app.experiments.shadow
        assert shadow is not None
        until(lambda: shadow.process is not None)
        for end in (signal.SIGSTOP, signal.SIGKILL):
            assert shadow.process is not None
            os.kill(shadow.process.pid, end)
            statuses = [client.post("/predict_batch", json={"rows": [ROW] * 1000}).status_code for _ in range(40)]
            assert set(statuses) == {200}
        until(lambda: shadow.process is not None and shadow.process.poll() is None)
        before = len(lines(tmp_path / "log" / "shadow", "predictions"))

        def answered_again() -> bool:
            ask(client, "N1")
            return len(lines(tmp_path / "log" / "shadow", "predictions")) > before

        until(answered_again, 60)
        dropped = client.get("/metrics").text.split("\nloopline_not_shadowed_requests_total ")[1].split("\n")[0]
    assert float(dropped) > 0


def test_an_arm_answers_what_it_was_asked_bit_by_bit(packages: tuple[Served, Served]) -> None:
    """Messages to the shadow hold the body as it came."""
    body = bytes(np.random.default_rng(1).integers(0, 256, 1000, dtype=np.uint8)) + b"\n \n"
    for entity in (None, "a:b/c"):
        message = Message("/predict", "id-1", entity, body)
        assert read_message(message.content) == message
    assert packages[0].assignment is None


def test_a_shadow_ends_with_its_service(packages: tuple[Served, Served], tmp_path: Path) -> None:
    """Also with one that is killed: nobody is left who could close its socket."""
    assert packages
    program = (
        "import sys, time; from pathlib import Path; from bentos.shadow import Shadow\n"
        f"shadow = Shadow(Path({str(tmp_path / 'second')!r}), 'trial', Path({str(tmp_path / 'log')!r})); shadow.look()\n"
        "print(shadow.process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        pid = int(service.stdout.readline())
        service.kill()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 30)


def test_a_shadow_is_asked_nothing_before_it_is_there(tmp_path: Path) -> None:
    """Nor where its package is broken: each request is counted as missed."""
    missed: list[int] = []
    problems: list[str] = []
    shadow = Shadow(tmp_path / "nowhere", "trial", tmp_path / "log", lambda: missed.append(1), problems.append)
    shadow.offer(Message("/predict", "r", None, b"{}"))
    assert missed == [1]
    shadow.look()

    def problem() -> bool:
        shadow.look()
        return bool(problems)

    until(problem)
    assert "ended with code 1" in problems[0]
    shadow.close()

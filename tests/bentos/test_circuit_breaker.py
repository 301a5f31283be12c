"""The circuit breaker: when it opens, how often it does so by chance, and that it closes again by itself."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from assets.methods.circuit_breaker import MILLION, returns_at, trips_at
from assets.monitoring import logged_requests
from assets.observability import prometheus_rules
from assets.storage.home import Home
from bentos.app import ModelApp
from bentos.circuit_breaker import CLOSED, HALF_OPEN, MOST_ROWS, OPEN, CircuitBreaker
from bentos.runtime import Model
from tests.bentos.serving import answering
from tests.models import promised
from tests.shop import product

RANGES = {"x": {"low": 0.0, "high": 1.0, "is_missing": False}}
IN, OUT = (0.5,), (2.0,)
SHOP = {
    "age": {"low": 18.0, "high": 90.0, "is_missing": False},
    "plan": {"known": ["basic", "free", "pro"], "is_missing": False},
    "visits": {"low": 0.0, "high": 15.0, "is_missing": True},
}
ROW = {"age": 30.0, "plan": "free", "visits": 2.0}
STRANGE = {**ROW, "plan": "gold"}


def breaker(window: int, share: float, false_trips: float, **more: Any) -> CircuitBreaker:
    """One that tolerates a share."""
    least = trips_at(window, share, false_trips)
    assert least is not None
    record = {"ranges": RANGES, "window_rows": window, "trips_at": least, "returns_at": returns_at(window, share)}
    return CircuitBreaker(record, ["x"], **more)


@pytest.mark.parametrize("window", [20, 200, 1000])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3])
@pytest.mark.parametrize("false_trips", [0.01, 100.0])
def test_the_count_is_the_smallest_that_is_rare_enough(window: int, share: float, false_trips: float) -> None:
    """By the exact binomial tail."""
    found = trips_at(window, share, false_trips)
    assert found is not None
    assert binom.sf(found - 1, window, share) <= false_trips / MILLION < binom.sf(found - 2, window, share)


def test_it_opens_by_chance_no_more_often_than_declared() -> None:
    """A million rows at the tolerated share, in requests of several sizes; and it does open, so the bound is not idle."""
    declared, share, random = 400.0, 0.1, np.random.default_rng(11)
    opened: list[str] = []
    made = breaker(50, share, declared, on_change=lambda state, _: opened.append(state))
    is_out = random.random(MILLION) < share
    start = 0
    for size in itertools.cycle([1, 7, 40]):
        rows = [OUT if out else IN for out in is_out[start : start + size]]
        if not rows:
            break
        made.look(rows)
        start += size
    trips = opened.count(OPEN)
    # of an expectation of at most 400; a Poisson variable of it is below 480 in all but 1 of 10,000 draws
    assert 20 < trips < 480


def test_it_opens_half_opens_and_closes() -> None:
    """Open at the count, half open after a window that is as it was, closed after another; or open again."""
    states: list[tuple[str, dict[str, int]]] = []
    made = breaker(20, 0.05, 0.01, on_change=lambda state, features: states.append((state, dict(features))))
    assert made.trips_at == 11
    assert not any(made.look([OUT]) for _ in range(10))
    assert made.look([OUT])
    assert (made.state, states) == (OPEN, [(OPEN, {"x": 11})])
    assert all(made.look([IN]) for _ in range(19))
    assert not made.look([IN])
    assert made.state == HALF_OPEN
    assert [made.look([row]) for row in (IN, OUT, IN)] == [False, True, False]
    assert made.look([OUT] * 10)
    assert made.state == OPEN
    for _ in range(40):
        made.look([IN])
    assert made.state == CLOSED
    assert [state for state, _ in states] == [OPEN, HALF_OPEN, OPEN, HALF_OPEN, CLOSED]


def test_it_stays_open_while_more_than_what_is_tolerated_is_out_of_range() -> None:
    """Also where that is less than what opened it."""
    made = breaker(20, 0.05, 0.01)
    made.look([OUT] * 20)
    for _ in range(200):
        assert made.look([OUT if number % 5 == 0 else IN for number in range(20)])


def test_of_a_large_request_some_rows_are_looked_at_all_over_it() -> None:
    """And they are as many as a small one's are at most."""
    made = breaker(200, 0.05, 0.01)
    made.look([IN] * 900 + [OUT] * 100)
    assert (len(made.window), made.count) == (MOST_ROWS, 5)


def states(client: httpx.Client) -> tuple[float, float]:
    """What the metrics say of the breaker, and of rows that the fallback answered."""
    text = client.get("/metrics").text
    names = ('loopline_fallback{reason="breaker"}', 'loopline_predicted_rows_total{version="fallback"}')
    found = [re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE) for name in names]
    return tuple(0.0 if item is None else float(item[1]) for item in found)  # type: ignore[return-value]


@pytest.fixture
def app(shop: Home, models: dict[str, Model], tmp_path: Path) -> ModelApp:
    """A service with a breaker of 20 rows, which opens at 11, and a prediction log in the home."""
    record = {
        "otherwise": [0.9, 0.1],
        "reach": None,
        "breaker": {"ranges": SHOP, "window_rows": 20, "trips_at": 11, "returns_at": 1},
    }
    served = promised(shop, models["churn"], tmp_path / "package", fallback=record, arrow=True)
    return ModelApp(served, log_folder=Home(tmp_path / "home").prepare().served / "churn")


def test_a_service_falls_back_and_comes_back(app: ModelApp, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The request that opens it is answered by the fallback already; answers, log, metrics and the service's log say so."""

    def ask(row: dict[str, Any], name: str) -> str | None:
        answer = client.post("/predict", json={"row": row}, headers={"X-Request-ID": name})
        told: str | None = answer.headers.get("x-model-fallback")
        assert answer.json().get("fallback") == told
        assert (answer.json()["prediction"]["probability"] == 0.1) == (told is not None)
        return told

    with answering(app) as client:
        assert [ask(STRANGE, f"strange{number}") for number in range(11)] == [None] * 10 + ["breaker"]
        assert states(client) == (1.0, 1.0)
        assert client.get("/model").json()["fallback"] == "breaker"
        assert [ask(ROW, f"open{number}") for number in range(20)] == ["breaker"] * 20
        assert states(client)[0] == 0.5
        assert [ask(ROW, "half"), ask(STRANGE, "strange-half"), ask(ROW, "half again")] == [None, "breaker", None]
        assert [ask(ROW, f"closing{number}") for number in range(20)] == [None] * 20
        assert states(client) == (0.0, 22.0)
    lines = {line["request_id"]: line["fallback"] for line in logged_requests.latest(Home(tmp_path / "home"), "churn")}
    named = ("strange9", "strange10", "open0", "half", "strange-half", "closing0")
    assert [lines[name] for name in named] == [None, "breaker", "breaker", None, "breaker", None]
    told = capfd.readouterr().err
    assert '"event":"breaker","state":"open","rows_out_of_range":{"plan":11}' in told
    assert '"state":"closed"' in told


def test_batches_in_any_form_open_it(app: ModelApp) -> None:
    """At once, where enough of their rows are out of range; a person's word goes before it."""
    with answering(app) as client:
        many = client.post("/predict_batch", json={"rows": [STRANGE] * 12})
        assert many.headers["x-model-fallback"] == many.json()["fallback"] == "breaker"
        app.fallbacks.follow(app.served, is_wanted=True)
        assert client.post("/predict", json={"row": ROW}).headers["x-model-fallback"] == "mitigation"
        app.fallbacks.follow(app.served, is_wanted=False)
        assert app.fallbacks.breaker is not None
        for _ in range(3):
            client.post("/predict_batch", json={"rows": [ROW] * 20})
        assert app.fallbacks.breaker.state == CLOSED
        sink, rows = pa.BufferOutputStream(), [{**ROW, "age": 100.0}] * 12
        table = pa.table({name: [row[name] for row in rows] for name in ROW})
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        kind = {"content-type": "application/vnd.apache.arrow.stream"}
        answer = client.post("/predict_batch", content=sink.getvalue().to_pybytes(), headers=kind)
        assert answer.headers["x-model-fallback"] == "breaker"


def test_half_open_a_row_is_explained_by_who_answers_it(app: ModelApp) -> None:
    """And that it was explained counts for nothing."""
    with answering(app) as client:
        client.post("/predict_batch", json={"rows": [STRANGE] * 12})
        client.post("/predict_batch", json={"rows": [ROW] * 20})
        assert app.fallbacks.breaker is not None
        assert app.fallbacks.breaker.state == HALF_OPEN
        seen = len(app.fallbacks.breaker.window)
        for row in (ROW, STRANGE):
            explained, asked = (client.post(path, json={"row": row}) for path in ("/explain", "/predict"))
            assert explained.headers.get("x-model-fallback") == asked.headers.get("x-model-fallback")
            assert explained.json()["model_digest"] == asked.json()["model_digest"]
            assert explained.json()["prediction"]["probability"] == asked.json()["prediction"]["probability"]
        assert len(app.fallbacks.breaker.window) == seen + 2


def test_the_same_champions_breaker_goes_on(app: ModelApp, shop: Home, models: dict[str, Model], tmp_path: Path) -> None:
    """When a pointer is read again; another champion's begins closed, and one without has none."""
    assert app.served is not None
    assert app.fallbacks.breaker is not None
    app.fallbacks.breaker.look([tuple(STRANGE.values())] * 12)
    app.switch(app.served)
    assert app.fallbacks.breaker.state == OPEN
    app.switch(promised(shop, models["churn"], tmp_path / "without"))
    assert app.fallbacks.breaker is None


def test_an_alert_tells_that_it_is_open() -> None:
    """Also while it is half open."""
    (rules,) = prometheus_rules.rules([product("churn")])["groups"][:1]
    (rule,) = [rule for rule in rules["rules"] if rule["alert"] == "FallbackAnswers"]
    assert rule["expr"] == 'max by (reason) (loopline_fallback{product="churn"}) > 0'

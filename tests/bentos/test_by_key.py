"""Requests by key: the same answers as rows, freshness, what is refused, and both stores, over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from assets.errors import FeatureStoreError
from assets.features import online_store
from assets.features.online_store import Credentials, fill, path_of
from assets.serving.online_promise import online_promise
from assets.spec import ProductSpec
from assets.storage.home import Home
from bentos.app import ModelApp
from bentos.direct_predictions import DirectPredictions
from bentos.direct_protocol import DirectProtocol
from bentos.online_store import OnlineStore, RedisStore, SqliteStore
from bentos.served import Served
from tests.assets.features.online_world import NOW, meters, published, readings
from tests.bentos.serving import answering
from tests.models import promised, trained
from tests.redis_server import PASSWORD, RunningRedis, redis_server
from tests.shop import customers, product

ONLINE: dict[str, Any] = {"request": ["visits"]}


def shop(**online: Any) -> ProductSpec:
    """Customers by their number; only a request knows their visits."""
    return product("churn", serving={"online": {**ONLINE, **online}})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the snapshot of the shop's customers, and a model."""
    made = Home(tmp_path_factory.mktemp("shop") / "home").prepare()
    frame = customers()
    # the last of them signed up an hour ago
    frame["signed_up_at"] += NOW.replace(tzinfo=None) - timedelta(hours=1) - frame["signed_up_at"].max()
    published(made, shop(), frame)
    fill(made, shop(), NOW)
    return made


@pytest.fixture(scope="module")
def model(home: Home) -> Any:
    """A model of the shop."""
    return trained(home, "churn")


@pytest.fixture
def served(home: Home, model: Any, tmp_path: Path) -> Served:
    """What a service answers from that looks features up."""
    return keyed(promised(home, model, tmp_path / "package"), shop())


def keyed(served: Served, spec: ProductSpec) -> Served:
    """The same, packaged with the online store that a product declares."""
    return replace(served, promise={**served.promise, "online": online_promise(spec)})


@pytest.fixture(scope="module")
def redis() -> Iterator[RunningRedis]:
    """A Redis with a password."""
    with redis_server() as running:
        if running is None:
            pytest.skip("redis-server is not installed")
        yield running


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, home: Home) -> OnlineStore:
    """The filled store of the shop, of each kind."""
    if request.param == "sqlite":
        return SqliteStore(path_of(home, "churn"))
    running: RunningRedis = request.getfixturevalue("redis")
    fill(home, shop(store=running.address), NOW, Credentials(password=PASSWORD))
    return RedisStore(running.address, "churn", password=PASSWORD)


def asked(client: httpx.Client, key: Any, **features: Any) -> httpx.Response:
    """An answer by key."""
    return client.post("/predict_by_key", json={"key": key, **({"features": features} if features else {})})


def test_a_key_is_answered_as_its_row_is(served: Served, store: OnlineStore) -> None:
    """Also where a feature of the request is missing; the answer says since when the features are known."""
    rows = customers()
    with answering(ModelApp(served, online=store)) as client:
        for place in (0, 7, 1999):
            row = rows.iloc[place]
            whole = {"age": float(row["age"]), "plan": row["plan"], "visits": 2.0}
            found = asked(client, {"customer_id": row["customer_id"]}, visits=2.0)
            by_row = client.post("/predict", json={"row": whole}).json()
            assert found.status_code == 200
            freshness = found.json().pop("freshness")
            assert {**by_row, "freshness": freshness} == found.json()
            assert freshness["missing"] == []
            assert freshness["age_seconds"] >= 3600
            without = asked(client, {"customer_id": row["customer_id"]}).json()["prediction"]
            assert without == client.post("/predict", json={"row": {**whole, "visits": None}}).json()["prediction"]
        assert datetime.fromisoformat(freshness["features_known_at"]) == NOW - timedelta(hours=1)


def in_one_piece(port: int, body: bytes, number: int) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send a request whose body arrives with its head, as that of a load balancer; the reply."""
    head = f"POST /predict_by_key HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {number}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        with HTTPResponse(connection, method="POST") as response:
            response.begin()
            told = {name: value for name, value in response.getheaders() if name.lower() not in ("date", "content-length")}
            return response.status, told, json.loads(response.read())


def test_a_request_by_key_is_answered_alike_directly_and_by_asgi(
    served: Served, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is good, unknown or wrong: status, headers and body but for the moment, and what is logged."""
    bodies = [{"key": {"customer_id": f"C{number:05d}"}, "features": {"visits": 1.5}} for number in range(30)]
    bodies += [{"key": {"customer_id": "nobody"}}, {"key": {}}, {"key": {"customer_id": 7}}, {"features": {"visits": 1.0}}]
    bodies += [{"key": {"customer_id": "C00001"}, "features": {"age": 3}}]
    directly: list[str] = []
    before = DirectPredictions.answer

    def answer(self: DirectPredictions, path: str, *given: Any) -> None:
        directly.append(path)
        before(self, path, *given)

    monkeypatch.setattr(DirectPredictions, "answer", answer)
    found, logged = [], []
    for name, protocol in (("asgi", HttpToolsProtocol), ("direct", DirectProtocol)):
        app = ModelApp(served, online=SqliteStore(path_of(home, "churn")), log_folder=tmp_path / name)
        replies = []
        with answering(app, protocol) as client:
            for number, body in enumerate(bodies):
                status, headers, told = in_one_piece(client.base_url.port or 0, json.dumps(body).encode(), number)
                told.get("freshness", {}).pop("age_seconds", None)
                replies.append((status, headers, told))
        found.append(replies)
        (file,) = (tmp_path / name).glob("*.sqlite")
        with closing(sqlite3.connect(file)) as connection:
            logged.append(connection.execute("select request_id, features, prediction from predictions order by 1").fetchall())
        assert len(directly) == (0 if name == "asgi" else len(bodies))
    assert found[0] == found[1]
    assert logged[0] == logged[1]
    assert len(logged[0]) == 30
    assert {status for status, *_ in found[0]} == {200, 404, 422}


def test_the_log_says_what_was_looked_up(served: Served, home: Home, tmp_path: Path) -> None:
    """Key, moment, snapshot and filling stand beside the features."""
    store = SqliteStore(path_of(home, "churn"))
    with answering(ModelApp(served, online=store, log_folder=tmp_path / "log")) as client:
        asked(client, {"customer_id": "C00003"}, visits=1.0)
        client.post("/predict", json={"row": {"age": 30.0, "plan": "free"}})
    (file,) = (tmp_path / "log").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        by_key, by_row = connection.execute("select features, looked_up from predictions order by rowid").fetchall()
    told = json.loads(by_key[1])
    assert by_row[1] is None
    assert json.loads(by_key[0])["visits"] == 1.0
    assert told["key"] == {"customer_id": "C00003"}
    assert told["request"] == ["visits"]
    assert told["snapshot"] == json.loads((home.snapshots / "churn" / "current.json").read_text())["digest"]
    assert told["filled_at"] == NOW.isoformat(timespec="microseconds")


def test_a_private_key_is_hashed_in_the_log(served: Served, home: Home, tmp_path: Path) -> None:
    """As `privacy` declares; without the home's secret it is dropped."""
    spec = product("churn", serving={"online": ONLINE}, privacy={"customer_id": "hash"})
    with answering(
        ModelApp(keyed(served, spec), online=SqliteStore(path_of(home, "churn")), log_folder=tmp_path / "log")
    ) as client:
        asked(client, {"customer_id": "C00003"})
    (file,) = (tmp_path / "log").glob("*.sqlite")
    assert b"C00003" not in file.read_bytes()


@pytest.mark.parametrize(
    ("key", "status", "told"),
    [
        ({"customer_id": "nobody"}, 404, "No features are known of customer_id nobody"),
        ({"customer_id": 7}, 422, "key.customer_id: Input should be a valid string"),
        ({"customer": "C00003"}, 422, "key.customer_id: Field required"),
        ("C00003", 422, "key: Input should be an object"),
        ({"customer_id": ""}, 422, "key.customer_id: String should have at least 1 character"),
    ],
)
def test_a_key_that_cannot_be_asked_is_one_error(served: Served, store: OnlineStore, key: Any, status: int, told: str) -> None:
    """Unknown, of another type, of another name."""
    with answering(ModelApp(served, online=store)) as client:
        found = asked(client, key, visits=1.0)
    assert (found.status_code, told in found.json()["error"]) == (status, True), found.text


def test_a_looked_up_feature_may_not_come_with_the_request(served: Served, home: Home) -> None:
    """And a value out of its range is refused by its name."""
    with answering(ModelApp(served, online=SqliteStore(path_of(home, "churn")))) as client:
        extra = asked(client, {"customer_id": "C00003"}, age=3.0)
        beyond = asked(client, {"customer_id": "C00003"}, visits=1e9)
    assert (extra.status_code, "features.age: Extra inputs are not permitted" in extra.json()["error"]) == (422, True)
    assert (beyond.status_code, beyond.json()["fields"][0]["field"]) == (422, "features.visits")


def test_stale_features_are_refused_or_left_out_as_declared(home: Home, model: Any, tmp_path: Path) -> None:
    """The last customer signed up an hour ago; the model needs plan and age, so without them it cannot answer."""
    served = promised(home, model, tmp_path / "package")
    store = SqliteStore(path_of(home, "churn"))
    key = {"customer_id": "C01999"}
    with answering(ModelApp(keyed(served, shop(ttl_hours=2)), online=store)) as client:
        assert asked(client, key).status_code == 200
    with answering(ModelApp(keyed(served, shop(ttl_hours=0.5)), online=store)) as client:
        refused = asked(client, key)
    assert refused.status_code == 422
    assert "Features are too old: age, plan were known 1." in refused.json()["error"]
    with pytest.raises(ValueError, match=r"answers without stale features .*, but the model needs \['age', 'plan'\]"):
        shop(ttl_hours=0.5, stale="missing")


def test_stale_features_are_missing_where_the_model_can_do_without(home: Home, tmp_path: Path) -> None:
    """The answer is that of the row without them, and says so."""
    groups = {"all": {name: {"max_missing": 0.3} for name in ("age", "plan", "visits")}}
    parts = {"features": {"entity": "customer_id", "event_time": "signed_up_at", "groups": groups}}
    made = trained(home, "churn", **parts)
    spec = product("churn", **parts, serving={"online": {"request": ["visits"], "ttl_hours": 0.5, "stale": "missing"}})
    served = keyed(promised(home, made, tmp_path / "package"), spec)
    with answering(ModelApp(served, online=SqliteStore(path_of(home, "churn")))) as client:
        found = asked(client, {"customer_id": "C01999"}, visits=2.0).json()
        assert found["freshness"]["missing"] == ["age", "plan"]
        assert found["prediction"] == client.post("/predict", json={"row": {"visits": 2.0}}).json()["prediction"]


def test_a_service_reads_the_store_that_took_the_place_of_another(home: Home, served: Served) -> None:
    """From the next request on; a store of another declaration is refused."""
    spec = shop()
    store = SqliteStore(home.online / "moving" / "features.sqlite")
    with answering(ModelApp(served, online=store)) as client:
        assert "cannot be read (FileNotFoundError)" in asked(client, {"customer_id": "C00003"}).json()["error"]
        store.path.parent.mkdir()  # type: ignore[union-attr]
        store.path.write_bytes(path_of(home, "churn").read_bytes())  # type: ignore[union-attr]
        assert asked(client, {"customer_id": "C00003"}).status_code == 200
        other = Home(home.root.parent / "other").prepare()
        published(other, meters(), readings())
        fill(other, meters(), NOW)
        path_of(other, "meters").replace(store.path)  # type: ignore[arg-type]
        found = asked(client, {"customer_id": "C00003"})
    assert (found.status_code, "was filled for meters by meter" in found.json()["error"]) == (503, True)
    assert spec.serving.online is not None


def test_a_redis_that_refuses_or_is_gone_is_one_error(home: Home, served: Served) -> None:
    """For who fills, and for who asks; the password stands in no error."""
    with redis_server() as running:
        if running is None:
            pytest.skip("redis-server is not installed")
        declared = shop(store=running.address)
        with pytest.raises(
            FeatureStoreError, match=r"cannot be filled \(AuthenticationError: .*LOOPLINE_REDIS_PASSWORD"
        ) as error:
            fill(home, declared, NOW, Credentials(password="wrong secret"))
        assert "wrong secret" not in str(error.value)
        store = RedisStore(running.address, "churn", password=PASSWORD)
        with answering(ModelApp(served, online=store)) as client:
            assert "cannot be read (it is empty)" in asked(client, {"customer_id": "C00003"}).json()["error"]
            fill(home, declared, NOW, Credentials(password=PASSWORD))
            assert asked(client, {"customer_id": "C00003"}).status_code == 200
            running.process.kill()
            running.process.wait()
            gone = asked(client, {"customer_id": "C00003"})
            assert (gone.status_code, "cannot be read (ConnectionError)" in gone.json()["error"]) == (503, True)
        with pytest.raises(FeatureStoreError, match="Start Redis"):
            fill(home, declared, NOW, Credentials(password=PASSWORD))


def test_a_key_of_decimals_is_the_number_that_a_request_gives(tmp_path: Path) -> None:
    """As a relation of the warehouse may hold it."""
    made = Home(tmp_path / "home").prepare()
    published(made, shop(), customers(50).assign(customer_id=[Decimal(number) for number in range(50)]))
    fill(made, shop(), NOW)
    _, row = asyncio.run(SqliteStore(path_of(made, "churn")).read(online_store.key_text([7])))
    assert row is not None


def test_two_machines_that_fill_at_once_do_not_mix_their_rows(home: Home, redis: RunningRedis) -> None:
    """Who ends last is what is served, whole; nothing of it expires, and a draft that nobody ends does."""
    import redis as client_of

    declared, credentials = shop(store=redis.address), Credentials(password=PASSWORD)
    with client_of.Redis.from_url(redis.address, password=PASSWORD, decode_responses=True) as client:

        def meanwhile(filled: Any) -> None:
            (draft,) = client.keys("loopline:features:churn:draft*")
            assert 0 < client.ttl(draft) <= 3600
            fill(home, declared, NOW + timedelta(minutes=1), credentials)

        made = fill(home, declared, NOW, credentials, meanwhile)
        assert json.loads(client.hget("loopline:features:churn", ""))["filled_at"] == made.filling.filled_at
        assert client.hlen("loopline:features:churn") == made.filling.rows + 1
        assert client.ttl("loopline:features:churn") == -1
        assert client.keys("*draft*") == []


def test_a_filling_that_fails_leaves_what_was_there(home: Home, redis: RunningRedis) -> None:
    """Of either kind: who is told of it may refuse it."""
    import redis as client_of

    def refuse(filled: online_store.Filled) -> None:
        raise FeatureStoreError(f"{filled.filling.rows} rows are refused")

    before = path_of(home, "churn").read_bytes()
    declared = shop(store=redis.address)
    fill(home, declared, NOW, Credentials(password=PASSWORD))
    with client_of.Redis.from_url(redis.address, password=PASSWORD) as client:
        held = client.hgetall("loopline:features:churn")
        for spec in (shop(), declared):
            with pytest.raises(FeatureStoreError, match="2000 rows are refused"):
                fill(home, spec, NOW + timedelta(hours=1), Credentials(password=PASSWORD), refuse)
        assert client.hgetall("loopline:features:churn") == held
        assert client.keys("*draft*") == []
    assert path_of(home, "churn").read_bytes() == before


def test_the_description_has_the_path_where_there_is_a_store(served: Served, home: Home, tmp_path: Path) -> None:
    """With an example that is decoded, and without where nothing is looked up."""
    with answering(ModelApp(served, online=SqliteStore(path_of(home, "churn")))) as client:
        described = client.get("/docs.json").json()["paths"]["/predict_by_key"]["post"]
        example = described["requestBody"]["content"]["application/json"]["example"]
        assert client.post("/predict_by_key", json=example).status_code == 404
    plain = replace(served, promise={**served.promise, "online": None})
    with answering(ModelApp(plain)) as client:
        assert "/predict_by_key" not in client.get("/docs.json").json()["paths"]
        assert client.post("/predict_by_key", json=example).status_code == 404

"""The gate over real HTTP: who may ask what, under which name, how often; what refusals tell, and who is named in the log."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest

from assets.serving import api_keys
from assets.serving.service_access import AccessOptions, variables
from assets.storage.home import Home
from bentos import api_keys as stored_keys
from bentos.access import Access, bare_host
from bentos.access_settings import AccessSettings, AccessSettingsError
from bentos.app import ModelApp
from bentos.runtime import Model
from tests.bentos.serving import answering, free_port, until
from tests.models import promised, trained

PRODUCT = "churn"
ROW = {"age": 30.0, "plan": "free", "visits": 2.0}
STATIC = Path(bentoml.__file__).parent / "_internal" / "server" / "static_content"
PREDICTED = ("/predict", "/predict_batch", "/explain")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for the shop's model."""
    return Home(tmp_path_factory.mktemp("shop") / "home").prepare()


@pytest.fixture(scope="module")
def model(shop: Home) -> Model:
    """The model that answers."""
    return trained(shop, PRODUCT)


class Shop:
    """A service of the shop behind its gate, with keys of its own."""

    def __init__(self, shop: Home, model: Model, folder: Path) -> None:
        self.models, self.model, self.folder = shop, model, folder
        self.home = Home(folder / "keys_home").prepare()
        self.log = folder / "log"

    def key(self, scope: str = "predict", **more: Any) -> str:
        """A new key's token."""
        return api_keys.create(self.home, PRODUCT, scope, datetime.now(UTC), **more)[0]

    @contextmanager
    def open(self, **options: Any) -> Iterator[httpx.Client]:
        """A client of the running service."""
        told = variables(self.home, PRODUCT, AccessOptions("127.0.0.1", **options), datetime.now(UTC))
        package = self.folder / f"package{len(list(self.folder.iterdir()))}"
        app = ModelApp(promised(self.models, self.model, package), log_folder=self.log, static=STATIC)
        with answering(AccessSettings.of(told, PRODUCT).guard(app.asgi(), app.metrics)) as client:
            yield client


@pytest.fixture
def service(shop: Home, model: Model, tmp_path: Path) -> Shop:
    """A service to be opened, with no key yet."""
    return Shop(shop, model, tmp_path)


def bearer(token: str, **more: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {token}", **more}


def ask(client: httpx.Client, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Ask a path what it takes."""
    if path not in PREDICTED:
        return client.get(path, headers=headers)
    return client.post(path, json={"rows": [ROW]} if path == "/predict_batch" else {"row": ROW}, headers=headers)


def test_without_keys_the_loopback_answers_as_ever(service: Shop) -> None:
    """All paths, also where another service's key is sent along."""
    with service.open() as client:
        for path in (*PREDICTED, "/model", "/metrics", "/docs.json", "/", "/readyz"):
            assert ask(client, path).status_code == 200, path
            assert ask(client, path, bearer("of something else")).status_code == 200, path


def test_a_key_may_do_what_its_scope_says(service: Shop) -> None:
    """Scope predict predicts and reads the description; admin also asks for the model and the metrics."""
    predicts, administers = service.key("predict"), service.key("admin")
    with service.open() as client:
        for path in (*PREDICTED, "/docs.json"):
            assert ask(client, path, bearer(predicts)).status_code == 200, path
            assert ask(client, path, bearer(administers)).status_code == 200, path
        for path in ("/model", "/metrics"):
            assert ask(client, path, bearer(predicts)).status_code == 403, path
            assert ask(client, path, bearer(administers)).status_code == 200, path
            assert ask(client, path).status_code == 401, path
        assert client.head("/metrics", headers=bearer(predicts)).status_code == 403
        for path in ("/livez", "/readyz", "/healthz", "/", "/static/swagger-ui.css"):
            assert client.get(path).status_code == 200, path
        assert client.get("/nowhere").status_code == 401, "what there is, is told to those who may ask"
        assert client.get("/static/../metrics").status_code == 401
        assert client.get("/static/%2e%2e/metrics").status_code == 404


def test_a_refusal_does_not_tell_what_is_wrong_with_a_key(service: Shop) -> None:
    """Missing, unknown, expired, revoked, another product's, garbled, sent twice: one status, one body."""
    now = datetime.now(UTC)
    expired, _ = api_keys.create(service.home, PRODUCT, "predict", now - timedelta(days=2), expires=now - timedelta(days=1))
    good = service.key()
    revoked, key = api_keys.create(service.home, PRODUCT, "predict", now)
    api_keys.revoke(service.home, key.id, now)
    other, _ = api_keys.create(service.home, "diamond_cut", "admin", now)
    flipped = good[:-1] + ("A" if good[-1] != "A" else "B")
    identity = good.split("_")[1]
    sent: list[list[tuple[str, str]]] = [
        [],
        *([("Authorization", f"Bearer {token}")] for token in (expired, revoked, other, flipped, good.upper(), "a.b.c")),
        [("Authorization", f"Bearer loopline_{identity}_")],
        [("Authorization", good)],
        [("Authorization", f"Basic {good}")],
        [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")],
        [("X-API-Key", good)],
        [("Authorization", "Bearer " + "x" * 20_000)],
        [("Authorization", "Bearer \xff\xfe")],
    ]
    bodies = set()
    with service.open() as client:
        assert ask(client, "/predict", bearer(good)).status_code == 200
        for headers in sent:
            given = [(name.encode(), value.encode("latin-1")) for name, value in headers]
            answer = client.post("/predict", json={"row": ROW}, headers=[*given, (b"x-request-id", b"same")])
            assert answer.status_code == 401, headers
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            bodies.add(answer.text)
        refused = client.get("/model", headers=bearer(good, **{"X-Request-ID": "same"}))
        assert refused.status_code == 403
        bodies.add(refused.text)
    assert len(bodies) == 1
    assert not re.search("expired|revoked|unknown|missing|scope", bodies.pop())


def test_keys_take_effect_and_are_revoked_while_the_service_runs(service: Shop) -> None:
    """The first key closes a running service; one more is taken, a revoked one is not; no restart in between."""
    with service.open() as client:
        assert ask(client, "/predict").status_code == 200
        first, key = api_keys.create(service.home, PRODUCT, "predict", datetime.now(UTC))
        until(lambda: ask(client, "/predict").status_code == 401)
        assert ask(client, "/predict", bearer(first)).status_code == 200
        second = service.key()
        until(lambda: ask(client, "/predict", bearer(second)).status_code == 200)
        api_keys.revoke(service.home, key.id, datetime.now(UTC))
        until(lambda: ask(client, "/predict", bearer(first)).status_code == 401)
        assert ask(client, "/predict", bearer(second)).status_code == 200


def test_a_key_expires_while_the_service_runs(service: Shop) -> None:
    """At its moment, though its file does not change."""
    now = datetime.now(UTC)
    token = service.key(expires=now + timedelta(seconds=2))
    with service.open() as client:
        assert ask(client, "/predict", bearer(token)).status_code == 200
        until(lambda: ask(client, "/predict", bearer(token)).status_code == 401)
        assert datetime.now(UTC) >= now + timedelta(seconds=1)


@pytest.mark.parametrize("damage", ["removed", "emptied", "no JSON", "another product's", "a wider scope than there is"])
def test_a_lost_or_damaged_file_of_keys_lets_nobody_in(service: Shop, damage: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The service stays closed, says why in its log, and takes the keys again once the file is whole."""
    token = service.key()
    file = api_keys.file_of(service.home, PRODUCT)
    content = file.read_text()
    with service.open() as client:
        assert ask(client, "/predict", bearer(token)).status_code == 200
        if damage == "removed":
            file.unlink()
        else:
            damaged = {
                "emptied": "",
                "no JSON": content[:-20],
                "another product's": content.replace(PRODUCT, "other"),
                "a wider scope than there is": content.replace('"predict"', '"everything"'),
            }
            file.write_text(damaged[damage])
        until(lambda: ask(client, "/predict", bearer(token)).status_code == 401)
        assert ask(client, "/predict").status_code == 401
        file.write_text(content)
        until(lambda: ask(client, "/predict", bearer(token)).status_code == 200)
    said = capfd.readouterr().err
    assert damage == "removed" or "No key of it is valid until it can be read." in said


def test_who_asked_is_named_in_both_logs_and_no_secret_is(service: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    """By the key's id and name; the token stands neither in a log nor in the file of keys."""
    token, key = api_keys.create(service.home, PRODUCT, "predict", datetime.now(UTC), name="nightly")
    with service.open() as client:
        ask(client, "/predict", bearer(token, **{"X-Request-ID": "first"}))
        ask(client, "/model", bearer(token, **{"X-Request-ID": "second"}))
        ask(client, "/predict", bearer(token[:-1] + "?"))
    (file,) = service.log.glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("select request_id, caller from predictions").fetchall()
    assert found == [("first", f"key:{key.id}:nightly")]
    said = capfd.readouterr().err
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    callers = {line["request_id"]: line.get("caller") for line in lines if line["event"] in {"request", "denied"}}
    assert callers["first"] == callers["second"] == f"key:{key.id}:nightly"
    secret = token.split("_", 2)[2][:20]  # it may hold underscores itself
    assert secret not in said
    assert secret not in api_keys.file_of(service.home, PRODUCT).read_text()
    assert b"".join(path.read_bytes() for path in service.log.iterdir()).find(secret.encode()) == -1


def test_a_prediction_log_that_knew_no_callers_goes_on(service: Shop) -> None:
    """A day's file of an earlier service gets the column, and loses nothing."""
    service.log.mkdir()
    file = service.log / f"{datetime.now(UTC).date()}.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "create table predictions (request_id text not null, row_number integer not null, answered_at_utc text not null,"
            "model_version integer not null, model_digest text not null, features text not null, prediction text not null,"
            "primary key (request_id, row_number)) strict"
        )
        connection.execute("insert into predictions values ('before', 0, '2024-01-01', 1, 'd', '{}', '{}')")
    token = service.key(name="now")
    with service.open() as client:
        ask(client, "/predict", bearer(token, **{"X-Request-ID": "after"}))
    with closing(sqlite3.connect(file)) as connection:
        found = dict(connection.execute("select request_id, caller from predictions").fetchall())
    assert found["before"] is None
    assert found["after"].endswith(":now")


def test_a_foreign_host_is_refused(service: Shop) -> None:
    """421 for a name that is not the service's, two names or none; health is told under any."""
    with service.open(allowed_hosts=["Model.Example.org"]) as client:
        for host in ("localhost", "127.0.0.1:3003", "[::1]:3003", "MODEL.example.org", "model.example.org.:443"):
            assert client.get("/model", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "model.example.org.evil.example", "127.0.0.1.evil.example:80", "localhost@evil", ""):
            answer = client.get("/model", headers={"Host": host})
            assert answer.status_code == 421, host
            assert "--allowed-host" in answer.json()["error"]
        assert client.get("/readyz", headers={"Host": "10.1.2.3:3000"}).status_code == 200
    with service.open(allowed_hosts=["*"]) as client:
        assert client.get("/model", headers={"Host": "anything"}).status_code == 200


@pytest.mark.parametrize(
    ("given", "name"),
    [("A.b:80", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("::1", "::1"), ("a.", "a"), ("a:b", "a:b"), (":80", "")],
)
def test_a_host_is_compared_without_its_port(given: str, name: str) -> None:
    """Also an address of IPv6."""
    assert bare_host(given) == name


def test_each_key_has_its_own_rate(service: Shop) -> None:
    """429 with when to try again for the one that asks too often; the other is answered."""
    first, second = service.key(), service.key()
    with service.open(rate_limit=2) as client:
        statuses = [ask(client, "/predict", bearer(first)).status_code for _ in range(12)]
        assert statuses[:2] == [200, 200]
        refused = ask(client, "/predict", bearer(first))
        assert statuses.count(429) >= 5
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        assert ask(client, "/predict", bearer(second)).status_code == 200
        assert client.get("/readyz").status_code == 200
        until(lambda: ask(client, "/predict", bearer(first)).status_code == 200)


def test_admin_paths_stand_on_a_port_of_their_own(service: Shop) -> None:
    """They are nowhere else then, and nothing else is there; both ports ask for keys, and both end together."""
    predicts, administers, port = service.key("predict"), service.key("admin"), free_port()
    with service.open(admin_port=port) as client, httpx.Client(base_url=f"http://127.0.0.1:{port}") as admin:
        for path in ("/model", "/metrics"):
            assert ask(client, path, bearer(administers)).status_code == 404, path
            assert ask(admin, path, bearer(administers)).status_code == 200, path
            assert ask(admin, path, bearer(predicts)).status_code == 403, path
            assert ask(admin, path).status_code == 401, path
            assert ask(admin, path, {"Host": "evil.example"}).status_code == 421, path
        for path in (*PREDICTED, "/docs.json", "/"):
            assert ask(client, path, bearer(predicts)).status_code == 200, path
            assert ask(admin, path, bearer(administers)).status_code == 404, path
        assert admin.get("/readyz").status_code == 200
        assert ask(admin, "/model", bearer(administers)).json()["model_version"] == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/readyz")


def test_refusals_are_counted_by_reason_and_their_log_lines_are_bounded(
    service: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who knocks a hundred times leaves a hundred in the metrics, and few lines."""
    administers = service.key("admin")
    with service.open() as client:
        for _ in range(100):
            client.get("/model")
        client.get("/model", headers={"Host": "evil.example"})
        text = client.get("/metrics", headers=bearer(administers)).text
    assert 'loopline_denied_requests_total{reason="key"} 100.0' in text
    assert 'loopline_denied_requests_total{reason="host"} 1.0' in text
    assert 1 <= capfd.readouterr().err.count('"event":"denied"') < 100


@pytest.mark.parametrize("given", ["x" * 65, "x" * 10_000, "a b", "a\tb", "é", "../../etc", "a;b", "'--", "<b>", ""])
def test_a_request_id_is_bounded_on_either_side_of_the_gate(service: Shop, given: str) -> None:
    """In length and characters; another one is made, for answers and refusals alike."""
    token = service.key()
    with service.open() as client:
        for headers in ([], [("Authorization", f"Bearer {token}")]):
            sent = [("X-Request-ID", given.encode("latin-1")), *((name, value.encode()) for name, value in headers)]
            answer = client.post("/predict", json={"row": ROW}, headers=sent)
            assert answer.status_code == (200 if headers else 401)
            assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_the_page_is_one_that_no_other_page_can_frame_or_script(service: Shop) -> None:
    """Security headers; its own script is the only one that its policy names; it tells nothing of the model."""
    service.key()
    with service.open() as client:
        answer = client.get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy["script-src"]
    assert "unsafe" not in policy["script-src"]
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert PRODUCT not in answer.text


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"LOOPLINE_ACCESS": "closed"}, "is closed and knows no keys.*LOOPLINE_KEYS.*LOOPLINE_ACCESS=open"),
        ({"LOOPLINE_ACCESS": "shut"}, "must be 'open' or 'closed'"),
        ({"LOOPLINE_KEY_HASHES": "[]"}, "LOOPLINE_KEY_HASHES: it is no list of keys"),
        ({"LOOPLINE_KEY_HASHES": '{"product": "other", "keys": []}'}, "are those of 'other', not of 'churn'"),
        ({"LOOPLINE_RATE_LIMIT": "0"}, "must be a number above 0"),
        ({"LOOPLINE_RATE_LIMIT": "nan"}, "must be a number above 0"),
        ({"LOOPLINE_ADMIN_ADDRESS": "3100"}, "must be HOST:PORT"),
        ({"LOOPLINE_ADMIN_ADDRESS": "0.0.0.0:99999"}, "must be HOST:PORT"),
        ({"LOOPLINE_TLS_CERT": "a.pem"}, "LOOPLINE_TLS_CERT is set, but LOOPLINE_TLS_KEY is not"),
        ({"LOOPLINE_OIDC_ISSUER": "https://a"}, "LOOPLINE_OIDC_AUDIENCE is not"),
        ({"LOOPLINE_OIDC_ISSUER": "http://a.example", "LOOPLINE_OIDC_AUDIENCE": "x"}, "must be an https URL"),
    ],
)
def test_a_variable_that_cannot_be_is_refused_at_the_start(told: dict[str, str], problem: str) -> None:
    """With its name and what is allowed."""
    with pytest.raises(AccessSettingsError, match=problem):
        AccessSettings.of(told, PRODUCT)


def test_hashes_in_a_variable_are_keys_too(service: Shop) -> None:
    """As a container may be given them: the content of the file of keys."""
    token = service.key()
    content = api_keys.file_of(service.home, PRODUCT).read_text()
    settings = AccessSettings.of({"LOOPLINE_ACCESS": "closed", "LOOPLINE_KEY_HASHES": content}, PRODUCT)
    app = ModelApp(promised(service.models, service.model, service.folder / "package"))
    with answering(settings.guard(app.asgi(), app.metrics)) as client:
        assert ask(client, "/predict").status_code == 401
        assert ask(client, "/predict", bearer(token)).status_code == 200


def test_a_checked_header_is_recalled_until_its_key_ends_or_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other header is, however like it; and there are not more of them than a limit."""
    monkeypatch.setattr("bentos.api_keys.MOST", 2)
    file, until_then = tmp_path / "keys.json", datetime.now(UTC) + timedelta(hours=1)
    token, key = stored_keys.make("a", "predict", datetime.now(UTC), until_then)
    other, later = stored_keys.make("b", "predict", datetime.now(UTC))
    file.write_text(stored_keys.write(PRODUCT, {key.id: key}))
    access = Access(is_closed=True, keys=(keys := stored_keys.ApiKeys(PRODUCT, file)))
    headers = [f"{name} {token}".encode() for name in ("Bearer", "bearer", "BEARER")]
    assert [keys.recalled(header) for header in headers] == [None] * 3
    assert [access.caller([header]) for header in headers] == [key.caller] * 3
    assert [keys.recalled(header) for header in headers] == [key.caller, key.caller, None]
    wrong = headers[0][:-1] + (b"A" if headers[0][-1:] != b"A" else b"B")
    assert access.caller([wrong]) is keys.recalled(wrong) is access.caller([f"Bearer {other}".encode()]) is None
    file.write_text(stored_keys.write(PRODUCT, {key.id: key, later.id: later}))
    keys.look()
    assert keys.recalled(headers[0]) is None
    assert [access.caller([f"Bearer {name}".encode()]) for name in (token, other)] == [key.caller, later.caller]
    keys.clock.raise_to(until_then.timestamp())
    assert access.caller([headers[0]]) is None
    assert list(keys.known.values()) == [later]

"""A request for one row is answered directly or by ASGI: whichever way, what goes out, is counted and is logged is the same."""

from __future__ import annotations

import json
import random
import re
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from assets.storage.home import Home
from bentos import api_keys
from bentos.access_settings import HOSTS, KEY_HASHES, RATE, AccessSettings
from bentos.app import ModelApp
from bentos.direct_predictions import DirectPredictions
from bentos.direct_protocol import DirectProtocol
from bentos.served import Served
from tests.bentos.serving import answering
from tests.models import promised, trained

ROW = {"age": 30.0, "plan": "free", "visits": 2.0}
BODIES = (
    [{"row": {**ROW, "age": 18.0 + number}} for number in range(8)]
    + [{"row": {**ROW, "plan": "never seen"}}, {"row": {"age": 30.0, "plan": "pro"}}]
    + [{"row": {**ROW, "age": -1}}, {"row": {**ROW, "other": 1}}, {"row": {**ROW, "plan": 3}}, {"row": {}}, {}, [], "text"]
)
TYPES = (b"application/json",) * 8 + (b"Application/JSON; charset=utf-8", b"text/plain", b"")
ENTITIES = (None, b"N14228", b"two words", b"x" * 129)
IDS = (b"fit", b"not fit", b"x" * 65)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a service for entities, with a small limit of bytes."""
    path = tmp_path_factory.mktemp("direct")
    home = Home(path / "home").prepare()
    promised(home, trained(home, "churn"), path / "package", entity={"name": "plane", "keep": "plain"}, max_body_bytes=3000)
    return path


def requests(seed: int, tokens: list[bytes]) -> Iterator[bytes]:
    """A thousand requests, as they are sent."""
    chance = random.Random(seed)  # noqa: S311 - what is to be random looks random
    for number in range(1000):
        body = json.dumps(chance.choice(BODIES)).encode()
        odd = chance.random()
        if odd < 0.06:
            body = chance.choice([b"", b"{", b"nothing", b"\xff\xfe", b'{"row": NaN}', b" " * 3000 + body, body[:-1]])
        headers = [(b"Host", chance.choice([b"localhost"] * 9 + [b"evil.example"])), (b"Content-Type", chance.choice(TYPES))]
        headers.append((b"X-Request-ID", b"r%d-" % number + chance.choice(IDS)))
        if (entity := chance.choice(ENTITIES)) is not None:
            headers.append((b"X-Entity-Key", entity))
        headers += [(b"Authorization", chance.choice(tokens))] * chance.choice([1] * 9 + [0, 2])
        method, path, version = b"POST", b"/predict", b"1.1"
        if odd > 0.9:
            method, path = chance.choice([(b"GET", path), (b"HEAD", path), (b"POST", b"/predict_batch"), (b"POST", b"/none")])
        elif odd > 0.85:
            path = chance.choice([b"/predict?a=b", b"/predict/", b"/%70redict", b"//predict"])
        elif odd > 0.82:
            version = b"1.0"
        elif odd > 0.79:
            headers.append((b"Connection", chance.choice([b"close", b"upgrade", b"keep-alive"])))
        if 0.7 < odd < 0.75 and body:
            headers.append((b"Transfer-Encoding", b"chunked"))
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            headers.append((b"Content-Length", b"%d" % len(body)))
        if 0.65 < odd < 0.7:
            headers.append((b"Expect", b"100-continue"))
        lines = [b"%b %b HTTP/%b" % (method, path, version), *(b"%b: %b" % header for header in headers)]
        yield b"\r\n".join(lines) + b"\r\n\r\n" + body


def reply(stream: BinaryIO, *, is_head: bool) -> bytes:
    """One reply, without what no two have alike: the date, and an id that was made up."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += (line := stream.readline())
        assert line, head
    if head.startswith(b"HTTP/1.1 100 "):
        return head + reply(stream, is_head=is_head)
    found = re.search(rb"content-length: (\d+)", head)
    size = 0 if is_head or found is None else int(found[1])
    return re.sub(rb"date: [^\r]*|\b[0-9a-f]{32}\b", b"", head + stream.read(size))


class Asked:
    """What came of a thousand requests: replies, metrics, and both logs."""

    def __init__(self, folder: Path, protocol: type[HttpToolsProtocol], capfd: pytest.CaptureFixture[str]) -> None:
        token, key = api_keys.make("one", "predict", datetime.now(UTC))
        admin, master = api_keys.make("two", "admin", datetime.now(UTC))
        tokens = [b"Bearer " + token.encode()] * 9 + [b"Bearer " + admin.encode(), b"Bearer unknown", b"Basic eA=="]
        hashes = api_keys.write("churn", {key.id: key, master.id: master})
        settings = AccessSettings.of({KEY_HASHES: hashes, HOSTS: "localhost", RATE: "100000"}, "churn")
        log = folder / protocol.__name__
        app = ModelApp(Served.load(folder / "package"), log_folder=log)
        with answering(settings.guard(app.asgi(), app.metrics), protocol) as client:
            self.replies = list(self._ask(client, tokens))
            headers = {"Authorization": f"Bearer {admin}", "Host": "localhost"}
            text = client.get("/metrics", headers=headers).text
        # how long something took, and how many rows came together, differ from run to run
        self.metrics = [line for line in text.splitlines() if not re.search("seconds|model_call_rows", line)]
        names = {key.id: "one", master.id: "two"}
        # of refusals of the gate, only some a second leave a line
        told = [line for line in capfd.readouterr().err.splitlines() if '"event":"request"' in line]
        self.lines = sorted(self._plain(line, names) for line in told)
        (file,) = log.glob("*.sqlite")
        with closing(sqlite3.connect(file)) as connection:
            columns = "row_number, model_digest, features, prediction, entity, inputs_digest, output, decision"
            given = "case when request_id like 'r%' then request_id end"  # others were made up
            self.log = sorted(connection.execute(f"select {given}, {columns} from predictions").fetchall(), key=str)
            self.callers = connection.execute("select count(*) from predictions where caller like 'key:%'").fetchone()[0]

    @staticmethod
    def _plain(line: str, names: dict[str, str]) -> str:
        told: dict[str, Any] = json.loads(line)
        told = {name: value for name, value in told.items() if name not in {"time", "milliseconds"}}
        text = re.sub(r"\b[0-9a-f]{32}\b", "", json.dumps(told, sort_keys=True))
        for number, name in names.items():
            text = text.replace(number, name)
        return text

    @staticmethod
    def _ask(client: httpx.Client, tokens: list[bytes]) -> Iterator[bytes]:
        chance = random.Random(8)  # noqa: S311 - what is to be random looks random
        address = client.base_url.host, client.base_url.port
        waiting: list[bytes] = []
        connection: socket.socket | None = None
        for request in requests(7, tokens):
            waiting.append(request)
            # some are sent together, behind one another
            if chance.random() < 0.2:
                continue
            connection = connection or socket.create_connection(address, timeout=30)
            sent = b"".join(waiting)
            # and some in two pieces: within the head, or within the body
            cut = chance.randrange(1, len(sent)) if chance.random() < 0.1 else len(sent)
            connection.sendall(sent[:cut])
            if cut < len(sent):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(sent[cut:])
            stream = connection.makefile("rb")
            for item in waiting:
                found = reply(stream, is_head=item.startswith(b"HEAD"))
                yield found
                if b"connection: close" in found.lower():
                    connection.close()
                    connection = None
                    break
            waiting.clear()
        if connection is not None:
            connection.close()


def test_both_ways_are_one(folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies byte for byte, metrics, log lines and the prediction log, of a thousand requests good and bad."""
    direct: list[int] = []
    answer = DirectPredictions.answer

    def counted(self: DirectPredictions, *given: Any) -> None:
        direct.append(1)
        answer(self, *given)

    monkeypatch.setattr(DirectPredictions, "answer", counted)
    by_asgi = Asked(folder, HttpToolsProtocol, capfd)
    assert not direct
    directly = Asked(folder, DirectProtocol, capfd)
    assert len(direct) > 300
    assert directly.replies == by_asgi.replies
    assert directly.metrics == by_asgi.metrics
    assert directly.lines == by_asgi.lines
    assert directly.log == by_asgi.log
    assert directly.callers == by_asgi.callers == len(by_asgi.log) > 100
    statuses = {int(found.split(b" ")[1]) for found in by_asgi.replies}
    assert statuses >= {200, 400, 401, 404, 405, 413, 415, 421, 422}


def post(body: bytes, *headers: bytes) -> bytes:
    """A request for one row."""
    lines = [b"POST /predict HTTP/1.1", b"Host: a", b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


BODY = json.dumps({"row": ROW}).encode()


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[tuple[str, int]]:
    """Where a service answers directly."""
    with answering(ModelApp(Served.load(folder / "package"))) as client:
        yield client.base_url.host, client.base_url.port or 80


def test_requests_behind_one_another_are_answered_in_their_order(address: tuple[str, int]) -> None:
    """Ten in one piece, the first directly, the others while it waits for its model."""
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"".join(post(BODY, b"X-Request-ID: a%d" % number) for number in range(10)))
        stream = connection.makefile("rb")
        found = [reply(stream, is_head=False) for _ in range(10)]
    assert [re.findall(rb"x-request-id: (\w+)", item) for item in found] == [[b"a%d" % number] for number in range(10)]


def test_who_has_said_all_is_answered(address: tuple[str, int]) -> None:
    """A client that closes its sending half still gets its reply; one that has gone harms nobody."""
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(post(BODY, b"Connection: close"))
        connection.shutdown(socket.SHUT_WR)
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200 OK")
    for _ in range(20):
        with socket.create_connection(address, timeout=30) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(post(BODY))
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(post(BODY))
        assert reply(connection.makefile("rb"), is_head=False).startswith(b"HTTP/1.1 200 OK")


def test_who_sends_byte_by_byte_is_answered(address: tuple[str, int]) -> None:
    """The body comes long after the head."""
    with socket.create_connection(address, timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(BODY):
            connection.sendall(bytes([byte]))
        assert reply(connection.makefile("rb"), is_head=False).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("protocol", [DirectProtocol, HttpToolsProtocol])
def test_a_log_that_cannot_be_written_costs_no_request(
    folder: Path, monkeypatch: pytest.MonkeyPatch, protocol: type[HttpToolsProtocol]
) -> None:
    """The service's own log lies on a disk that is full."""
    app = ModelApp(Served.load(folder / "package"))
    assert app.limits["access_log"]
    with answering(app, protocol) as client, Path("/dev/full").open("w", buffering=1) as full, monkeypatch.context() as context:
        context.setattr(sys, "stderr", full)
        for _ in range(3):
            assert client.post("/predict", json={"row": ROW}, timeout=5).status_code == 200
        with suppress(OSError):
            full.close()


def test_what_follows_a_body_is_no_header(folder: Path) -> None:
    """A key, an entity or an id in trailers would pass by who checks headers before the service."""
    token, key = api_keys.make("one", "predict", datetime.now(UTC))
    settings = AccessSettings.of({KEY_HASHES: api_keys.write("churn", {key.id: key})}, "churn")
    app = ModelApp(Served.load(folder / "package"))
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    chunks = b"\r\n%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    authorization = b"Authorization: Bearer " + token.encode() + b"\r\n"
    with answering(settings.guard(app.asgi(), app.metrics)) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port), timeout=30) as connection:
            stream = connection.makefile("rb")
            connection.sendall(head + chunks + authorization + b"\r\n")
            assert reply(stream, is_head=False).startswith(b"HTTP/1.1 401 ")
            connection.sendall(head + authorization + b"X-Request-ID: one\r\n" + chunks + b"X-Request-ID: two\r\n\r\n")
            found = reply(stream, is_head=False)
        assert found.startswith(b"HTTP/1.1 200 ")
        assert b"x-request-id: one\r\n" in found


@pytest.mark.parametrize(
    "begin",
    [
        b"POST /predict HTTP/1.1\r\nHost: a\r\nX-Long: ",
        b"POST /",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX-Long: ",
    ],
    ids=["header", "path", "trailer"],
)
def test_a_head_without_an_end_is_refused(address: tuple[str, int], begin: bytes) -> None:
    """The service keeps no more of it than a limit; the body has a limit of its own."""
    with socket.create_connection(address, timeout=30) as connection:
        sent = 0
        with suppress(ConnectionError):
            connection.sendall(begin)
            while sent < 30_000_000:
                connection.sendall(10_000 * b"a")
                sent += 10_000
        assert sent < 30_000_000
        with suppress(ConnectionError):
            assert connection.recv(1000).startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))

"""Batches as Arrow streams are answered as the same batches in JSON, and broken ones are refused in words."""

from __future__ import annotations

import io
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from assets.storage.home import Home
from bentos import arrow_batches
from bentos.app import ModelApp
from bentos.refusals import RefusedError
from bentos.served import Served
from tests.bentos.serving import answering, until
from tests.models import promised, trained
from tests.shop import KINDS

HEADERS = {"Content-Type": arrow_batches.KIND.decode()}
ROWS: list[dict[str, Any]] = [
    {"age": 30.0, "plan": "free", "visits": 2.0},
    {"age": 120.0, "plan": "never seen", "visits": None},
    {"age": 0.0, "plan": "pro", "visits": 50.0},
]


def stream(table: pa.Table, **options: Any) -> bytes:
    """A table as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


def logged(folder: Path) -> list[tuple[str, str]]:
    """The features and predictions that the log holds of the request `logged`."""
    query = "select features, prediction from predictions where request_id = 'logged' order by row_number"
    for file in folder.glob("*.sqlite"):
        # it may have been opened a moment ago
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file)) as connection:
            return connection.execute(query).fetchall()
    return []


@pytest.fixture(scope="module", params=KINDS)
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, httpx.Client, Path]]:
    """A service of each kind that takes Arrow, a client of it, and the folder of its log."""
    folder = tmp_path_factory.mktemp("arrow")
    home = Home(folder / "home").prepare()
    served = promised(home, trained(home, request.param), folder / "package", max_batch_rows=5, arrow=True)
    with answering(ModelApp(served, log_folder=folder / "log")) as client:
        yield served, client, folder / "log"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("age", pa.float32()), ("age", pa.uint8()), ("visits", pa.int64()), ("plan", pa.large_string()),
        ("plan", pa.dictionary(pa.int8(), pa.string())), ("plan", pa.string_view()),
    ],
    ids=str,
)  # fmt: skip
def test_a_stream_is_answered_like_json(asked: tuple[Served, httpx.Client, Path], name: str, kind: pa.DataType) -> None:
    """To the last bit, whatever type the columns have, in several batches, with the same stamp."""
    _, client, _ = asked
    table = pa.Table.from_pylist(ROWS)
    table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    answer = client.post("/predict_batch", content=stream(table), headers=HEADERS)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == HEADERS["Content-Type"]
    expected = client.post("/predict_batch", json={"rows": ROWS}).json()
    found = pa.ipc.open_stream(answer.content).read_all()
    assert found.to_pylist() == expected["predictions"]
    stamp = {key.decode(): value.decode() for key, value in found.schema.metadata.items()}
    assert stamp["model_digest"] == expected["model_digest"] == answer.headers["X-Model-Digest"]
    assert json.loads(stamp["decision"]) == expected["decision"]


def test_the_description_names_it(asked: tuple[Served, httpx.Client, Path]) -> None:
    """Beside JSON, for the body and for the answer."""
    batch = asked[1].get("/docs.json").json()["paths"]["/predict_batch"]["post"]
    kinds = {"application/json", HEADERS["Content-Type"]}
    assert batch["requestBody"]["content"].keys() == batch["responses"]["200"]["content"].keys() == kinds


def test_the_log_holds_its_rows_as_json_rows(asked: tuple[Served, httpx.Client, Path]) -> None:
    """With what was missing left out, NaN among it."""
    _, client, log = asked
    table = pa.Table.from_pylist(ROWS[:2]).set_column(2, "visits", pa.array([float("nan"), 3.0]))
    answer = client.post("/predict_batch", content=stream(table), headers={**HEADERS, "X-Request-ID": "logged"})
    told = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    until(lambda: len(logged(log)) == 2)
    found = logged(log)
    assert [json.loads(features) for features, _ in found] == [{"age": 30.0, "plan": "free"}, {**ROWS[1], "visits": 3.0}]
    assert [json.loads(prediction) for _, prediction in found] == told


@pytest.mark.parametrize(
    ("columns", "status", "told"),
    [
        ({"age": [30.0, 121.0]}, 422, "row 1, age: must be a number from 0 to 120, got 121.0"),
        ({"age": [None, 30.0]}, 422, "row 0, age: must be a number"),
        ({"age": ["30", "31"]}, 422, "age: must be a column of numbers, got string"),
        ({"plan": [1, 2]}, 422, "plan: must be a column of texts, got int64"),
        ({"plan": ["free", ""]}, 422, "row 1, plan: must be a text of 1 to 200 characters"),
        ({"odd": [1, 2]}, 422, "no feature is called odd. Features are: age, plan, visits"),
        ({"age": [30.0] * 6, "plan": ["free"] * 6, "visits": [1.0] * 6}, 422, "has 6 rows, but must have 1 to 5"),
        ({"age": [], "plan": [], "visits": []}, 422, "has 0 rows"),
    ],
)
def test_a_bad_value_is_refused_by_row_and_name(
    asked: tuple[Served, httpx.Client, Path], columns: dict[str, list[Any]], status: int, told: str
) -> None:
    """As one JSON error."""
    usual = {"age": [30.0, 31.0], "plan": ["free", "pro"], "visits": [1.0, None]}
    answer = asked[1].post("/predict_batch", content=stream(pa.table({**usual, **columns})), headers=HEADERS)
    assert answer.status_code == status
    assert told in answer.json()["error"]


def test_what_is_no_plain_stream_is_refused(asked: tuple[Served, httpx.Client, Path]) -> None:
    """Other bytes, a stream that was cut, a compressed one, two columns of one name; and JSON where Arrow is said."""
    _, client, _ = asked
    table = pa.Table.from_pylist(ROWS)
    doubled = pa.table([[1.0], ["free"], [2.0]], names=["age", "plan", "age"])
    coded = table.set_column(1, "plan", table["plan"].dictionary_encode())
    cases = [
        (b"", 400, "no Arrow IPC stream"), (b'{"rows": []}', 400, "no Arrow IPC stream"), (stream(table)[:-300], 400, "no Arrow"),
        (stream(table, compression="zstd"), 415, "compressed"), (stream(coded, compression="lz4"), 415, "compressed"),
        (stream(doubled), 422, "two columns of one name"),
    ]  # fmt: skip
    for content, status, told in cases:
        answer = client.post("/predict_batch", content=content, headers=HEADERS)
        assert (answer.status_code, told in answer.json()["error"]) == (status, True), answer.text
    assert client.post("/predict", content=stream(table), headers=HEADERS).status_code == 415


def test_damaged_streams_are_refused_or_read_and_never_more(asked: tuple[Served, httpx.Client, Path]) -> None:
    """Random bytes of theirs changed: no other error than a refusal, and the process lives."""
    features, draw, refused = asked[0].model.signature["features"], random.Random(2), 0  # noqa: S311
    whole = stream(pa.Table.from_pylist(ROWS).set_column(1, "plan", pa.array(["free", "odd", "pro"]).dictionary_encode()))
    for _ in range(3000):
        content = bytearray(whole)
        for _ in range(draw.randrange(1, 4)):
            place = draw.randrange(len(content) - 4)
            content[place : place + 4] = draw.choice(
                [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\x00\x00\x00\x7f", b"", draw.randbytes(1), draw.randbytes(4)]
            )
        try:
            assert set(arrow_batches.columns(bytes(content), features, 5)) == set(features)
        except RefusedError:
            refused += 1
    assert 500 < refused < 3000


def test_without_a_declaration_arrow_is_refused(tmp_path: Path) -> None:
    """The bento has no pyarrow then."""
    home = Home(tmp_path / "home").prepare()
    with answering(ModelApp(promised(home, trained(home, "churn"), tmp_path / "package"))) as client:
        answer = client.post("/predict_batch", content=stream(pa.Table.from_pylist(ROWS)), headers=HEADERS)
    assert answer.status_code == 415
    assert "must be application/json" in answer.json()["error"]

"""The service over real HTTP: it answers as the model does, says which model answers, and refuses what is wrong."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from assets.errors import LedgerError, UntrustedLedgerError
from assets.features import snapshots
from assets.promotion import known_heads, ledger
from assets.serving import bento_package, service_requirements
from assets.storage.home import Home
from assets.training import current_model
from bentos.runtime import Model
from tests.assets.promotion.test_ledger import promoted
from tests.bentos.serving import serving, until_ready
from tests.world import World


def champion_tag(home: Home) -> str:
    """The one bento that the small world built."""
    (folder,) = [path for path in (home.bentos / "bentos" / "flight_delay").iterdir() if path.is_dir()]
    return f"flight_delay:{folder.name}"


@pytest.fixture(scope="module")
def service(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the champion's running service."""
    log = tmp_path_factory.mktemp("service") / "log"
    with serving(ran, champion_tag(ran), log) as (url, process):
        until_ready(url, process, log)
        with httpx.Client(base_url=url, timeout=30) as client:
            yield client


@pytest.fixture(scope="module")
def rows(world: World, ran: Home) -> list[dict[str, Any]]:
    """Real rows as a client would send them."""
    frame = snapshots.read(snapshots.current(ran, "flight_delay")).iloc[-200:]
    given = json.loads(frame[list(world.product.columns)].to_json(orient="records", double_precision=15))
    return list(given)


def test_a_batch_is_answered_as_the_model_answers(
    service: httpx.Client, world: World, ran: Home, rows: list[dict[str, Any]]
) -> None:
    """Row for row, with the decision at the threshold."""
    digest, _ = current_model.current(ran, "flight_delay")
    model = Model.load(ran.models / "flight_delay" / digest, digest)
    expected = model.predict({name: [row[name] for row in rows] for name in world.product.columns})
    answer = service.post("/predict_batch", json={"rows": rows})
    assert answer.status_code == 200
    found = answer.json()["predictions"]
    assert np.abs(np.array([item["probability"] for item in found]) - expected).max() < 1e-6
    assert [item["is_positive"] for item in found] == (expected >= model.decision["threshold"]).tolist()


def test_one_row_is_answered_like_that_row_in_a_batch(service: httpx.Client, rows: list[dict[str, Any]]) -> None:
    """The two ways agree."""
    one = service.post("/predict", json={"row": rows[0]}).json()["prediction"]
    assert one == service.post("/predict_batch", json={"rows": rows[:2]}).json()["predictions"][0]


def test_each_answer_names_its_model(service: httpx.Client, ran: Home, rows: list[dict[str, Any]]) -> None:
    """In the header and in the body, the digest of the model that was promoted."""
    digest, _ = current_model.current(ran, "flight_delay")
    asked: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/predict", {"row": rows[0]}),
        ("POST", "/predict_batch", {"rows": rows[:3]}),
        ("POST", "/explain", {"row": rows[0]}),
        ("GET", "/model", None),
    )
    for method, path, body in asked:
        answer = service.request(method, path, json=body)
        assert answer.headers["X-Model-Digest"] == digest == answer.json()["model_digest"], path
        assert answer.headers["X-Model-Version"] == "1", path
        assert answer.headers["X-Ledger-Head"] == ledger.checkpoint(ran, 1).short, path


def test_the_ledger_is_held_against_the_head_that_a_service_answers_with(service: httpx.Client, ran: Home, home: Home) -> None:
    """Its own ledger extends it; another one does not, and an address where nobody answers is an error."""
    url = str(service.base_url)
    head = known_heads.answered(url)
    assert head is not None
    assert ledger.verify(ran, head) == 1
    promoted(home, 1)
    with pytest.raises(UntrustedLedgerError, match=rf"entry 1 was rewritten, .*X-Ledger-Head of {url}/?/model keeps the head"):
        ledger.verify(home, head)
    with pytest.raises(LedgerError, match=r"http://127\.0\.0\.1:9/model: the service does not answer \(.*leave --url out"):
        known_heads.answered("http://127.0.0.1:9")


def test_an_unknown_category_is_answered_and_reported(service: httpx.Client, rows: list[dict[str, Any]]) -> None:
    """A new carrier is no error."""
    answer = service.post("/predict", json={"row": {**rows[0], "carrier": "ZZ"}})
    assert answer.status_code == 200
    assert answer.json()["prediction"]["unknown_categories"] == ["carrier"]


def test_what_may_be_missing_may_be_left_out(service: httpx.Client, rows: list[dict[str, Any]]) -> None:
    """Left out or null, it is the same."""
    left_out = {name: value for name, value in rows[0].items() if name != "wind_gust_mph"}
    first = service.post("/predict", json={"row": left_out})
    second = service.post("/predict", json={"row": {**rows[0], "wind_gust_mph": None}})
    assert first.status_code == second.status_code == 200
    assert first.json()["prediction"] == second.json()["prediction"]


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"distance_miles": -1}, "distance_miles", "greater_than_equal"),
        ({"distance_miles": 1e9}, "distance_miles", "less_than_equal"),
        ({"distance_miles": "far"}, "distance_miles", "float_type"),
        ({"distance_miles": None}, "distance_miles", "float_type"),
        ({"carrier": 7}, "carrier", "string_type"),
        ({"carrier": ""}, "carrier", "string_too_short"),
        ({"arrival_delay_minutes": 3}, "arrival_delay_minutes", "extra_forbidden"),
    ],
)
def test_a_bad_field_is_refused_by_name(
    service: httpx.Client, rows: list[dict[str, Any]], change: dict[str, Any], field: str, problem: str
) -> None:
    """With the field and what is wrong with it; the label is no field."""
    answer = service.post("/predict", json={"row": {**rows[0], **change}})
    assert answer.status_code == 422
    assert [(item["field"], item["type"]) for item in answer.json()["fields"]] == [(f"row.{field}", problem)]


def test_a_missing_field_is_refused_by_name(service: httpx.Client, rows: list[dict[str, Any]]) -> None:
    """A required one."""
    answer = service.post("/predict", json={"row": {name: value for name, value in rows[0].items() if name != "origin"}})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("row.origin: Field required")


@pytest.mark.parametrize("count", [0, 1001])
def test_an_empty_and_an_oversized_batch_are_refused(service: httpx.Client, rows: list[dict[str, Any]], count: int) -> None:
    """The limit is the declared one."""
    answer = service.post("/predict_batch", json={"rows": rows[:1] * count})
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "rows"


def test_a_body_that_is_no_json_is_refused(service: httpx.Client) -> None:
    """With a 400, and the service lives on."""
    assert service.post("/predict", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert service.get("/readyz").status_code == 200


def test_the_schema_tells_types_and_ranges(service: httpx.Client) -> None:
    """OpenAPI, for whoever writes a client."""
    row = service.get("/docs.json").json()["components"]["schemas"]["Row"]
    assert row["properties"]["distance_miles"]["minimum"] == 1
    assert row["properties"]["distance_miles"]["maximum"] == 6000
    assert "carrier" in row["required"]
    assert "wind_gust_mph" not in row["required"]


def test_the_bento_holds_no_pickle_and_no_training_library(ran: Home) -> None:
    """Two model files, the graph for single rows, the service, and what it imports."""
    folder = bento_package.bento_folder(ran, champion_tag(ran))
    files = {path.relative_to(folder / "src").as_posix() for path in (folder / "src" / "bentos").rglob("*") if path.is_file()}
    sources = {f"bentos/{path.name}" for path in bento_package.SERVICE.glob("*.py")}
    made = {"bentos/promoted.json", "bentos/row.onnx", "bentos/model/model.json", "bentos/model/model.onnx"}
    assert files == sources | made
    requirements = (folder / "env" / "python" / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in requirements} == set(service_requirements.REQUIREMENTS)


@pytest.mark.parametrize("arrow", [False, True])
def test_an_images_lock_holds_what_the_service_imports(world: World, arrow: bool) -> None:
    """An image installs its lock, and nothing else."""
    serving = world.product.serving.model_copy(update={"arrow": arrow})
    spec = world.product.model_copy(update={"serving": serving})
    locked = set(re.findall(r"^(\S+)==", service_requirements.lock(spec).read_text(), re.MULTILINE))
    assert set(service_requirements.requirements(spec)) <= locked
    assert ("pyarrow" in locked) == arrow


def test_a_service_whose_supervisor_is_killed_frees_its_port(ran: Home, tmp_path: Path) -> None:
    """Otherwise its worker would answer on, and no service could be started in its place."""
    log = tmp_path / "log"
    with serving(ran, champion_tag(ran), log) as (url, process):
        until_ready(url, process, log)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 30
        with pytest.raises(httpx.ConnectError):
            while time.monotonic() < deadline:
                with suppress(httpx.RemoteProtocolError, httpx.ReadError):  # it ended while it was asked
                    httpx.get(f"{url}/livez", timeout=5)
                time.sleep(0.1)


def test_a_bento_with_another_model_than_promised_does_not_start(ran_copy: Home, tmp_path: Path) -> None:
    """A byte changed in the store is found before the model is loaded."""
    tag = champion_tag(ran_copy)
    model = bento_package.bento_folder(ran_copy, tag) / "src" / "bentos" / "model" / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    log = tmp_path / "log"
    with serving(ran_copy, tag, log) as (url, process):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and "TamperedModelError" not in log.read_text() and process.poll() is None:
            with suppress(httpx.TransportError):
                assert httpx.get(f"{url}/readyz").status_code != 200
    assert "It is not loaded: package the champion again" in log.read_text()

"""Outcomes over HTTP: a service keeps what it is told, under the limits of every request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assets.monitoring import logged_outcomes, outcome_store
from assets.spec import ProductSpec
from assets.storage import pseudonym_key
from assets.storage.home import Home
from bentos.access import Access, Gate
from bentos.app import ModelApp
from bentos.metrics import Metrics
from bentos.runtime import Model
from tests.bentos.serving import answering
from tests.models import promised, trained
from tests.shop import product

ROW = {"age": 30.0, "plan": "free", "visits": 2.0}
ENTITY = {"name": "customer_id", "keep": "hash"}
LATER = "2100-01-01T00:00:00Z"


def spec_of() -> ProductSpec:
    """The product as it is declared."""
    return product("churn", serving={"entity": ENTITY})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Model]:
    """A home and a model; nothing is logged in it."""
    home = Home(tmp_path_factory.mktemp("shop") / "home").prepare()
    return home, trained(home, "churn")


def app_of(made: tuple[Home, Model], folder: Path, log: Path | None, **limits: Any) -> ModelApp:
    """A service of the product, which hashes with the key of the home that it logs into."""
    secret = None if log is None else pseudonym_key.file_of(Home(log.parent.parent))
    return ModelApp(promised(*made, folder / "package", entity=ENTITY, **limits), log_folder=log, secret_file=secret)


def test_what_is_told_of_a_request_or_an_entity_is_joined_with_its_answer(
    made: tuple[Home, Model], home: Home, tmp_path: Path
) -> None:
    """On the disk before the sender is told so; the same words again are one outcome."""
    pseudonym_key.secret(home)
    told = {"outcomes": [{"request_id": "a", "outcome": True, "observed_at": LATER}]}
    with answering(app_of(made, tmp_path, home.served / "churn")) as client:
        for name, key in (("a", "C1"), ("b", "C2")):
            headers = {"X-Request-ID": name, "X-Entity-Key": key}
            assert client.post("/predict", json={"row": ROW}, headers=headers).status_code == 200
        first = client.post("/outcomes", json=told)
        assert logged_outcomes.known(home, spec_of()).told == 1
        told["outcomes"].append({"entity": "C2", "outcome": 0, "observed_at": LATER})
        second = client.post("/outcomes", json=told)
        description = client.get("/docs.json").json()["paths"]
    assert (first.status_code, first.json()) == (202, {"accepted": 1, "known": 0})
    assert (second.status_code, second.json()) == (202, {"accepted": 1, "known": 1})
    with logged_outcomes.joined(home, spec_of()) as relation:
        assert sorted(relation.select("request_id, outcome").fetchall()) == [("a", 1.0), ("b", 0.0)]
    assert not any(b"C2" in path.read_bytes() for path in outcome_store.folder(home, "churn").iterdir())
    assert set(description["/outcomes"]["post"]["responses"]) >= {"202", "422"}


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"outcomes": []}, 422, "at least 1 item"),
        ({"outcomes": [{"request_id": "a", "outcome": 2, "observed_at": LATER}]}, 422, "outcome: Input should be 0, 1, "),
        ({"outcomes": [{"request_id": "a b", "outcome": 1, "observed_at": LATER}]}, 422, "request_id: String should match"),
        ({"outcomes": [{"request_id": "a", "entity": "b", "outcome": 1, "observed_at": LATER}]}, 422, "entity: Extra inputs"),
        ({"outcomes": [{"request_id": "a", "outcome": 1}]}, 422, "observed_at: Field required"),
        ({"outcomes": [{"request_id": "a", "outcome": 1, "observed_at": LATER}] * 11}, 422, "at most 10 items"),
        ({"outcomes": [{"entity": "C1", "outcome": 1, "observed_at": LATER}]}, 422, "has no key of pseudonyms"),
        ({"outcomes": [{"request_id": "a" * 60, "outcome": 1, "observed_at": LATER}] * 20}, 413, "more than 2000 bytes"),
    ],
)
def test_a_bad_body_is_refused_and_nothing_is_kept(
    made: tuple[Home, Model], home: Home, tmp_path: Path, body: Any, status: int, told: str
) -> None:
    """The field is named; a service without the key of pseudonyms cannot tell entities."""
    app = app_of(made, tmp_path, home.served / "churn", max_batch_rows=10, max_body_bytes=2000)
    with answering(app) as client:
        answer = client.post("/outcomes", json=body)
    assert (answer.status_code, told in answer.json()["error"]) == (status, True), answer.text
    assert outcome_store.files(home, "churn") == []


def test_a_service_without_a_log_takes_no_outcomes(made: tuple[Home, Model], tmp_path: Path) -> None:
    """There is no such path then, and the description does not name it."""
    with answering(app_of(made, tmp_path, None)) as client:
        assert client.post("/outcomes", json={}).status_code == 404
        assert "/outcomes" not in client.get("/docs.json").json()["paths"]


def test_a_stranger_tells_nothing_and_who_cannot_be_written_is_told_to_send_again(
    made: tuple[Home, Model], home: Home, tmp_path: Path
) -> None:
    """The gate stands before this path too; a full or read-only disk is no loss that nobody hears of."""
    told = {"outcomes": [{"request_id": "a", "outcome": True, "observed_at": LATER}]}
    app = app_of(made, tmp_path, home.served / "churn")
    with answering(Gate(app.asgi(), Access(is_closed=True), Metrics())) as client:
        assert client.post("/outcomes", json=told).status_code == 401
    (home.served / "churn").mkdir(parents=True)
    (home.served / "churn" / "outcomes").write_text("no folder")
    with answering(app) as client:
        answer = client.post("/outcomes", json=told)
    assert (answer.status_code, "Send them again" in answer.json()["error"]) == (503, True)

"""The fallback in the whole loop: fitted, packaged by digest, answered with when a person says so, and never taken for the model."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.errors import IncidentError, LedgerError, ReleaseError
from assets.evaluation.evidence import Case
from assets.features import snapshots
from assets.methods import baselines
from assets.methods.circuit_breaker import trips_at
from assets.monitoring import logged_requests
from assets.promotion import fallback_entries, ledger
from assets.promotion.ledger_database import database
from assets.serving import bento_package, fallback_pointer, fallback_record, parity
from assets.serving.bento_asset import package_bento
from assets.serving.parity_asset import compare_ways
from assets.spec import ProductSpec
from assets.storage import manifest
from assets.storage.backup import copy_database
from assets.storage.home import Home
from assets.storage.locks import exclusive
from assets.storage.publishing import read_json, write_json
from bentos.app import ModelApp
from bentos.fallback import BREAKER, FALLBACK, MITIGATION, RECORD, Fallback
from bentos.runtime import Model, TamperedModelError
from bentos.served import Served
from orchestration.cli.display import show_status
from orchestration.declarations import Declared
from orchestration.operations.incidents import mitigation
from orchestration.operations.monitoring.status import status
from orchestration.operations.promotion import decisions, doctor
from orchestration.operations.promotion.release import fallback_told, release, releases
from orchestration.operations.promotion.smoke import smoke
from orchestration.operations.verification.verify import verify
from tests.bentos.serving import answering, until
from tests.shop import customers, product, run_products

ROW = {"age": 30.0, "plan": "free", "visits": 2.0}
FEWER: dict[str, Any] = {
    "features": {
        "entity": "customer_id",
        "event_time": "signed_up_at",
        "groups": {"all": {"plan": {}, "visits": {"max_missing": 0.3}}},
    },
    "baseline": {"by": {"plan": None}},
}
"""What a version of fewer features declared, before the fallback was."""


def package_of(home: Home, name: str) -> Path:
    """The service package that services follow."""
    pointer = bento_package.pointer(home, name)
    return (pointer.parent / read_json(pointer)["folder"]).resolve()


def churn(**parts: Any) -> ProductSpec:
    """The product; a later version is promoted if only its metric is good enough."""
    return product(
        "churn",
        **{"baseline": {"by": {"plan": None, "age": 10}}, "promotion": {"min_saving": -10_000.0, "confidence": 0.55}, **parts},
    )


@pytest.fixture(scope="module")
def served_with(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, ProductSpec]:
    """A home whose service can fall back on the table of means, after a version of fewer features that could not; do not leave
    it fallen back.
    """
    folder = tmp_path_factory.mktemp("fallback")
    home = Home(folder / "home")
    spec = churn(serving={"fallback": "baseline", "breaker": {"window_rows": 50}})
    customers(1200).to_csv(folder / "customers.csv", index=False)
    run_products(home, folder, churn(**FEWER))
    run_products(home, folder, spec)
    return home, spec


def test_the_service_answers_with_the_table_that_evaluation_knows(served_with: tuple[Home, ProductSpec]) -> None:
    """For rows of the training and others, bit for bit; and all ways of serving agree on the model."""
    home, spec = served_with
    champion = ledger.require_champion(home, "churn")
    package = package_of(home, "churn")
    fallback = Fallback.beside(package, read_json(package / bento_package.PROMISE))
    assert fallback is not None
    model = Model.load(home.models / "churn" / champion.model_digest, champion.model_digest)
    trained_on = snapshots.opened(home, "churn", model.signature["snapshot_digest"])
    case = Case.load(home, spec, trained_on, champion.model_digest)
    rows = case.parts["test"].rows
    expected = baselines.table(case.learnt.rows, case.taught(), rows, spec.baseline.by)
    found = fallback.outputs(case.columns("test"), len(rows))[:, 1]
    assert np.array_equal(found, expected)
    assert len(np.unique(found)) > 10
    agreed = parity.recorded(home, "churn")
    assert agreed is not None
    assert all(way["agrees"] for way in agreed["ways"].values())


def test_the_breaker_goes_by_what_training_had(served_with: tuple[Home, ProductSpec]) -> None:
    """Ranges of the rows that the champion was fitted on, and the worst window of the held-out rows."""
    home, spec = served_with
    champion = ledger.require_champion(home, "churn")
    model = Model.load(home.models / "churn" / champion.model_digest, champion.model_digest)
    case = Case.load(home, spec, snapshots.opened(home, "churn", model.signature["snapshot_digest"]), champion.model_digest)
    record = read_json(package_of(home, "churn") / RECORD)
    breaker, learnt = record["breaker"], case.learnt.rows
    low, high = learnt["age"].min(), learnt["age"].max()
    more = 0.1 * (high - low)
    assert breaker["ranges"]["age"] == {"low": low - more, "high": high + more, "is_missing": False}
    assert breaker["ranges"]["visits"]["is_missing"]
    assert breaker["ranges"]["plan"] == {"known": ["basic", "free", "pro"], "is_missing": False}
    held_out = case.parts[record["held_out"]].rows
    is_out = (held_out["visits"] > 1.1 * learnt["visits"].max()).to_numpy()  # they begin at 0; ages and plans are in range
    assert breaker["held_out_share"] == pytest.approx(is_out.mean())
    worst = max(is_out[start : start + 50].mean() for start in range(len(is_out) - 49))
    assert breaker["tolerated_share"] == max(0.05, worst)
    assert breaker["trips_at"] == trips_at(50, breaker["tolerated_share"], 0.01)


def test_a_person_lets_it_answer_and_takes_it_back(served_with: tuple[Home, ProductSpec], tmp_path: Path) -> None:
    """A running service follows within a second; header, field, log and metrics say so; the champion's figures do not hold it."""
    home, spec = served_with
    champion = ledger.require_champion(home, "churn")
    app = ModelApp(
        Served.load(package_of(home, "churn")), pointer=bento_package.pointer(home, "churn"), log_folder=home.served / "churn"
    )

    def asked(client: Any, number: str) -> Any:
        return client.post("/predict", json={"row": ROW}, headers={"X-Request-ID": number})

    with answering(app) as client:
        before = asked(client, "before")
        (one,) = [item for item in mitigation.possible(home, spec, ["churn"]) if item.how == mitigation.FALLBACK]
        assert one.command("churn") == "loopline mitigate churn --how fallback --do"
        mitigation.do(home, spec, one, actor="ann", reason="to be safe")
        until(lambda: "x-model-fallback" in asked(client, "waiting").headers)
        during = asked(client, "during")
        batch = client.post("/predict_batch", json={"rows": [ROW, ROW]}, headers={"X-Request-ID": "batch"})
        told = client.get("/model").json()
        explained = client.post("/explain", json={"row": ROW}).json()
        text = client.get("/metrics").text
        described = client.get("/docs.json").json()["components"]["schemas"]["Answer"]["properties"]
        with pytest.raises(LedgerError, match="the fallback of churn answers already, by ann"):
            fallback_entries.begin(home, "churn", "bob", "again")
        back = mitigation.chosen(mitigation.possible(home, spec, ["churn"]), "churn", "release", None)
        mitigation.do(home, spec, back, actor="ann", reason="mended")
        until(lambda: "x-model-fallback" not in asked(client, "waiting again").headers)
        after = asked(client, "after")
    assert "fallback" in described
    assert "fallback" not in before.json()
    assert before.json() == after.json()
    assert before.headers["x-model-digest"] == champion.model_digest
    package = package_of(home, "churn")
    fallback = Fallback.beside(package, read_json(package / bento_package.PROMISE))
    assert fallback is not None
    assert (during.headers["x-model-fallback"], during.json()["fallback"]) == ("mitigation", "mitigation")
    assert during.headers["x-model-digest"] == during.json()["model_digest"] == fallback.digest
    expected = fallback.outputs({"plan": ["free"], "age": [30.0]}, 1)[0, 1]
    assert during.json()["prediction"]["probability"] == expected
    assert expected != before.json()["prediction"]["probability"]
    assert [item["probability"] for item in batch.json()["predictions"]] == [expected, expected]
    assert told["fallback"] == "mitigation"
    assert explained["base"] + sum(explained["contributions"].values()) == pytest.approx(expected)
    assert explained["contributions"]["visits"] == 0
    assert 'loopline_fallback{reason="mitigation"} 1.0' in text
    assert 'loopline_predicted_rows_total{version="fallback"}' in text
    lines = {line["request_id"]: line for line in logged_requests.latest(home, "churn")}
    assert [lines[name]["fallback"] for name in ("before", "during", "batch", "after")] == [
        None,
        "mitigation",
        "mitigation",
        None,
    ]
    assert lines["during"]["model_digest"] == fallback.digest
    own = {line["request_id"] for line in logged_requests.latest(home, "churn", champion.model_digest)}
    assert {"before", "after"} <= own
    assert not {"during", "batch"} & own
    findings = [entry.finding for entry in ledger.entries(home, "*")]
    assert findings[:2] == ["fallback:churn:answers", "fallback:churn:released"]
    assert verify(home).problems == []


def test_a_run_that_ends_meanwhile_does_not_take_it_back(served_with: tuple[Home, ProductSpec]) -> None:
    """What services are told is written by one at a time, each by what the ledger says then."""
    home, spec = served_with
    pointer, record = bento_package.pointer(home, "churn"), home.reports / "churn" / "parity.json"
    manifest.remove(record)
    with ThreadPoolExecutor(1) as pool:
        with exclusive(home.decision_lock):
            before = pointer.stat().st_mtime_ns
            running = pool.submit(compare_ways, home, spec)
            until(lambda: record.exists() or running.done(), 60)
            time.sleep(0.3)
            assert pointer.stat().st_mtime_ns == before
            assert not running.done()
            entry = fallback_entries.begin(home, "churn", "ann", "to be safe")
            fallback_pointer.follow(home, "churn")
        running.result(60)
    assert read_json(pointer)["fallback"] == entry.digest
    back = mitigation.chosen(mitigation.possible(home, spec, ["churn"]), "churn", "release", None)
    mitigation.do(home, spec, back, actor="ann", reason="mended")
    assert "fallback" not in read_json(pointer)


@pytest.fixture
def fallen_back(served_with: tuple[Home, ProductSpec]) -> Iterator[tuple[Home, ProductSpec]]:
    """The home while a person wants the fallback to answer."""
    home, spec = served_with
    for how in (mitigation.FALLBACK, mitigation.RELEASE):
        one = mitigation.chosen(mitigation.possible(home, spec, []), "churn", how, None)
        mitigation.do(home, spec, one, actor="ann", reason="to be safe")
        if how == mitigation.FALLBACK:
            yield home, spec


def test_no_version_that_has_no_fallback_becomes_champion_meanwhile(fallen_back: tuple[Home, ProductSpec]) -> None:
    """Its model would answer; one error says what to do, and neither the ledger nor what services follow is changed."""
    home, spec = fallen_back
    with pytest.raises(
        IncidentError, match=r"churn: its fallback answers by ann on .* \(to be safe\). To let the champion answer"
    ):
        mitigation.chosen(mitigation.possible(home, spec, []), "churn", mitigation.FALLBACK, None)
    before = ledger.entries(home), bento_package.pointer(home, "churn").read_bytes()
    told = (
        r"churn: its fallback answers by ann on .* \(to be safe\), but version 1 can have none .*was trained on other features"
    )
    for decide in (decisions.rollback, decisions.promote):
        with pytest.raises(LedgerError, match=f"{told}.*the model would answer instead.*loopline mitigate churn --how release"):
            decide(home, spec, 1, actor="ann", reason="better")
    with pytest.raises(LedgerError, match="serving.fallback is declared no more"):
        decisions.rollback(home, churn(**FEWER), 1, actor="ann", reason="better")
    assert (ledger.entries(home), bento_package.pointer(home, "churn").read_bytes()) == before


def test_the_champion_is_not_packaged_without_its_fallback_meanwhile(fallen_back: tuple[Home, ProductSpec]) -> None:
    """Nor do services follow a package without one, if a home has such from before; the doctor says so too."""
    home, spec = fallen_back
    package, pointer = package_of(home, "churn"), bento_package.pointer(home, "churn")
    before = (package / bento_package.PROMISE).read_bytes(), pointer.read_bytes()
    with pytest.raises(LedgerError, match="serving.fallback is declared no more"):
        package_bento(home, churn())
    assert ((package / bento_package.PROMISE).read_bytes(), pointer.read_bytes()) == before
    promise = read_json(package / bento_package.PROMISE)
    write_json(package / bento_package.PROMISE, {name: item for name, item in promise.items() if name != FALLBACK})
    try:
        with pytest.raises(LedgerError, match="was packaged without one: the model would answer instead"):
            bento_package.point(home, "churn", ledger.require_champion(home, "churn"))
        (finding,) = doctor.examine(home, ["churn"])
        assert (finding.mended, "was packaged without one" in finding.problem) == (False, True)
        assert pointer.read_bytes() == before[1]
        told = read_json(pointer)
        write_json(pointer, {name: item for name, item in told.items() if name not in (FALLBACK, "fallback")})
        assert "no package with one: `loopline run churn`, or `loopline mitigate churn --how release" in shown(home, spec)[1]
        write_json(pointer, told)
    finally:
        write_json(package / bento_package.PROMISE, promise)


def shown(home: Home, spec: ProductSpec) -> tuple[dict[str, Any] | None, str]:
    """What `loopline status` says of the fallback, as JSON and as text."""
    found = status(home, Declared(["churn.data"], {"churn": ["churn.data"]}))
    with redirect_stdout(StringIO()) as out:
        show_status(found, "churn")
    told: dict[str, Any] | None = found.as_json()["products"][0]["fallback"]
    return told, " ".join(out.getvalue().split())


def test_status_says_who_let_it_answer_since_when_and_why(served_with: tuple[Home, ProductSpec]) -> None:
    """And whether services were told; in force or not, it is what the ledger says."""
    home, spec = served_with
    assert shown(home, spec)[0] is None
    entry = fallback_entries.begin(home, "churn", "ann", "minutes [hhmm]")
    told, text = shown(home, spec)
    assert told is not None
    assert (told["is_followed"], "services are not told so" in text) == (False, True)
    fallback_pointer.follow(home, "churn")
    told, text = shown(home, spec)
    assert told is not None
    assert {name: told[name] for name in ("reason", "since", "by", "because", "is_followed")} == {
        "reason": MITIGATION,
        "since": entry.recorded_at,
        "by": "ann",
        "because": "minutes [hhmm]",
        "is_followed": True,
    }
    since = entry.recorded_at[:16].replace("T", " ")
    assert f"churn: its fallback answers since {since} UTC by ann (minutes [hhmm])." in text
    fallback_entries.release(home, "churn", "ann", "mended")
    told, text = shown(home, spec)
    assert told is not None
    assert (told["is_followed"], "although it was released" in text) == (False, True)
    fallback_pointer.follow(home, "churn")
    assert shown(home, spec)[0] is None


def test_status_says_what_the_log_says_of_the_breaker(served_with: tuple[Home, ProductSpec], tmp_path: Path) -> None:
    """That it let the fallback answer, from when to when; nothing of a service that logs nowhere is known."""
    home, spec = served_with
    log = home.served / "churn"
    kept = log.exists() and log.rename(tmp_path / "kept")
    with answering(ModelApp(Served.load(package_of(home, "churn")), log_folder=log)) as client:
        client.post("/predict_batch", json={"rows": [ROW] * 10})
        assert shown(home, spec)[0] is None
        for _ in range(10):
            answer = client.post("/predict_batch", json={"rows": [{**ROW, "plan": "gold"}] * 10})
        assert answer.headers["x-model-fallback"] == BREAKER
    told, text = shown(home, spec)
    shutil.rmtree(log)
    if kept:
        kept.rename(log)
    assert told is not None
    assert (told["reason"], told["by"]) == (BREAKER, None)
    assert re.search(
        r"churn: its circuit breaker let the fallback answer \d+ of the latest 50 logged rows, from .* UTC to", text
    )


def test_it_is_smoke_tested_and_released_only_where_a_person_wants_it(
    fallen_back: tuple[Home, ProductSpec], tmp_path: Path
) -> None:
    """Its own answer is expected then; the next environment falls back, and no more, by a release that was asked to."""
    first, spec = fallen_back
    dev, staging = Home(tmp_path / "dev"), Home(tmp_path / "staging").prepare()
    shutil.copytree(first.root, dev.root)
    told: dict[str, Any] = {"actor": "ann", "reason": "ticket 12", "at": datetime(2026, 11, 30, tzinfo=UTC)}

    def switch(how: str) -> None:
        one = mitigation.chosen(mitigation.possible(dev, spec, []), "churn", how, None)
        mitigation.do(dev, spec, one, actor="bob", reason="broken")

    tested = smoke(dev, "churn")
    assert (tested.passed, tested.fallback) == (True, read_json(bento_package.pointer(dev, "churn"))[FALLBACK]), tested.told
    assert "the fallback answers by ann on" in tested.told
    with pytest.raises(ReleaseError, match=r"its fallback answers in .*dev by ann on .* or give --with-fallback"):
        release(dev, staging, "churn", **told)
    assert ledger.entries(staging) == []
    assert release(dev, staging, "churn", **told, with_fallback=True) is not None
    assert fallback_pointer.answers(staging, "churn")
    assert str(fallback_told(dev, staging, "churn")).startswith("its fallback answers here too, by ann")

    switch(mitigation.RELEASE)
    with pytest.raises(ReleaseError, match="its fallback answered the smoke test, not the champion"):
        release(dev, staging, "churn", **told)
    tested = smoke(dev, "churn")
    assert (tested.passed, tested.fallback) == (True, None), tested.told
    assert release(dev, staging, "churn", **told) is not None
    assert not fallback_pointer.answers(staging, "churn")
    assert "from now on answers here once that is released" in str(fallback_told(dev, staging, "churn"))
    assert release(dev, staging, "churn", **told) is None

    switch(mitigation.FALLBACK)
    assert release(dev, staging, "churn", **told) is None
    assert not fallback_pointer.answers(staging, "churn")
    assert "by bob" in (said := str(fallback_told(dev, staging, "churn")))
    assert "and not here; --with-fallback lets it" in said
    assert doctor.examine(staging, ["churn"]) == []
    copy_database(database(dev), tmp_path / "ledger.db")  # as the release of another product brings it
    (tmp_path / "ledger.db").replace(database(staging))
    (finding,) = doctor.examine(staging, ["churn"])
    assert (finding.mended, "its fallback answers since" in finding.problem) == (False, True)
    assert "but services are not told so. Tell them: `loopline mitigate churn --how fallback" in finding.problem
    assert not fallback_pointer.answers(staging, "churn")
    assert release(dev, staging, "churn", **told, with_fallback=True) is not None
    assert len(releases(staging, "churn")) == 3
    assert fallback_pointer.answers(staging, "churn")
    assert release(dev, staging, "churn", **told, with_fallback=True) is None
    assert doctor.examine(staging, ["churn"]) == []


def test_a_fallback_that_was_changed_is_not_loaded(served_with: tuple[Home, ProductSpec], tmp_path: Path) -> None:
    """Neither by a service, nor by the next packaging; `verify` names it."""
    home, _ = served_with
    source = package_of(home, "churn")
    changed = tmp_path / "bentos"
    for file in ("promoted.json", "row.onnx"):
        (changed / file).parent.mkdir(exist_ok=True)
        (changed / file).write_bytes((source / file).read_bytes())
    (changed / "model").symlink_to(source / "model")
    (changed / RECORD).write_text(json.dumps({**read_json(source / RECORD), "otherwise": [0.0, 1.0]}))
    with pytest.raises(TamperedModelError, match="is not the fallback"):
        Served.load(changed)
    assert fallback_record.digest_of(home, "churn", "another model", is_declared=True) is None

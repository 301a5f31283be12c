"""Erasure: nothing of a person is left in any form, the chain is verified, and nothing comes back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from assets.errors import DataError, SpecificationError
from assets.features import snapshots
from assets.ingestion import landed_tables
from assets.ingestion.stream_consumer import Consumer
from assets.monitoring import logged_requests, outcome_store, shadow_store
from assets.promotion import ledger
from assets.serving import bento_package
from assets.spec import ProductSpec
from assets.storage import pseudonym_key
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from bentos.outcome_bodies import Outcome
from bentos.outcome_log import OutcomeLog
from bentos.prediction_log import Answered, PredictionLog
from bentos.pseudonyms import pseudonym
from bentos.served import Served
from orchestration.operations.catalog import lineage
from orchestration.operations.erasure import erased_files, erasure, erasure_request
from orchestration.operations.promotion import doctor
from orchestration.operations.verification.verify import verify
from tests.shop import COLUMNS, customers, product, run_products

NOW = datetime(2026, 11, 29, tzinfo=UTC)
LAST, EARLY = "ANNA-7Q4", "BORIS-9X2"
"""The keys of a person among the test rows, and of one among those that the model learnt from."""
EXAMPLE = 819
"""The row with the greatest answer, which explanations show."""
NOTE = "lives in the red house"
MARKS = (LAST.encode(), NOTE.encode())


def spec_of(**parts: Any) -> ProductSpec:
    """The product, with a column that is landed and goes no further."""
    columns = {**COLUMNS, "note": {"type": "text", "nullable": True}}
    return product("churn", source={"file": "customers.csv", "key": ["customer_id"], "columns": columns}, **parts)


def write_files(folder: Path) -> None:
    """The customers; one more row of a person is bad, and one line cannot be split into fields."""
    frame = customers(900).assign(note="")
    frame.loc[EXAMPLE, ["customer_id", "note"]] = [LAST, NOTE]
    frame.loc[20, ["customer_id", "note"]] = [EARLY, "lives elsewhere"]
    bad = frame.loc[[EXAMPLE]].assign(age=300)
    pd.concat([frame, bad]).to_csv(folder / "customers.csv", index=False)
    with (folder / "customers.csv").open("a") as stream:
        stream.write(f"{LAST},2024-01-01,{NOTE},a,b,c,d,e,f,g,h,i,j,k,l\n")


def plant(home: Home, folder: Path) -> None:
    """Put the person where services, streams and Dagster would: in the log, in a database of rows, in events and logs."""
    spec = spec_of()
    served = Served.load(bento_package.bento_folder(home, bento_package.served_tag(home, "churn")) / "src" / "bentos")
    frame = snapshots.read(snapshots.current(home, "churn"))
    row = frame[frame["customer_id"] == LAST][["age", "plan", "visits"]].astype(object).iloc[0].to_dict()
    other = frame[frame["customer_id"] != LAST][["age", "plan", "visits"]].astype(object).iloc[0].to_dict()
    entries: list[Any] = [("his", [row]), ("theirs", [other]), (LAST, [other]), ("both", [other, row])]
    for place in (home.served / "churn", shadow_store.folder(home, "churn")):
        log = PredictionLog(place, 1.0)
        for name, rows in entries:
            log.hand(Answered(name, NOW, served, [served.bodies.row(row) for row in rows], [{}] * len(rows)))
        log.close()
    arriving = folder / "arriving"
    arriving.mkdir()
    columns = ",".join(pd.read_csv(folder / "customers.csv", nrows=0).columns)
    line = f"{LAST},2024-09-01,3,40,free,3,no,gold,9.5,{NOTE}"
    (arriving / "a.csv").write_text(f"{columns}\n{line}\nX1,2024-09-01,3,40,free,3,no,gold,9.5,\n{line}\n")
    source = spec.as_source()
    assert source is not None
    Consumer(home, source, "data").consume(arriving)
    with closing(sqlite3.connect(home.dagster / "history" / "runs.db")) as connection, connection:
        connection.execute("insert into kvs (key, value) values ('x', ?)", (json.dumps({"told": f"for example {LAST}"}),))
    logs = next(home.dagster.glob("storage/*/compute_logs"))
    (logs / "more.err").write_text(f"broken: {LAST}\n")
    for file in (home.replays / "churn" / "a" / "rows.json", home.experiments / "churn" / "trial-report.json"):
        write_json(file, [LAST])
    write_json(home.learning / "churn" / "a.json", {"categories": {"note": {NOTE: [1, 0.2]}}})
    (home.root / "catalog.html").write_text(f"<td>{LAST}</td>")
    aside = home.root / "store" / "aside" / "2026-11-29" / "snapshots" / "churn"
    aside.mkdir(parents=True)
    shutil.copy(snapshots.current(home, "churn").path, aside)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the customers and a home in which they were run; do not change it."""
    folder = tmp_path_factory.mktemp("erasure")
    write_files(folder)
    home = Home(folder / "home")
    run_products(home, folder, spec_of())
    plant(home, folder)
    return folder


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Iterator[tuple[Path, Home]]:
    """A copy of it, to be changed."""
    folder = tmp_path / "world"
    shutil.copytree(made, folder)
    yield folder, Home(folder / "home")
    shutil.rmtree(folder)


def look(folder: Path, home: Home, key: str) -> tuple[erasure.Request, dict[Path, list[int]]]:
    """What is to be erased."""
    source = spec_of().as_source()
    assert source is not None
    return erasure_request.look(home, spec_of(), [(source, folder)], key, actor="tester", now=NOW)


def decoded(path: Path) -> bytes:
    """What a file holds, whatever its form: rows as text, other files as they are."""
    content = path.read_bytes()
    if path.suffix == ".parquet":
        return json.dumps(pq.read_table(path).to_pylist(), default=str).encode() + content
    if content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as connection:
            return "\n".join(connection.iterdump()).encode() + content
    return content


def named_in(home: Home, marks: tuple[bytes, ...] = MARKS) -> set[str]:
    """The files that hold a mark."""
    files = [path for path in home.root.rglob("*") if path.is_file()]
    return {home.relative(path) for path in files if any(mark in decoded(path) for mark in marks)}


def test_nothing_of_a_person_is_left_in_any_form_and_the_chain_is_verified(world: tuple[Path, Home]) -> None:
    """In fourteen kinds of places before, in none after; everybody else's rows are as they were."""
    folder, home = world
    before = snapshots.read(snapshots.current(home, "churn"))
    places = {
        "landing",
        "quarantine",
        "snapshots",
        "predictions",
        "reports",
        "registry",
        "served",
        "streams",
        "dagster",
        "replays",
        "experiments",
        "learning",
        "catalog.html",
        "store",
    }
    assert {file.split("/")[0] for file in named_in(home)} == places
    request, raw = look(folder, home, LAST)
    untouched = verify(home, deep=True)
    assert request.rows.keys() == places - {"replays", "experiments", "learning", "catalog.html", "store"}
    assert raw == {folder / "customers.csv": [820, 901]}
    certificate = erasure.erase(home, request)
    assert named_in(home) == set()
    found = verify(home, deep=True)
    assert (untouched.problems, found.problems) == ([], [])
    assert any("by request 1" in note for note in found.notes)
    assert all(link.problem == "" for link in lineage.chain(home, "churn"))
    told = [link.stage for link in lineage.chain(home, "churn") if "(erased by request 1)" in link.name]
    assert {"landing", "snapshot", "evidence"} <= set(told)
    assert doctor.examine(home, ["churn"]) == []
    after = snapshots.read(snapshots.current(home, "churn"))
    pd.testing.assert_frame_equal(after, before[before["customer_id"] != LAST].reset_index(drop=True))
    for place in (home.served / "churn", shadow_store.folder(home, "churn")):
        with closing(sqlite3.connect(next(place.glob("*.sqlite")))) as connection:
            rows = connection.execute("select request_id, row_number from predictions order by 1, 2").fetchall()
        assert rows == [("both", 0), ("theirs", 0)]
    entry = ledger.entries(home, "churn")[-1]
    assert (entry.event, entry.actor, LAST in str(vars(entry))) == ("acceptance", "tester", False)
    assert certificate["rows"]["served"] == 6
    assert certificate["models"] == []
    assert LAST not in json.dumps(certificate)


@pytest.mark.parametrize("is_archived", [False, True])
def test_entities_and_outcomes_of_a_person_are_erased(world: tuple[Path, Home], is_archived: bool) -> None:
    """By the key's pseudonym, which the log keeps, and by the request that is erased; others' stay."""
    folder, home = world
    spec = spec_of(serving={"entity": {"name": "customer_id"}})
    secret = pseudonym_key.secret(home)
    his, theirs = (pseudonym(secret, "customer_id", key) for key in (LAST, "C00001"))
    (file,) = (home.served / "churn").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as connection, connection:
        line = "select ?, 0, answered_at_utc, 1, 'd', '{}', '{}', null, null, null, ? from predictions limit 1"
        columns = "request_id, row_number, answered_at_utc, model_version, model_digest, features, prediction, caller, hidden, data_key"
        for name, entity in (("about him", his), ("about them", theirs)):
            connection.execute(f"insert into predictions ({columns}, entity) {line}", (name, entity))
    told = [("his", None), ("about him", None), ("about them", None), (None, his), (None, theirs)]
    log = OutcomeLog(outcome_store.folder(home, "churn"))
    log.append([Outcome(name, 0, entity, "1", "2026-12-01T00:00:00.000+00:00") for name, entity in told], NOW)
    if is_archived:
        assert len(outcome_store.archive(home, "churn", NOW + timedelta(days=2))) == 1
    source = spec.as_source()
    assert source is not None
    request, _ = erasure_request.look(home, spec, [(source, folder)], LAST, actor="tester", now=NOW)
    certificate = erasure.erase(home, request)
    assert certificate["rows"]["served"] == 2 * 3 + 1 + 3  # in the log and in its shadow; named; outcomes
    assert named_in(home, (*MARKS, his.encode())) == set()
    (left,) = outcome_store.files(home, "churn")
    assert [(line["request_id"], line["entity"]) for line in outcome_store.read(left)] == [("about them", None), (None, theirs)]
    assert "about them" in {line["request_id"] for line in logged_requests.latest(home, "churn")}
    assert verify(home, deep=True).problems == []


def test_rows_are_erased_from_days_of_the_log_that_are_parquet(world: tuple[Path, Home]) -> None:
    """Also where a day became Parquet after they were found."""
    folder, home = world
    found, _ = look(folder, home, LAST)
    for archive in (logged_requests.archive, shadow_store.archive):
        assert len(archive(home, "churn", NOW + timedelta(days=2))) == 1
    request, _ = look(folder, home, LAST)
    assert [len(rows) for rows in request.logged.values()] == [len(rows) for rows in found.logged.values()] == [3, 3]
    request.logged = found.logged
    certificate = erasure.erase(home, request)
    assert named_in(home) == set()
    assert verify(home, deep=True).problems == []
    assert certificate["rows"]["served"] == 6
    for file in (*logged_requests.files(home, "churn"), *shadow_store.files(home, "churn")):
        left = [(line["request_id"], line["row_number"]) for line in logged_requests.lines_of(file, [])]
        assert sorted(left) == [("both", 0), ("theirs", 0)]


def test_no_landing_brings_a_person_back(world: tuple[Path, Home]) -> None:
    """Though the file still has the rows: the next run lands without them, and makes everything anew that rested on them."""
    folder, home = world
    erasure.erase(home, look(folder, home, LAST)[0])
    outcome = run_products(home, folder, spec_of())
    assert {"landing/churn/data", "churn/snapshot", "churn/model", "churn/verdict"} <= set(outcome.executed)
    (record,) = landed_tables.records(home, "churn", "data")
    assert (record.rows_in, record.rows_good, record.rows_quarantined) == (899, 899, 0)
    source = spec_of().as_source()
    assert source is not None
    (folder / "arriving" / "b.csv").write_text((folder / "arriving" / "a.csv").read_text().replace("X1", "X2"))
    Consumer(home, source, "data").consume(folder / "arriving")
    assert Consumer(home, source, "data").counts() == (2, 0)
    assert named_in(home) == set()
    assert all(link.problem == "" for link in lineage.chain(home, "churn"))
    with pytest.raises(DataError, match="was erased before"):
        look(folder, home, LAST)
    assert run_products(home, folder, spec_of()).executed == {}


def test_models_that_learnt_from_the_rows_are_named_and_may_be_kept(world: tuple[Path, Home]) -> None:
    """With a reason, and then nothing is stale."""
    folder, home = world
    request, _ = look(folder, home, EARLY)
    request.kept_because = "a court wants them"
    certificate = erasure.erase(home, request)
    (model,) = certificate["models"]
    assert (model["role"], model["version"], model["learnt_from_rows"]) == ("champion", 1, ["train"])
    assert certificate["retraining"] == "models are kept: a court wants them"
    assert named_in(home, (EARLY.encode(), b"lives elsewhere")) == set()
    assert verify(home, deep=True).problems == []
    # what was planted in the log was not looked at yet
    assert run_products(home, folder, spec_of()).executed == {"churn/monitoring": "churn/requests changed"}


def test_what_cannot_be_erased_is_one_error_and_nothing_changed(world: tuple[Path, Home]) -> None:
    """An unknown key, rows without a key, and a dry look."""
    folder, home = world
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file() and path.suffix != ".lock"}
    with pytest.raises(DataError, match="the key 'NOBODY' is in no row of customer_id. Nothing was changed"):
        look(folder, home, "NOBODY")
    look(folder, home, LAST)
    features = spec_of().features.model_dump() | {"entity": "source_row"}
    source = {"file": "customers.csv", "columns": COLUMNS}
    keyless = product("churn", features=features, source=source)
    own = keyless.as_source()
    assert own is not None
    with pytest.raises(SpecificationError, match="its rows have no key"):
        erasure_request.look(home, keyless, [(own, folder)], "7", actor="tester", now=NOW)
    assert {path: path.read_bytes() for path in before if path.exists()} == before


@pytest.mark.parametrize("step", [0, 4, 1000], ids=["first file", "fifth file", "certificate"])
def test_an_erasure_that_was_killed_is_finished(world: tuple[Path, Home], step: int) -> None:
    """Whatever was done already; the key stands in one file of the home's owner until then."""
    folder, home = world
    request, _ = look(folder, home, LAST)
    child = os.fork()
    if child == 0:
        done, erase = [0], erased_files.erase

        def erase_or_die(*given: Any) -> None:
            if done[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)
            done[0] += 1
            erase(*given)

        erased_files.erase = erase_or_die
        erasure.write_json = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        erasure.erase(home, request)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert oct((home.root / "erasures" / "pending.json").stat().st_mode & 0o777) == "0o600"
    certificate = erasure.finish(home)
    assert certificate is not None
    assert named_in(home) == set()
    assert verify(home, deep=True).problems == []
    assert {item["file"] for item in request.files} == {item["file"] for item in certificate["files"]}
    assert erasure.finish(home) is None
    assert [entry.finding for entry in ledger.entries(home, "churn")][-1:] != [None]


def test_a_certificate_that_was_changed_is_found(world: tuple[Path, Home]) -> None:
    """Also together with its line in the manifest: the ledger names its digest."""
    folder, home = world
    erasure.erase(home, look(folder, home, LAST)[0])
    path = home.root / "erasures" / "0001.json"
    write_json(path, {**read_json(path), "actor": "somebody else"})
    (problem,) = verify(home).problems
    assert (problem.file, problem.told) == ("erasures/0001.json", "the ledger names no such certificate")


def test_a_hashed_key_is_erased_by_its_pseudonym(made: Path, tmp_path: Path) -> None:
    """From records that never held the key itself."""
    home = Home(tmp_path / "home").prepare()
    spec = spec_of(privacy={"customer_id": "hash"})
    told = pseudonym_key.shown(home, spec.privacy, "customer_id", LAST)
    person = erasure.Person(LAST, ("customer_id",), pseudonym=told)
    record, found = erased_files.row_eraser.record({"examples": [{"entity": told}, {"entity": "hmac:other"}]}, person)
    assert (record, found) == ({"examples": [{"entity": "hmac:other"}]}, 1)
    assert made.exists()

"""Updates between promotions in the whole loop: the pointer names them, the service takes them on, the ledger stays as it is."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from assets.monitoring import logged_requests
from assets.promotion import ledger
from assets.serving import bento_package
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from assets.streaming.label_journal import CURRENT
from bentos.app import ModelApp
from bentos.served import Served
from orchestration.cli import learning
from orchestration.operations.verification.verify import verify
from tests.assets.streaming.update_world import new_customers, updating
from tests.assets.training.test_online_learning import delayed
from tests.bentos.serving import answering, until
from tests.clones import copied, loopline
from tests.shop import run_products

PARTS: dict[str, Any] = {
    "gates": {"metrics": {"roc_auc": {"min": 0.5}}},
    # however busy the machine of a test is, it is not what is tested
    "serving": {"sql": "off", "max_lag_ms": 60_000, "timeout_seconds": 60.0},
    "evaluation": {"bootstrap_replicates": 100, "cross_fitted_below": 0},
}
BLOCK = 40


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Home]:
    """A clone that declares churn with updates, and a home in which it was run."""
    folder = tmp_path_factory.mktemp("updates")
    made = copied(folder / "clone")
    shutil.rmtree(made / "orchestration" / "defs")
    product = made / "orchestration" / "defs" / "churn"
    product.mkdir(parents=True)
    spec = updating(PARTS, updates={"rows": BLOCK})
    told = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    declared = {"type": "orchestration.components.ModelProduct", "attributes": told}
    (product / "defs.yaml").write_text(yaml.safe_dump(declared))
    delayed(1200).to_csv(product / "customers.csv", index=False)
    home = Home(folder / "home")
    run_products(home, product, spec)
    return made, home


def test_a_running_service_takes_on_what_its_labels_teach(clone: tuple[Path, Home]) -> None:
    """No request is dropped; header, log and `/model` name the state, and all else still names the promoted model."""
    tree, home = clone
    champion = ledger.require_champion(home, "churn")
    pointer = bento_package.pointer(home, "churn")
    package = (pointer.parent / read_json(pointer)["folder"]).resolve()
    frame = new_customers(100)[["age", "plan", "visits", "churned"]].astype(object)
    rows = frame.where(frame.notna(), None).drop(index=3).to_dict("records")
    labels = {f"r{number}": row.pop("churned") == "yes" for number, row in enumerate(rows)}
    answers: list[httpx.Response] = []
    with answering(ModelApp(Served.load(package), pointer=pointer, log_folder=home.served / "churn")) as client:
        promoted = client.get("/model").headers["X-Model-State"]
        asked = [client.post("/predict", json={"row": row}, headers={"X-Request-ID": f"r{n}"}) for n, row in enumerate(rows)]
        told = [{"request_id": name, "outcome": came, "observed_at": "2026-03-02T08:00:00Z"} for name, came in labels.items()]
        assert client.post("/outcomes", json={"outcomes": told}).json()["accepted"] == len(rows)
        contradicted = {"outcomes": [{**told[0], "outcome": not told[0]["outcome"]}]}
        assert client.post("/outcomes", json=contradicted).json()["accepted"] == 1
        until(lambda: len(list(logged_requests.latest(home, "churn"))) == len(rows))
        going = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=client.base_url, timeout=30) as own:
                while not going.is_set():
                    answers.append(own.post("/predict", json={"row": rows[0]}))
                    going.wait(0.05)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        done = loopline("learn-online", "churn", "--once", home=home.root, cwd=tree, columns=200)
        named = "churn: another value was told of r0/0 (1 in all); the one that was told first stands\n"
        assert (done.returncode, done.stderr) == (0, named)
        state = read_json(home.updates("churn") / CURRENT)["state"]
        assert f"churn: 80 labels learned, 19 wait; version 1 answers by state {state[:12]}, 80 labels after" in done.stdout
        until(lambda: client.get("/model").headers["X-Model-State"] == state)
        until(lambda: any(answer.headers["X-Model-State"] == state for answer in answers.copy()))
        last = client.post("/predict", json={"row": rows[0]}, headers={"X-Request-ID": "last"})
        going.set()
        for thread in threads:
            thread.join()
        described = client.get("/model").json()
        assert {answer.status_code for answer in (*asked, *answers)} == {200}
        by_state = {answer.headers["X-Model-State"]: answer.json()["prediction"]["probability"] for answer in answers}
        with closing(sqlite3.connect(next(home.updates("churn").glob("*.sqlite")))) as journal:
            kept = {digest for (digest,) in journal.execute("select digest from states")}
        assert {promoted, state} <= set(by_state) <= {promoted, *kept}
        assert by_state[promoted] == asked[0].json()["prediction"]["probability"] != by_state[state]
        assert last.json()["prediction"]["probability"] == by_state[state]
        assert {answer.headers["X-Model-Digest"] for answer in answers} == {champion.model_digest}
        assert (described["updated"]["rows"], described["model_digest"]) == (80, champion.model_digest)

        until(lambda: "last" in {line["request_id"] for line in logged_requests.latest(home, "churn")})
        logged = {line["request_id"]: line["state_digest"] for line in logged_requests.latest(home, "churn")}
        assert (logged["r0"], logged["last"]) == (promoted, state)
    assert verify(home, deep=True).problems == []


def test_status_and_metrics_say_how_far_the_learner_is(clone: tuple[Path, Home]) -> None:
    """As it left it."""
    tree, home = clone
    seen = loopline("status", "churn", home=home.root, cwd=tree, columns=200).stdout
    assert "churn: 80 labels learned since the promotion, 19 wait; a learner looked " in seen
    told_by = loopline("metrics", home=home.root, cwd=tree).stdout
    assert 'loopline_updates_learned_labels{product="churn"} 80.0' in told_by
    assert 'loopline_updates_unseen_outcomes{product="churn"} 0.0' in told_by
    assert 'loopline_updates_looked_timestamp_seconds{product="churn"} 1' in told_by


def test_a_gateway_that_is_not_there_ends_no_learner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told."""
    monkeypatch.setenv("LOOPLINE_PUSHGATEWAY", "127.0.0.1:9")
    learning._push(Home(tmp_path / "home").prepare())
    assert "the Pushgateway at 127.0.0.1:9 does not take metrics" in capsys.readouterr().err


def test_while_arms_are_compared_the_champion_answers_as_it_was_promoted(clone: tuple[Path, Home], tmp_path: Path) -> None:
    """An arm that learns would be another one each hour; the same where an arm cannot be loaded."""
    _, home = clone
    pointer, other = bento_package.pointer(home, "churn"), tmp_path / "champion.json"
    champion, told = ledger.require_champion(home, "churn"), read_json(home.updates("churn") / CURRENT)
    package, updates = (str((pointer.parent / read_json(pointer)[name]).resolve()) for name in ("folder", "updates"))
    named = {"folder": package, "updates": updates}
    arm = {"name": "a", "share": 1.0, "folder": None, "model_digest": champion.model_digest}
    write_json(other, named)
    with answering(ModelApp(Served.load(Path(package)), pointer=other)) as client:
        assert client.get("/model").headers["X-Model-State"] == told["state"]
        for known in (arm, {**arm, "folder": "gone", "model_digest": "0" * 64}):
            write_json(other, {**named, "split": {"experiment": "trial", "salt": "s", "arms": [known]}})
            until(lambda: "updated" not in client.get("/model").json())
            write_json(other, named)
            until(lambda: client.get("/model").headers["X-Model-State"] == told["state"])


def test_a_product_without_updates_is_told(clone: tuple[Path, Home], tmp_path: Path) -> None:
    """By one error."""
    tree, home = clone
    other = copied(tmp_path / "clone")
    shutil.rmtree(other / "orchestration" / "defs")
    shutil.copytree(tree / "orchestration" / "defs", other / "orchestration" / "defs")
    file = other / "orchestration" / "defs" / "churn" / "defs.yaml"
    declared = yaml.safe_load(file.read_text())
    del declared["attributes"]["model"]["learning"]["online"]["updates"]
    file.write_text(yaml.safe_dump(declared))
    done = loopline("learn-online", "churn", "--once", home=home.root, cwd=other, columns=200)
    assert done.returncode == 1
    assert "churn: 'model.learning.online.updates' is not declared, so nothing is learned between promotions." in done.stderr
    with closing(sqlite3.connect(next(home.updates("churn").glob("*.sqlite")))) as journal:
        assert journal.execute("select count(*) from labels").fetchone() == (99,)

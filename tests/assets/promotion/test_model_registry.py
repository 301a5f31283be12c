"""The registry: a version carries its lineage, is registered once, and aliases move only when told."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from assets.promotion import mlflow_client, model_registry, registered_versions
from assets.promotion.registered_versions import CHALLENGER, CHAMPION
from assets.storage.home import Home
from assets.training import current_model, estimators
from orchestration.operations.verification.verify import verify
from tests.world import World, found_out


def registered(world: World, home: Home, evaluation_digest: str | None = None) -> registered_versions.Version:
    """Register what was evaluated last, as the loop does."""
    done = found_out(home)
    digest = done.record["model_digest"]
    return model_registry.register(
        home,
        world.product,
        model_folder=home.models / "flight_delay" / digest,
        model_digest=digest,
        snapshot_digest=done.record["snapshot_digest"],
        evaluation=done.record,
        evaluation_digest=evaluation_digest or done.digest,
        evidence_folder=done.path.parent,
        code_version="test",
        trusted_types=estimators.trusted_types(world.product),
    )


def test_the_first_version_is_challenger_and_champion(ran: Home) -> None:
    """The gate let it pass."""
    champion = registered_versions.holder(ran, "flight_delay", CHAMPION)
    assert champion == registered_versions.holder(ran, "flight_delay", CHALLENGER)
    assert champion is not None
    assert champion.version == 1
    assert champion.model_digest == current_model.current(ran, "flight_delay")[0]


def test_the_same_evaluated_model_is_not_registered_again(world: World, ran_copy: Home) -> None:
    """A run that was killed after registering finds its version."""
    before = registered_versions.holder(ran_copy, "flight_delay", CHALLENGER)
    assert registered(world, ran_copy) == before


@pytest.mark.parametrize("written", ["model.skops", "manifest.pending"])
def test_a_registration_that_was_killed_is_made_anew_and_leaves_no_file(
    world: World, ran: Home, ran_copy: Home, written: str
) -> None:
    """While MLflow lays its files, and when there is a version but no manifest names them."""
    with sqlite3.connect(mlflow_client.database(ran_copy)) as connection:  # what is registered from now on lies in the copy
        connection.execute(
            "update experiments set artifact_location = replace(artifact_location, ?, ?)", [str(ran.root), str(ran_copy.root)]
        )
    child = os.fork()
    if not child:

        def kill(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and str(arguments[0]).endswith(written) and str(arguments[1]) != "rb" and before != files():
                os.kill(os.getpid(), signal.SIGKILL)

        def files() -> int:
            return sum(1 for _ in (ran_copy.registry / "artifacts").rglob("*"))

        before = files()
        sys.addaudithook(kill)
        registered(world, ran_copy, "0" * 64)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert any("are of a registration that was cut off" in told for told in verify(ran_copy.prepare()).notes)
    assert registered(world, ran_copy, "0" * 64).version == 2
    after = verify(ran_copy)
    assert ([problem for problem in after.problems if problem.state != "disagrees"], after.notes) == ([], [])


def test_a_run_carries_parameters_metrics_and_artifacts(ran: Home) -> None:
    """What a reader of MLflow looks for, and no pickle among it."""
    champion = registered_versions.holder(ran, "flight_delay", CHAMPION)
    assert champion is not None
    with mlflow_client.connected(ran) as client:
        run = client.get_run(champion.run_id)
    assert run.data.params["max_iter"] == "30"
    record = found_out(ran).record
    assert run.data.metrics["test_roc_auc"] == pytest.approx(record["metrics"]["model"]["roc_auc"]["value"])
    assert run.data.metrics["test_roc_auc_low"] < run.data.metrics["test_roc_auc"]
    assert run.data.tags["snapshot_digest"] == champion.snapshot_digest
    folder = ran.registry / "artifacts" / "flight_delay" / champion.run_id / "artifacts"
    assert run.info.artifact_uri == folder.as_uri()
    assert {path.name for path in folder.iterdir()} >= {"evidence", "served"}
    stored = [file.name for file in (ran.registry / "artifacts").rglob("*") if file.is_file()]
    assert any(name.endswith(".skops") for name in stored)
    assert not [name for name in stored if name.endswith((".pkl", ".pickle", ".joblib"))]


def test_the_verdict_is_on_the_version(ran: Home) -> None:
    """With the path of its record."""
    with sqlite3.connect(ran.registry / "mlflow.db") as connection:
        tags = dict(connection.execute("select key, value from model_version_tags where version = 1").fetchall())
    assert tags["verdict"] == "promoted"
    assert (ran.root / tags["verdict_path"]).exists()


def test_an_alias_of_nobody_is_none(ran: Home, home: Home) -> None:
    """Of a product without versions, and in a home without a registry."""
    assert registered_versions.holder(ran, "unheard_of", CHAMPION) is None
    assert registered_versions.holder(home, "flight_delay", CHAMPION) is None


def test_a_database_whose_making_was_interrupted_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow refuses one that lacks migrations; so none is there before it is whole."""
    home = Home(tmp_path / "home").prepare()

    def interrupted(engine: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sys, "prefix", str(tmp_path / "environment"))
        patched.setattr("mlflow.store.db.utils._upgrade_db", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model_registry.show_trials(home, "churn", "study", [])
    assert not mlflow_client.database(home).exists()
    assert list(home.temporary.iterdir()) == []
    model_registry.show_trials(home, "churn", "study", [(0, {"depth": 2}, 0.5)])
    assert mlflow_client.database(home).exists()

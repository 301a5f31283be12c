"""Tuning: it never ends below the declaration, sees no test row, goes on after a kill, and shows each trial in MLflow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest

from assets.features import labelled_rows, publish, snapshots
from assets.features.snapshots import Snapshot
from assets.ingestion import landed_tables, landing
from assets.promotion import mlflow_client, model_registry
from assets.spec import ProductSpec
from assets.storage.home import REPOSITORY, Home
from assets.storage.publishing import read_json
from assets.training import tuning
from tests.shop import AT_RANDOM, customers, product

SEARCH = {
    "trials": 6,
    "folds": 2,
    "parameters": {"learning_rate": {"low": 0.02, "high": 0.5, "log": True}, "max_iter": {"low": 5, "high": 40}},
}


def prepared(home: Home, folder: Path, spec: ProductSpec) -> Snapshot:
    """The customers, landed and published."""
    if not (folder / "customers.csv").exists():
        customers(900).to_csv(folder / "customers.csv", index=False)
    source = spec.as_source()
    assert source is not None
    landing.land(home, source, "data", folder)
    with publish.candidate(home, spec, landed_tables.files(home, spec.name, "data")) as connection:
        return publish.publish(home, spec, connection, {})


def search(home: Home, spec: ProductSpec, snapshot: Snapshot, **hooks: Any) -> tuning.Tuned:
    """Search without feature parameters, shown in MLflow."""

    def show(study: str, trials: list[tuning.Trial]) -> None:
        model_registry.show_trials(home, spec.name, study, [(item.number, item.parameters, item.value) for item in trials])

    given: dict[str, Any] = {"declared_settings": {}, "snapshot_with": lambda settings: snapshot, "show": show, **hooks}
    return tuning.tune(home, spec, snapshot, **given)


@pytest.mark.parametrize(("name", "split"), [("churn", None), ("tier", AT_RANDOM), ("spend", None)])
def test_the_search_ends_at_or_above_the_declaration(home: Home, tmp_path: Path, name: str, split: Any) -> None:
    """The first trial is the declaration; the best one is used from then on, whichever way the metric counts."""
    parts = {"tune": SEARCH} | ({"split": split} if split else {})
    spec = product(name, **parts)
    found = search(home, spec, prepared(home, tmp_path, spec))
    assert found.trials == 6
    assert found.declared.parameters["max_iter"] == 30
    sign = 1 if spec.metric == "roc_auc" else -1
    assert sign * found.best.value >= sign * found.declared.value
    applied = tuning.applied(home, spec).model.parameters
    assert applied["max_iter"] == found.best.parameters["max_iter"]
    assert isinstance(applied["max_iter"], int)
    assert applied["max_leaf_nodes"] == 8, "what is not searched stays as declared"


def test_no_test_row_is_looked_at(home: Home, tmp_path: Path) -> None:
    """Test labels turned round change nothing."""
    spec = product("spend", tune=SEARCH)
    snapshot = prepared(home, tmp_path, spec)
    found = search(home, spec, snapshot)
    frame = snapshots.read(snapshot)
    test = labelled_rows.labelled(spec, frame)["test"].rows.index
    frame.loc[test, "spend"] *= -1
    path = tmp_path / "turned.parquet"
    frame.to_parquet(path)
    again = search(home, spec, Snapshot(path, "another", len(frame)))
    assert again.study != found.study
    assert again.declared.folds == found.declared.folds


def test_each_trial_is_a_child_run_once(home: Home, tmp_path: Path) -> None:
    """Shown again after a resumed search, none is doubled."""
    spec = product("churn", tune=SEARCH)
    snapshot = prepared(home, tmp_path, spec)
    found = search(home, spec, snapshot)
    assert search(home, spec, snapshot) == found, "a search that is done is not searched again"
    client = mlflow.MlflowClient(f"sqlite:///{mlflow_client.database(home)}")
    experiment = client.get_experiment_by_name("churn-tuning")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "trial" in run.data.tags]
    (parent,) = [run for run in runs if "trial" not in run.data.tags]
    assert sorted(int(run.data.tags["trial"]) for run in children) == list(range(6))
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert all("cross_validated" in run.data.metrics and "max_iter" in run.data.params for run in children)


KILLED = """
import os, sys
from pathlib import Path
from assets.features import snapshots
from assets.storage.home import Home
from tests.assets.training.test_tuning import SEARCH, search
from tests.shop import product
home = Home(Path(sys.argv[1]))
spec = product("churn", tune=SEARCH)
def show(study, trials):
    if len(trials) == 3:
        os._exit(9)
search(home, spec, snapshots.current(home, "churn"), show=show)
"""


def test_a_killed_search_goes_on_where_it_was(home: Home, tmp_path: Path) -> None:
    """The trials that were done are kept, the budget counts them, and all are shown in the end."""
    spec = product("churn", tune=SEARCH)
    snapshot = prepared(home, tmp_path, spec)
    died = subprocess.run([sys.executable, "-c", KILLED, str(home.root)], cwd=REPOSITORY, check=False)
    assert died.returncode == 9
    assert not (home.tuning / "churn" / "current.json").exists()
    seen: list[int] = []
    found = search(home, spec, snapshot, show=lambda study, trials: seen.append(len(trials)))
    assert seen == [4, 5, 6, 6]
    assert found.trials == 6
    assert read_json(found.path)["trials"] == 6


def test_feature_parameters_are_searched_and_told_but_not_changed(home: Home, tmp_path: Path) -> None:
    """Each value is built once; a better one is reported, and the model keeps the declared features."""
    spec = product("spend", tune={**SEARCH, "trials": 8, "warehouse": {"window": {"values": [1, 2]}}})
    snapshot = prepared(home, tmp_path, spec)
    better = snapshots.read(snapshot)
    better["age"] = better["spend"].astype("float32")  # with this window a feature gives the target away
    path = tmp_path / "better.parquet"
    better.to_parquet(path)
    built: list[dict[str, Any]] = []

    def snapshot_with(settings: Any) -> Snapshot:
        built.append(dict(settings))
        return Snapshot(path, "better", len(better))

    found = search(home, spec, snapshot, declared_settings={"window": 1}, snapshot_with=snapshot_with)
    assert built == [{"window": 2}]
    assert found.best_of_all.parameters["warehouse.window"] == 2
    assert found.best.parameters["warehouse.window"] == 1
    assert found.best_of_all.value < found.best.value
    assert "warehouse.window" not in tuning.applied(home, spec).model.parameters
    shutil.rmtree(home.tuning)
    assert tuning.applied(home, spec) == spec

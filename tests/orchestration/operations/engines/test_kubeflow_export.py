"""Exported Kubeflow pipelines: the asset graph as tasks; compiled by kfp, and run whole with the digests of `loopline run`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from assets.errors import PackagingError, SpecificationError
from assets.storage.home import REPOSITORY, Home
from orchestration.definitions import defs
from orchestration.operations.engines import kubeflow_export
from orchestration.operations.engines.kubeflow_export import Task, dependencies, program, require_same, tasks
from tests.clones import copied, loopline
from tests.shop import customers, product

KUBEFLOW = REPOSITORY / ".venv-kubeflow"
SAME = ("snapshot", "model", "evaluation", "leakage", "robustness", "predictions", "sql")
"""Assets whose content holds no time."""


@pytest.fixture(scope="module")
def found() -> list[Task]:
    """The tasks of the flights' product."""
    return tasks(defs.resolve_asset_graph(), "flight_delay")


def test_each_asset_is_a_task_that_waits_for_what_it_rests_on(found: list[Task]) -> None:
    """What is made on demand is none; what also rests on a file, a log or a ledger is never taken from kfp's cache."""
    graph = defs.resolve_asset_graph()
    names = {task.variable: task.asset for task in found}
    for task in found:
        (key,) = [key for key in graph.toposorted_asset_keys if key.to_user_string() == task.asset]
        parents = {item.to_user_string(): graph.get(item).is_executable for item in graph.get(key).parent_keys}
        assert {names[item] for item in task.inputs} == {name for name, is_task in parents.items() if is_task}
        assert task.is_cached is (bool(parents) and all(parents.values()))
        assert task.code_version == graph.get(key).code_version
    assert "flight_delay/image" not in names.values()
    after = {task.asset.split("/")[1] for task in found if task.is_after_gate}
    assert after == {"bento", "monitoring", "predictions", "sql", "wheel", "parity"}


def test_the_warehouse_is_opened_by_one_task_at_a_time(found: list[Task]) -> None:
    """Each of them waits for the one before: DuckDB takes one writer."""
    turns = [task for task in found if task.in_turn_after is not None]
    chain = [turns[0].in_turn_after, *(task.variable for task in turns)]
    assert [task.in_turn_after for task in turns] == chain[:-1]
    assert {"seeds__airport_time_zones", "staging__stg_flights", "flight_delay__snapshot"} <= set(chain)
    assert "flight_delay__model" not in chain


def test_the_program_is_python_and_names_each_task(found: list[Task]) -> None:
    """Without kfp: its text compiles, and each asset is displayed by its key."""
    place = {"python": Path("/usr/bin/python3"), "checkout": Path("/a 'b'"), "home": Path("/home")}
    text = program(found, "flight_delay", **place, image="localhost/python:1")
    compile(text, "pipeline.py", "exec")
    assert all(f'{task.variable}.set_display_name("{task.asset}")' in text for task in found)
    assert text.count(".set_caching_options(False)") == sum(not task.is_cached for task in found)


def test_a_product_that_is_not_declared_is_refused() -> None:
    """By name, with those that are."""
    with pytest.raises(SpecificationError, match=r"there is no product 'nobody'. Declared are: .*flight_delay"):
        tasks(defs.resolve_asset_graph(), "nobody")


def test_without_kfp_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with its make target."""
    monkeypatch.setattr(kubeflow_export, "PYTHON", tmp_path / "python")
    with pytest.raises(PackagingError, match="`make kubeflow` sets it up"):
        kubeflow_export.compiled(Home(tmp_path / "home").prepare(), "")


def representation(condition_takes: str) -> str:
    """A compiled pipeline of three tasks, as kfp writes it: the last stands under a condition, and takes one of the others."""

    def task(name: str, component: str, **inputs: Any) -> dict[str, Any]:
        return {"taskInfo": {"name": name}, "componentRef": {"name": component}, "inputs": {"parameters": inputs}}

    digest = {"taskOutputParameter": {"producerTask": "step-model", "outputParameterKey": "digest"}}
    taken = {"taskOutputParameter": {"producerTask": condition_takes, "outputParameterKey": "digest"}}
    root = {
        "step-model": task("churn/model", "step", asset={"runtimeValue": {"constant": "churn/model"}}),
        "step-model-2": task("churn/champion", "step", item=digest),
        "gate": task("gate", "step", status={**digest, "taskOutputParameter": {"producerTask": "step-model-2"}}),
        "condition-1": task(
            "not refused", "condition", channel=taken, answer={"taskOutputParameter": {"producerTask": "gate"}}
        ),
    }
    inner = {"step-model-3": task("churn/bento", "step", item={"componentInputParameter": "channel"})}
    components = {"step": {"executorLabel": "exec"}, "condition": {"dag": {"tasks": inner}}}
    return yaml.safe_dump({"root": {"dag": {"tasks": root}}, "components": components})


def test_a_compiled_pipeline_that_waits_for_something_else_is_found() -> None:
    """Also through a condition; and a task that is missing."""
    three = [
        Task("churn/model", "model", "Model", "v", (), is_cached=False, is_after_gate=False, in_turn_after=None),
        Task(
            "churn/champion", "champion", "Artifact", "v", ("model",), is_cached=True, is_after_gate=False, in_turn_after=None
        ),
        Task("churn/bento", "bento", "Artifact", "v", ("champion",), is_cached=True, is_after_gate=True, in_turn_after=None),
    ]
    right = representation("step-model-2")
    assert dependencies(right)["churn/bento"] == {"churn/champion"}
    require_same(three, right)
    told = r"churn/bento waits for \['churn/model'\], but rests on \['churn/champion'\]"
    with pytest.raises(PackagingError, match=told):
        require_same(three, representation("step-model"))
    with pytest.raises(PackagingError, match=r"churn/bento waits for \['churn/champion'\], but rests on no task"):
        require_same(three[:2], right)


@pytest.mark.skipif(not KUBEFLOW.exists(), reason="Kubeflow Pipelines is not set up: make kubeflow")
def test_kfps_local_runner_makes_the_digests_that_a_run_makes(tmp_path: Path) -> None:
    """A process a task: first under a gate that refuses, after which no service is made; then under the declared gate."""
    clone, home, other = copied(tmp_path / "clone"), tmp_path / "home", tmp_path / "other"
    (clone / ".venv-kubeflow").symlink_to(KUBEFLOW)
    customers().to_csv(tmp_path / "customers.csv", index=False)
    declare(clone, tmp_path / "customers.csv", gates={"metrics": {"roc_auc": {"min": 0.99}}})
    refused = run_pipeline(clone, home, tmp_path / "first")
    assert refused["churn/champion"]["status"] == "refused"
    assert "0.99" in refused["churn/champion"]["error"]
    declare(clone, tmp_path / "customers.csv")
    piped = run_pipeline(clone, home, tmp_path / "second")
    assert {name: piped[f"churn/{name}"]["status"] for name in ("model", "verdict", "champion")} == {
        "model": "kept",
        "verdict": "made",
        "champion": "made",
    }
    assert set(piped) - set(refused) == {
        f"churn/{name}" for name in ("bento", "monitoring", "parity", "predictions", "sql", "wheel")
    }
    done = loopline("run", "churn", home=other, cwd=clone)
    assert done.returncode == 0, done.stderr
    last = json.loads(loopline("step", "churn", "--json", home=other, cwd=clone).stdout.splitlines()[-1])
    looped = {item["asset"]: item["data_version"] for item in last["assets"]}
    same = [f"churn/{name}" for name in SAME]
    assert {name: piped[name]["assets"][0]["data_version"] for name in same} == {name: looped[name] for name in same}
    assert piped.keys() >= looped.keys()


def declare(clone: Path, file: Path, **parts: object) -> None:
    """Let a clone declare one product, some of its parts replaced."""
    shutil.rmtree(clone / "orchestration" / "defs")
    spec = product("churn", **parts).model_dump(mode="json", exclude_defaults=True)
    spec["source"]["file"] = str(file)
    place = clone / "orchestration" / "defs" / "churn"
    place.mkdir(parents=True)
    text = yaml.safe_dump({"type": "orchestration.components.ModelProduct", "attributes": spec})
    (place / "defs.yaml").write_text(text, encoding="utf-8")


def run_pipeline(clone: Path, home: Path, folder: Path) -> dict[str, Any]:
    """Export the product's pipeline, run it by kfp, and read each task's result from its artifact."""
    done = loopline("export", "kubeflow", "churn", "--out", str(folder / "out"), home=home, cwd=clone)
    assert done.returncode == 0, done.stderr
    command = [str(KUBEFLOW / "bin" / "python"), str(REPOSITORY / "tests" / "kubeflow_run.py"), "out/pipeline.py", "artifacts"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    results = [json.loads(path.read_text()) for path in (folder / "artifacts").rglob("made") if path.is_file()]
    return {result["asset"]: result for result in results}

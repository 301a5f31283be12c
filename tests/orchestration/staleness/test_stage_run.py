"""A stage in a process of its own: the same digests as the whole loop's, whoever calls it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from assets.errors import SpecificationError, UpstreamError
from assets.incidents import incident_log
from assets.promotion import ledger
from assets.spec import ProductSpec
from assets.storage.home import Home
from assets.storage.publishing import read_json, write_json
from orchestration import resources
from orchestration.staleness.parallel_products import make_side_by_side, require_memory
from orchestration.staleness.recorded_versions import Versions
from orchestration.staleness.stage_run import StepResult, keys_named, step
from tests.clones import copied, loopline
from tests.shop import customers, definitions, product

DAGSTER = """
import sys
import dagster as dg

with dg.DagsterInstance.ephemeral() as instance:

    @dg.asset(key=["churn", "model"])
    def model(context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient):
        command = [sys.executable, "-m", "orchestration", "step", "churn", "model"]
        return pipes.run(command=command, context=context).get_results()

    done = dg.materialize([model], resources={"pipes": dg.PipesSubprocessClient()}, instance=instance)
    made = done.asset_materializations_for_node("churn__model")[0]
    print("told", made.tags["dagster/data_version"], made.metadata["made_because"].value)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The customers' file."""
    folder = tmp_path_factory.mktemp("shop")
    customers().to_csv(folder / "customers.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def looped(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which steps made a product, asset after asset in the graph's order; do not change it."""
    home = Home(tmp_path_factory.mktemp("looped") / "home")
    graph = definitions(home, folder, product("churn")).resolve_asset_graph()
    wanted = keys_named(graph, "churn")
    for key in (key for key in graph.toposorted_asset_keys if key in wanted):
        result = stepped(home, folder, key.to_user_string())
        assert (result.status, [made.made_because for made in result.assets]) == ("made", ["never made"]), result.error
    return home


@pytest.fixture
def looped_copy(looped: Home, tmp_path: Path) -> Iterator[Home]:
    """A copy of it, to be changed."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(looped.root, copy.root)
    yield copy
    shutil.rmtree(copy.root)


def stepped(home: Home, folder: Path, target: str, *stages: str, spec: ProductSpec | None = None, **options: Any) -> StepResult:
    """A step on the shop's products, in this process."""
    declared = definitions(home, folder, spec or product("churn"))
    with resources.instance(home.prepare()) as instance:
        return step(declared, instance, home, keys_named(declared.resolve_asset_graph(), target, stages), **options)


def digests(home: Home, declared: dg.Definitions) -> dict[str, str]:
    """The data version of each asset but those that hold times: a verdict holds how fast the model answered."""
    graph = declared.resolve_asset_graph()
    with resources.instance(home) as instance:
        versions = Versions(graph, instance, home)
        names = ("snapshot", "model", "evaluation", "leakage", "robustness", "predictions", "sql")
        return {key.to_user_string(): versions.current(key) for key in graph.toposorted_asset_keys if key.path[-1] in names}


def test_what_is_fresh_is_kept_and_what_is_lost_comes_back(looped_copy: Home, folder: Path) -> None:
    """So that any engine may try a step again."""
    kept = stepped(looped_copy, folder, "churn", "predictions")
    assert (kept.status, kept.assets[0].made_because) == ("kept", None)
    output = looped_copy.root / str(kept.assets[0].output)
    output.unlink()
    made = stepped(looped_copy, folder, "churn", "predictions")
    assert (made.status, made.assets[0].made_because) == ("made", "its output is gone")
    assert made.assets[0].data_version == kept.assets[0].data_version
    assert output.exists()


def test_an_input_that_is_missing_or_of_other_code_is_refused(looped_copy: Home, folder: Path, tmp_path: Path) -> None:
    """By name, with what to do; nothing is made."""
    with pytest.raises(UpstreamError, match=r"its input churn/snapshot was never made. First `loopline step churn/snapshot`"):
        stepped(Home(tmp_path / "empty"), folder, "churn", "model")
    other = product("churn", model={**product("churn").model.model_dump(), "parameters": {"max_iter": 31}})
    with pytest.raises(UpstreamError, match=r"churn/model was made by other code than this process has: model.parameters"):
        stepped(looped_copy, folder, "churn", "evaluation", spec=other)


@pytest.mark.parametrize(
    ("target", "stages", "partition", "told"),
    [
        ("nobody", (), None, "there is no product, source or asset 'nobody'. Products: churn."),
        ("churn", ("modle",), None, "churn has no stage 'modle'. It has: "),
        ("churn/modle", (), None, "there is no asset 'churn/modle' that can be made. There are: "),
        ("churn", ("model",), "2013-01", "churn/model has no partitions: leave --partition out."),
    ],
)
def test_a_wrong_name_is_one_clear_error(
    looped: Home, folder: Path, target: str, stages: tuple[str, ...], partition: str | None, told: str
) -> None:
    """With what there is."""
    with pytest.raises(SpecificationError) as error:
        stepped(looped, folder, target, *stages, partition=partition)
    assert str(error.value).startswith(told)


def test_a_refusal_by_the_gate_is_a_result(folder: Path, home: Home) -> None:
    """Of its own kind, which engines tell from a failure."""
    strict = product("churn", gates={"metrics": {"roc_auc": {"min": 0.99}}})
    result = stepped(home, folder, "churn", spec=strict)
    assert result.status == "refused"
    assert "0.99" in str(result.error)
    assert {made.asset for made in result.assets} >= {"churn/verdict", "churn/report"}


def test_one_month_of_a_partitioned_asset(world: Any, home: Home) -> None:
    """Only that one is landed; a month that is not declared is refused."""
    declared = world.definitions(home)
    wanted = keys_named(declared.resolve_asset_graph(), "landing/flights/weather")
    with resources.instance(home) as instance:
        result = step(declared, instance, home, wanted, partition="2013-02")
        assert [(made.partition, made.made_because) for made in result.assets] == [("2013-02", "new or changed")]
        assert step(declared, instance, home, wanted, partition="2013-02").status == "kept"
        with pytest.raises(SpecificationError, match=r"has no partition '2014-02'. It has 2013-01 to 2013-06"):
            step(declared, instance, home, wanted, partition="2014-02")


def test_a_worker_without_access_to_the_store_says_so_as_its_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON, which the engine that started it reads; it makes nothing."""
    settings = {"LOOPLINE_STORE": "s3://nobody/x", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "LOOPLINE_STORE_TIMEOUT": "2"}
    for name, value in {**settings, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)
    done = loopline("step", "flight_delay", "model", "--json", home=tmp_path / "home")
    (told,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, told["event"], told["status"], told["assets"]) == (1, "result", "failed", [])
    assert told["error"].startswith("the store s3://nobody/x: it does not answer")
    assert not (tmp_path / "home" / "landing").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--jobs", "0"), "Invalid value for '--jobs': 0 is not in the range x>=1"),
        (("--jobs", "2", "--memory", "0.05"), "Invalid value for '--memory': 0.05 is not in the range x>=0.1"),
    ],
)
def test_no_process_and_no_memory_are_refused(home: Home, arguments: tuple[str, ...], told: str) -> None:
    """Before anything is made."""
    done = loopline("run", *arguments, home=home.root)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert not home.landing.exists()


def test_less_memory_than_a_product_needed_is_refused(tmp_path: Path) -> None:
    """By the product that needs most; one that was never measured is not."""
    home = Home(tmp_path / "home").prepare()
    for name, needed in (("churn", 700_000_000), ("spend", 1_200_000_000)):
        write_json(home.steps / f"{name}.json", {"peak_memory_bytes": needed})
    require_memory(home, ["churn", "tier"], 800_000_000)
    told = r"--memory 0.8 is less than spend alone needed last time: 1.20 GB. Give --memory 1.21 or more, or leave it out."
    with pytest.raises(SpecificationError, match=re.escape(told)):
        require_memory(home, ["churn", "spend"], 800_000_000)


def test_any_way_to_run_gives_the_same_digests(looped: Home, folder: Path, tmp_path: Path) -> None:
    """A shell loop of steps, and two products side by side by two workers; Dagster hears of a step that it starts by Pipes.

    Ctrl-C ends a run at once, with one line and no incident; the next goes on.
    """
    clone, home = declaring(tmp_path / "clone", folder, "churn", "spend"), Home(tmp_path / "home")
    for options in ((), ("--jobs", "2")):
        returncode, printed = interrupted(home, clone, *options)
        assert (returncode, printed[-1].split(";")[0]) == (130, "interrupted"), "".join(printed)
        assert not any("Traceback" in line or "incident" in line or "/champion" in line for line in printed), "".join(printed)
    assert incident_log.incidents(home) == []
    ran = loopline("run", "--jobs", "2", home=home.root, cwd=clone)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    same = digests(looped, definitions(looped, folder, product("churn")))
    assert len(same) == 7
    assert digests(home, definitions(home, folder, product("churn"))) == same
    serving = [ledger.standing(place, "churn").champion_digest for place in (home, looped)]
    assert serving[0] is not None
    assert serving[0] == serving[1]
    again = loopline("run", "--jobs", "2", home=home.root, cwd=clone)
    assert "nothing changed: 0 of " in again.stdout
    told = loopline("step", "churn", "model", "--json", home=home.root, cwd=clone)
    result = json.loads(told.stdout.splitlines()[-1])
    assert (told.returncode, result["event"], result["status"]) == (0, "result", "kept")
    assert [made["data_version"] for made in result["assets"]] == [same["churn/model"]]
    heard = subprocess.run(
        [sys.executable, "-c", DAGSTER],
        env={**os.environ, "LOOPLINE_HOME": str(home.root)},
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"told {same['churn/model']} unchanged" in heard.stdout, heard.stderr


def test_a_worker_makes_one_product_after_another(
    looped: Home, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process, also after one that failed, with the same digests."""
    clone, home = declaring(tmp_path / "clone", folder, "churn"), Home(tmp_path / "home").prepare()
    monkeypatch.chdir(clone)
    told = make_side_by_side(home, ["nobody", "churn"], 1)
    assert told.failures.keys() == {"nobody"}
    assert told.failures["nobody"].startswith("there is no product, source or asset 'nobody'")
    same = digests(looped, definitions(looped, folder, product("churn")))
    assert digests(home, definitions(home, folder, product("churn"))) == same
    assert read_json(home.steps / "churn.json")["peak_memory_bytes"] > 100_000_000


def interrupted(home: Home, clone: Path, *options: str) -> tuple[int, list[str]]:
    """The exit code and the lines of a run in a terminal, where Ctrl-C is pressed when a product's snapshot is made."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    run = subprocess.Popen(
        [sys.executable, "-m", "orchestration", "run", *options],
        env={**os.environ, "LOOPLINE_HOME": str(home.root)},
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    signal.signal(signal.SIGINT, before)
    printed: list[str] = []
    with run:
        assert run.stdout is not None
        for line in run.stdout:
            printed.append(line)
            if "✓" in line and "/snapshot " in line:
                break
        os.killpg(run.pid, signal.SIGINT)
        printed += run.stdout
    return run.returncode, printed


def declaring(clone: Path, folder: Path, *names: str) -> Path:
    """A clone that declares products of the shop and no other."""
    copied(clone)
    for declared_here in (clone / "orchestration" / "defs").glob("*/"):
        shutil.rmtree(declared_here)
    for name in names:
        declared = product(name).model_dump(mode="json", exclude_defaults=True)
        declared["source"]["file"] = str(folder / "customers.csv")
        place = clone / "orchestration" / "defs" / name
        place.mkdir(parents=True)
        text = yaml.safe_dump({"type": "orchestration.components.ModelProduct", "attributes": declared})
        (place / "defs.yaml").write_text(text, encoding="utf-8")
    return clone

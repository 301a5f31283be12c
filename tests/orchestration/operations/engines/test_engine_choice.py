"""The engine chooser: each stage has a place or a reason, costs are the measured ones, and the advice follows from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assets.storage.home import Home
from assets.storage.publishing import write_json
from orchestration import resources
from orchestration.declarations import products
from orchestration.definitions import defs
from orchestration.operations.declaration.preview import Preview, preview
from orchestration.operations.engines import engine_choice
from orchestration.operations.engines.engine_choice import AIRFLOW, ASKED, DAGSTER, KUBEFLOW, SPARK, TITLES, Choice, choice
from orchestration.operations.engines.engine_costs import STAGES, measured_costs
from tests.clones import loopline

PRODUCT = "flight_delay"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which nothing was made; do not change it."""
    return Home(tmp_path_factory.mktemp("choice") / "home").prepare()


@pytest.fixture(scope="module")
def planned(place: Home) -> Preview:
    """All stages are to be made."""
    with resources.instance(place) as instance:
        return preview(defs, instance, place)


def chosen(engine: str, planned: Preview, home: Home, product: str | None = None) -> Choice:
    """What the engine would do with the declared products."""
    specs = [spec for spec, _ in products(product)]
    return choice(engine, defs.resolve_asset_graph(), planned, home, specs, product=product)


@pytest.mark.parametrize("engine", TITLES)
def test_each_stage_has_its_place_or_a_reason(engine: str, planned: Preview, place: Home) -> None:
    """Never both; and only what is made when asked is left out by an engine that runs the loop."""
    graph: Any = defs.resolve_asset_graph()
    found = chosen(engine, planned, place)
    placed = {asset for item in found.places for asset in item.assets}
    left = {item.asset: item.reason for item in found.left_out}
    executable = {key.to_user_string() for key in graph.toposorted_asset_keys if graph.get(key).is_executable}
    assert not placed & left.keys()
    if engine != SPARK:
        assert placed | left.keys() == executable
        made_when_asked = {asset for asset, reason in left.items() if reason == ASKED}
        assert f"{PRODUCT}/image" in made_when_asked
        beside = {"quality/flights"} if engine == KUBEFLOW else set()  # no pipeline of a product holds it
        assert left.keys() - made_when_asked == beside
    assert all(left.values())


def test_spark_is_given_relations_where_dbt_has_a_target_for_it(planned: Preview, place: Home, tmp_path: Path) -> None:
    """And nothing else; what it does not run is named."""
    found = chosen(SPARK, planned, place)
    placed = {asset for item in found.places for asset in item.assets}
    left = {item.asset for item in found.left_out}
    assert f"{PRODUCT}/model" in left
    assert ("marts/fct_flights" in placed) is engine_choice._has_spark_target()
    for kind in ("duckdb", "spark"):
        (tmp_path / "profiles.yml").write_text(f"loopline: {{target: a, outputs: {{a: {{type: {kind}}}}}}}\n", encoding="utf-8")
        assert engine_choice._has_spark_target(tmp_path) is (kind == "spark")


def test_a_product_is_planned_alone(planned: Preview, place: Home) -> None:
    """By its DAG and those that it rests on."""
    found = chosen(AIRFLOW, planned, place, PRODUCT)
    wheres = [item.where for item in found.places]
    assert f"Airflow, DAG loopline_product_{PRODUCT}" in wheres
    assert "Airflow, DAG loopline_product_diamond_cut" not in wheres
    pipelines = chosen(KUBEFLOW, planned, place, PRODUCT).places
    assert [item.where for item in pipelines] == [f"Kubeflow, pipeline of {PRODUCT}"]


def test_an_engine_that_is_not_set_up_is_told_with_its_target(
    planned: Preview, place: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster always is."""
    none = {engine: (tmp_path / engine, target) for engine, (_, target) in engine_choice.SET_UP.items()}
    monkeypatch.setattr(engine_choice, "SET_UP", none)
    told = {engine: chosen(engine, planned, place).set_up for engine in TITLES}
    assert told == {DAGSTER: None, AIRFLOW: "make airflow", KUBEFLOW: "make kubeflow", SPARK: "make spark"}


@pytest.mark.parametrize("engine", [AIRFLOW, KUBEFLOW])
def test_what_fits_here_is_not_worth_another_engine(engine: str, planned: Preview, place: Home) -> None:
    """The advice quotes the cost of a stage, which is measured, and that of all that are to be made."""
    found, costs = chosen(engine, planned, place), measured_costs()
    measured, base = costs.overhead(engine), costs.overhead(DAGSTER)
    assert measured is not None
    assert base is not None
    assert found.more_seconds_a_stage == pytest.approx(measured["processor_seconds"] - base["processor_seconds"], abs=0.01)
    assert found.more_seconds_a_stage > 0
    assert not found.is_worth_it
    assert f"{found.more_seconds_a_stage * found.stages_to_make:.0f} s for the {found.stages_to_make} of now" in found.advice
    assert chosen(DAGSTER, planned, place).is_worth_it


def test_a_product_beyond_this_machines_memory_is_named(planned: Preview, tmp_path: Path) -> None:
    """With what it needs, by the model; Dagster is told to take a larger machine too."""
    home = Home(tmp_path / "home").prepare()
    for engine in (AIRFLOW, DAGSTER):
        write_json(home.snapshots / PRODUCT / "current.json", {"digest": "0" * 64, "rows": 100_000})
        (small,) = chosen(engine, planned, home, PRODUCT).products
        write_json(home.snapshots / PRODUCT / "current.json", {"digest": "0" * 64, "rows": 10**11})
        large = chosen(engine, planned, home, PRODUCT)
        (size,) = large.products
        assert (small.rows, size.rows) == (100_000, 10**11)
        assert size.processor_seconds > 1000 * small.processor_seconds
        assert size.bottleneck.startswith("memory of ")
        assert large.is_worth_it
        assert f"{PRODUCT} needs about {size.memory_mb / 1e3:.0f} GB" in large.advice


def test_costs_are_measured_of_every_stage_and_say_where() -> None:
    """Each point has each stage; the file says on which machine and of which commit."""
    costs = measured_costs()
    assert {"machine", "commit", "date", "memory_mb", "start_seconds"} <= costs.told.keys()
    assert all(set(point["stages"]) == set(STAGES) for point in costs.told["points"])
    assert len({(point["rows"], point["features"]) for point in costs.told["points"]}) >= 5
    few, many = costs.cost(1_000, 5), costs.cost(1_000_000, 20)
    assert all(few.seconds[stage] <= many.seconds[stage] for stage in STAGES)
    assert costs.bottleneck(1_000, 5) == "the start of libraries"


def test_the_command_tells_and_writes_json(place: Home) -> None:
    """The plan as ever, and the engine beside it."""
    done = loopline("plan", PRODUCT, "--engine", "kubeflow", "--json", home=place.root)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["engine"]["engine"] == "kubeflow"
    assert told["engine"]["stages_to_make"] == len(told["assets"])
    shown = loopline("plan", PRODUCT, "--engine", "airflow", home=place.root)
    assert f"Airflow, DAG loopline_product_{PRODUCT}: " in shown.stdout
    assert f"not by Airflow: {PRODUCT}/" in shown.stdout
    wrong = loopline("plan", "--engine", "cron", home=place.root)
    assert (wrong.returncode, "'cron' is not one of 'dagster', 'airflow', 'kubeflow', 'spark'" in wrong.stderr) == (2, True)

"""The plan: each kind of change makes stale what rests on it and nothing else, and the plan says what changed.

That a run makes what its plan says is looked at in every run of `tests.world.World`.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from assets.storage import code_version as versions
from assets.storage.home import REPOSITORY, Home
from orchestration.operations.declaration.preview import Preview
from tests.world import World

PRODUCT = "flight_delay/"


def made(found: Preview, product: str = PRODUCT) -> dict[str, str]:
    """The assets that surely are made, with their reasons."""
    return {item.asset.removeprefix(product): item.reason for item in found.assets if item.action == "make"}


def test_nothing_is_planned_where_nothing_changed(world: World, ran: Home) -> None:
    """And the JSON says so."""
    found = world.preview(ran)
    assert found.assets == []
    assert found.as_json() == {"schema": 1, "assets": [], "unchanged": 45, "seconds": {"make": 0, "at_most": 0}}


def test_a_new_home_makes_the_landing_first_and_the_rest_in_order(world: World, tmp_path: Path) -> None:
    """All assets are named, each behind what it rests on; how long they take nobody knows yet."""
    found = world.preview(Home(tmp_path / "home"))
    assert (len(found.assets), found.unchanged) == (45, 0)
    names = [item.asset for item in found.assets]
    assert names.index("marts/fct_flights") < names.index("flight_delay/snapshot") < names.index("flight_delay/model")
    assert {item.seconds for item in found.assets} == {None}
    assert {item.reason for item in found.assets if item.asset == "landing/flights/airports"} == {"never made"}


@pytest.mark.parametrize(
    ("change", "planned"),
    [
        ({"gates": {"metrics": {"roc_auc": {"min": 0.55}}}}, {"verdict": "gates.metrics.roc_auc.min: 0.6 → 0.55"}),
        ({"cost": {"missed": 7.0, "false_alarm": 1.0}}, {"model": "cost.missed: 5.0 → 7.0"}),
        ({"description": "Another sentence."}, {"model": "description: Whether a flight"}),
        ({"owner": "team:others"}, {}),
        ({"evaluation": {"bootstrap_replicates": 101, "slices": ["origin"]}}, {"evaluation": None}),
    ],
    ids=["gate", "cost", "description", "owner", "evaluation"],
)
def test_a_changed_field_is_named(world: World, ran: Home, change: dict[str, object], planned: dict[str, str | None]) -> None:
    """By its path, with what it was and is; what does not read the field stays."""
    found = world.with_product(**change).preview(ran)
    stale = made(found)
    assert set(planned) <= set(stale)
    assert not {"snapshot", "bento", "predictions", *([] if "model" in planned else ["model"])} & set(stale)
    for name, reason in planned.items():
        assert reason is None or reason in stale[name]


def test_a_parameter_of_the_model_is_named_and_what_follows_waits(world: World, ran: Home) -> None:
    """With the seconds of the last run."""
    model = {**world.product.model.model_dump(), "parameters": {**world.product.model.parameters, "max_iter": 31}}
    found = world.with_product(model=model).preview(ran)
    assert made(found)["model"] == "model.parameters.max_iter: 30 → 31"
    waiting = {item.asset: item for item in found.assets if item.action == "wait"}
    assert waiting["flight_delay/bento"].reason == "if flight_delay/champion changes"
    assert found.seconds("make") > 0
    assert found.seconds("make", "wait") > found.seconds("make")
    assert "flight_delay/snapshot" not in waiting


def test_a_feature_parameter_is_named_by_what_reads_it(world: World, ran: Home) -> None:
    """The relations of features are built again, staging and marts are not."""
    parameters = {**world.warehouse.parameters, "short_window_hours": 2}
    found = replace(world, warehouse=world.warehouse.model_copy(update={"parameters": parameters})).preview(ran)
    assert "variables.short_window_hours: 3 → 2" in made(found)["features/origin_departures"]
    assert not [name for name in made(found) if name.startswith(("landing", "staging", "marts"))]


def test_a_changed_raw_file_is_named(world: World, ran: Home, small_files: Path, tmp_path: Path) -> None:
    """By its own asset; a file that was only touched is not."""
    files = tmp_path / "files"
    shutil.copytree(small_files, files)
    moved = replace(world, source=world.source.model_copy(update={"folder": str(files)}))
    assert moved.preview(ran).assets == []
    with (files / "airports.csv").open("a") as stream:
        stream.write("ZZZ,Nowhere,1,1,1,-5,A,America/New_York\n")
    assert made(moved.preview(ran)) == {"landing/flights/airports": "raw/flights/airports changed"}


def test_an_output_that_is_gone_is_named(world: World, ran_copy: Home) -> None:
    """Alone."""
    shutil.rmtree(ran_copy.predictions)
    assert made(world.preview(ran_copy)) == {"predictions": "its output is gone"}


def test_a_library_is_named_with_both_versions(world: World, ran: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not compute stays."""
    installed = versions._installed

    def newer(name: str) -> str:
        return "99.0" if name == "pandera" else installed(name)

    monkeypatch.setattr(versions, "_installed", newer)
    found = made(world.preview(ran))
    assert found == {"snapshot": f"pandera {installed('pandera')} → 99.0"}


@pytest.mark.parametrize(
    ("path", "change", "stale"),
    [
        ("assets/training/training.py", ("BACKGROUND = 32", "BACKGROUND = 33"), "model"),
        ("assets/promotion/leakage_rule.py", ("STRONG_COLUMN = ", "STRONG_COLUMN = 0.01 + "), "verdict"),
        ("assets/serving/wheel_package.py", ('"""', '"""A changed docstring. '), None),
    ],
    ids=["training", "gate", "docstring"],
)
def test_a_changed_file_of_code_is_named(
    world: World, ran: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    path: str, change: tuple[str, str], stale: str | None,
) -> None:  # fmt: skip
    """By its path, for the assets whose code it is; a docstring is no code."""
    for name in ("assets", "bentos"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (tmp_path / path).read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / path).write_text(text.replace(*change, 1), encoding="utf-8")
    monkeypatch.setattr(versions, "REPOSITORY", tmp_path)
    versions._read.cache_clear()
    try:
        found = made(world.preview(ran))
    finally:
        versions._read.cache_clear()
    assert (found == {}) if stale is None else (found[stale] == f"{path} changed")


def test_versions_that_were_never_kept_are_told_as_changed(world: World, ran_copy: Home) -> None:
    """As those of homes that are older than the folder."""
    shutil.rmtree(ran_copy.code_versions)
    found = world.with_product(gates={"metrics": {"roc_auc": {"min": 0.55}}}).preview(ran_copy)
    assert set(made(found).values()) == {"its code or declaration changed"}

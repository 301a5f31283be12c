"""The asset graph reads as the loop: the map in `assets/__init__.py` is the graph, and every asset says what it is."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg

import assets
from assets.evaluation.examinations import EXAMINATIONS, examinations_of
from assets.promotion.gate_rules import rules_of
from assets.serving.ways_of_serving import WAYS_OF_SERVING
from orchestration import declarations
from orchestration.declarations import products
from orchestration.definitions import defs
from orchestration.staleness import waves
from orchestration.staleness.plan import declared_in, product_names
from orchestration.staleness.recorded_versions import TRIGGERED
from tests.world import DEFS

GRAPH = defs.resolve_asset_graph()
PRODUCTS = product_names(GRAPH)
WARNING = {"monitoring", "feature_skew", "experiment", "shadow", "off_policy"}
"""The assets whose checks warn, and hold nothing up."""
ADDED = {*EXAMINATIONS.added, *(WAYS_OF_SERVING[name].asset for name in WAYS_OF_SERVING.added)}
"""The assets of extensions, which stand on no map."""
DECLARED = (
    "/tuning",
    "/online_state",
    "/prequential",
    "/federation",
    "/transfer",
    "/uncertainty",
    "/adapted_uncertainty",
    "/fallback",
    "/online_features",
    "/lake",
    "/feature_skew",
    "/monthly_predictions",
    "/off_policy",
    "/experiment",
    "/shadow",
)
"""The assets that only some products declare."""


def expanded(text: str) -> list[list[str]]:
    """The assets between the arrows, braces and products expanded; a search only where one is declared."""
    found = []
    for part in text.split("->"):
        names = []
        for item in re.findall(r"[\w/]+(?:\{[^}]*\})?\w*", part):
            prefix, _, rest = item.partition("{")
            names += [prefix + name for name in rest.rstrip("}").split(",")] if rest else [item]
        names = [name.replace("PRODUCT", product) for name in names for product in (PRODUCTS if "PRODUCT" in name else [""])]
        found.append([name for name in names if not name.endswith(DECLARED) or GRAPH.has(dg.AssetKey(name.split("/")))])
    return [names for names in found if names]


def drawn() -> dict[str, list[str]]:
    """The map: assets by stage, in the order drawn."""
    block = (assets.__doc__ or "").split("::", 1)[1].split("PRODUCT stands", 1)[0]
    stages: dict[str, list[str]] = {}
    stage = ""
    for line in block.strip("\n").splitlines():
        named = re.match(r"    (\w+) +(\S.*)", line)
        stage, text = (named[1], named[2]) if named else (stage, line)
        stages.setdefault(stage, []).extend(name for names in expanded(text) for name in names)
    return {stage: names for stage, names in stages.items() if stage}


def test_the_map_names_every_asset_under_its_stage() -> None:
    """And no asset that is not there."""
    actual: dict[str, set[str]] = {}
    for key in GRAPH.toposorted_asset_keys:
        if key.path[-1] not in ADDED:
            actual.setdefault(GRAPH.get(key).tags["stage"], set()).add(key.to_user_string())
    assert {stage: set(names) for stage, names in drawn().items() if names} == actual


def test_the_map_is_drawn_in_the_direction_of_the_data() -> None:
    """No asset is drawn before one that it is made of."""
    order = [name for names in drawn().values() for name in names]
    for key in GRAPH.toposorted_asset_keys:
        for parent in GRAPH.get(key).parent_keys:
            if ADDED & {key.path[-1], parent.path[-1]}:
                continue
            assert order.index(parent.to_user_string()) < order.index(key.to_user_string()), key


def test_every_asset_is_described_owned_grouped_and_versioned() -> None:
    """What the UI shows of it."""
    for key in GRAPH.toposorted_asset_keys:
        node = GRAPH.get(key)
        assert node.tags["stage"] in drawn(), key
        assert node.group_name in {"landing", "warehouse", "features", *PRODUCTS}, key
        assert node.description, key
        assert node.kinds, key
        assert node.owners, key
        if node.is_executable:
            assert node.code_version, key


def test_what_a_training_makes_are_assets_of_every_product() -> None:
    """A renamed one would be run by the schedule. Only a product that declares a search has a tuning, and so on."""
    for product in PRODUCTS:
        others = {"tuning", *EXAMINATIONS} - set(examinations_of(products(product)[0][0]))
        assert all(GRAPH.has(dg.AssetKey([product, name])) for name in waves.trained() - others)


def test_a_stage_is_a_folder_and_holds_the_bodies_of_its_assets() -> None:
    """Each asset of a product has its module there, by its name; what an examination does has a module of its own."""
    for key in GRAPH.toposorted_asset_keys:
        node = GRAPH.get(key)
        if key.path[0] not in PRODUCTS or not node.is_executable or key.path[-1] in ADDED:
            continue
        name = {"monthly_predictions": "predictions"}.get(key.path[-1], key.path[-1])
        folder = Path(assets.__file__).parent / node.tags["stage"]
        assert (folder / f"{'examination' if name in EXAMINATIONS else name}_asset.py").exists(), key


def test_data_tests_and_the_contract_block_and_gates_do_not() -> None:
    """Each dbt test on its relation, the contract on the snapshot; a gate refuses, an alarm warns: neither fails a run."""
    checks = {check for key in GRAPH.toposorted_asset_keys for check in GRAPH.get(key).check_keys}
    alarms = {check for check in checks if check.asset_key.path[-1] in WARNING}
    gates = {check for check in checks if check.asset_key.path[-1] == "verdict"}
    assert {(check.asset_key.path[0], check.name) for check in gates} == {
        (name, rule) for name in PRODUCTS for rule in rules_of(products(name)[0][0])
    }
    assert len(checks - gates) >= 30
    assert all(GRAPH.get(check).blocking for check in checks - gates - alarms)
    assert not any(GRAPH.get(check).blocking for check in gates | alarms)
    assert dg.AssetCheckKey(dg.AssetKey(["flight_delay", "snapshot"]), "contract") in checks
    assert dg.AssetCheckKey(dg.AssetKey(["features", "flight_delay"]), "features_precede_departure") in checks


def test_what_is_declared_is_read_without_the_graph() -> None:
    """The same tables, and the same of them under each product."""
    assert declarations.declared() == declared_in(defs)
    assert declarations.declared().products["diamond_cut"] == ["diamond_cut.data"]


def test_every_folder_of_declarations_is_loaded() -> None:
    """A folder with a `defs.yaml` gives at least one asset."""
    keys = {part for key in GRAPH.toposorted_asset_keys for part in key.path}
    for path in DEFS.rglob("defs.yaml"):
        assert path.parent.name in keys | {"warehouse"}


def test_each_product_has_a_group_a_job_and_a_schedule_that_is_off() -> None:
    """What it rests on is shared; its own assets are together. The schedule may land, the job has no partitions."""
    assert PRODUCTS == ["arrival_delay", "diamond_cut", "flight_delay"]
    for product in PRODUCTS:
        own = {key for key in GRAPH.toposorted_asset_keys if GRAPH.get(key).group_name == product}
        assert own == {key for key in GRAPH.toposorted_asset_keys if GRAPH.get(key).tags.get("product") == product}
        assert defs.resolve_job_def(product).name == product
        schedule = defs.resolve_schedule_def(f"{product}_schedule")
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
        assert defs.resolve_job_def(product).partitions_def is None
        looked_at = schedule.target.resolvable_to_job.selection.resolve(GRAPH)
        assert looked_at == {key for key in waves.wanted_keys(GRAPH, product) if GRAPH.get(key).is_executable}, (
            "the schedule may start all that it finds stale"
        )


def test_every_product_in_order_of_time_has_a_retraining_sensor_that_is_off() -> None:
    """One without triggers has none: it would never start anything."""
    sensors = {sensor.name: sensor for sensor in defs.sensors or []}
    declared = {spec.name: spec for spec, _ in declarations.products()}
    looking = {f"{name}_experiment" for name, spec in declared.items() if spec.experiments}
    assert set(sensors) == {"loopline_loop", "loopline_incidents"} | looking | {
        f"{name}_retraining" for name, spec in declared.items() if spec.split.by != "random"
    }
    on = {name for name, sensor in sensors.items() if sensor.default_status is not dg.DefaultSensorStatus.STOPPED}
    assert on == {"loopline_incidents"}, "it starts nothing"
    assert all(
        (TRIGGERED in GRAPH.get(key).tags) == (bool(declared[key.path[0]].retrain.triggers) and key.path[-1] in waves.trained())
        for key in GRAPH.toposorted_asset_keys
        if key.path[0] in declared
    )

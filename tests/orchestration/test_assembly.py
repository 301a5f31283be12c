"""Assembly: a product with a file of its own is loaded alone, as it is among all."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from orchestration import definitions
from orchestration.assembly import of_product
from orchestration.declarations import DEFS
from orchestration.definitions import defs


def test_a_product_with_its_own_file_is_loaded_alone_and_unchanged() -> None:
    """Each of its assets has the same code version and inputs as among all definitions, so nothing is made twice."""
    alone = of_product("diamond_cut")
    assert alone is not None
    graph, whole = alone.resolve_asset_graph(), defs.resolve_asset_graph()
    keys = set(graph.get_all_asset_keys())
    assert keys
    assert keys == {key for key in whole.get_all_asset_keys() if "diamond_cut" in key.path}
    for key in keys:
        assert graph.get(key).code_version == whole.get(key).code_version
        assert graph.get(key).parent_keys == whole.get(key).parent_keys
        assert graph.get(key).tags == whole.get(key).tags


def test_the_module_of_definitions_holds_one_object_of_them() -> None:
    """Dagster's UI refuses a module with more."""
    assert [name for name, item in vars(definitions).items() if isinstance(item, dg.Definitions)] == ["defs"]


def test_a_product_on_the_warehouse_or_an_unknown_one_needs_all_definitions() -> None:
    """Then all are loaded, which also tells what is declared."""
    assert of_product("flight_delay") is None
    assert of_product("sources") is None
    assert of_product("no_such_product") is None


def test_a_product_whose_assets_dagster_changes_needs_all_definitions(tmp_path: Path) -> None:
    """`post_processing` is Dagster's: read alone, the product would lack what it adds."""
    shutil.copytree(DEFS / "diamond_cut", tmp_path / "diamond_cut")
    assert of_product("diamond_cut", tmp_path) is not None
    path = tmp_path / "diamond_cut" / "defs.yaml"
    path.write_text(path.read_text() + "post_processing: {assets: [{attributes: {tags: {tier: gold}}}]}\n")
    assert of_product("diamond_cut", tmp_path) is None


def test_a_changed_variable_makes_stale_what_reads_the_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an edit of the file does: the model reads the seed, the snapshot does not."""
    shutil.copytree(DEFS / "diamond_cut", tmp_path / "diamond_cut")
    path = tmp_path / "diamond_cut" / "defs.yaml"
    assert "seed: 7" in path.read_text()
    path.write_text(path.read_text().replace("seed: 7", 'seed: "{{ env.SEED }}"'))

    def code_version(name: str, seed: str) -> str | None:
        monkeypatch.setenv("SEED", seed)
        alone = of_product("diamond_cut", tmp_path)
        assert alone is not None
        return alone.resolve_asset_graph().get(dg.AssetKey(["diamond_cut", name])).code_version

    assert code_version("model", "7") != code_version("model", "8")
    assert code_version("snapshot", "7") == code_version("snapshot", "8")

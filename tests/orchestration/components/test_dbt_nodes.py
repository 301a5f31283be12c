"""dbt's nodes: as dagster-dbt declares them, also where what it said is read from the file; tests that only warn."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster_dbt import get_asset_key_for_model

from assets.spec import WarehouseSpec, read_declaration
from assets.storage.home import REPOSITORY, Home
from assets.warehouse import dbt_build
from orchestration.components import dbt_nodes
from orchestration.components.warehouse import Warehouse

DECLARED = REPOSITORY / "orchestration" / "defs" / "warehouse"
KEPT = REPOSITORY / "dbt_project" / "target" / "dagster_specs.json"


@pytest.fixture(scope="module")
def spec() -> WarehouseSpec:
    """The repository's own project."""
    return read_declaration(DECLARED / "defs.yaml", WarehouseSpec)


def test_what_is_read_from_the_file_is_what_dagster_dbt_said(spec: WarehouseSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the objects by which its own functions find the project again."""
    project = REPOSITORY / spec.project
    manifest = dbt_build.manifest(project, spec.parameters)
    asked, asked_checks = dbt_nodes.specs(manifest, spec, project)
    monkeypatch.delitem(sys.modules, "dagster_dbt")
    read, read_checks = dbt_nodes.specs(manifest, spec, project)
    assert len(asked) == len(read) > 10
    for one, other in zip(asked, read, strict=True):
        for name in ("key", "description", "group_name", "owners", "tags", "kinds", "code_version"):
            assert getattr(one, name) == getattr(other, name), (one.key, name)
        assert {dep.asset_key for dep in one.deps} == {dep.asset_key for dep in other.deps}
        assert set(other.metadata) == set(one.metadata) - set(dbt_nodes.PRIVATE)
        schema = one.metadata["dagster/column_schema"]
        assert other.metadata["dagster/column_schema"].schema == schema  # type: ignore[union-attr]
    assert [(check.key, check.blocking) for check in asked_checks] == [(check.key, check.blocking) for check in read_checks]
    assert [check.description for check in asked_checks] == [check.description for check in read_checks]
    assert any(check.description for check in read_checks)


def test_definitions_of_an_unchanged_project_import_neither_dbt_nor_dagster_dbt(spec: WarehouseSpec) -> None:
    """Its import takes longer than all else; every command of a product of the warehouse would wait for it."""
    code = "import sys, orchestration.definitions; print([name for name in ('dbt', 'dagster_dbt') if name in sys.modules])"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert KEPT.is_file()


def test_functions_of_dagster_dbt_know_these_assets(spec: WarehouseSpec) -> None:
    """Where it is imported before the definitions, as in a module of a user's own."""
    assets = list(Warehouse(spec, DECLARED).build_defs(None).assets or [])  # type: ignore[arg-type]
    assert get_asset_key_for_model(assets, "fct_flights") == dg.AssetKey(["marts", "fct_flights"])  # type: ignore[arg-type]


def small_project(folder: Path, severity: str) -> Path:
    """One model, and a test of it that one row fails."""
    (folder / "models").mkdir(parents=True)
    shutil.copy(REPOSITORY / "dbt_project" / "profiles.yml", folder)
    (folder / "dbt_project.yml").write_text("name: small\nversion: '1.0'\nconfig-version: 2\nprofile: loopline\n")
    (folder / "models" / "one.sql").write_text("select 1 as n union all select null as n")
    (folder / "models" / "one.yml").write_text(
        "models:\n  - name: one\n    columns:\n      - name: n\n        data_tests:\n"
        f"          - not_null: {{config: {{severity: {severity}}}}}\n"
    )
    return folder


@pytest.mark.parametrize("severity", ["warn", "error"])
def test_a_data_test_that_warns_does_not_fail_the_build(home: Home, tmp_path: Path, severity: str) -> None:
    """As dbt has it: the relation may be used; a test that fails is another thing."""
    done = dbt_build.build(home, small_project(tmp_path / "project", severity), {}, {})
    (test,) = [node for node in done.nodes if node.unique_id.startswith("test.")]
    assert (test.passed, test.warns, test.failures) == (False, severity == "warn", 1)
    assert bool(done.failed) == bool(done.broken) == (severity == "error")
    assert done.relations["model.small.one"].rows == 2

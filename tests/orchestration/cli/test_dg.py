"""Dagster's own command line, `dg`, in a clone: it checks, lists and writes the same declarations as `loopline`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clones import copied, loopline
from tests.shop import customers

OWNER = "DIAMONDS_OWNER"


def declaration(clone: Path) -> Path:
    """The file of a product that has its own source."""
    return clone / "orchestration" / "defs" / "diamond_cut" / "defs.yaml"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which one declaration uses what Dagster offers to each: templates, requirements, post-processing."""
    copy = copied(tmp_path_factory.mktemp("dg") / "clone")
    text = declaration(copy).read_text(encoding="utf-8")
    assert "  owner: team:ml\n" in text
    declaration(copy).write_text(
        text.replace("  owner: team:ml\n", f'  owner: "{{{{ env.{OWNER} }}}}"\n')
        + f"requirements:\n  env: [{OWNER}]\n"
        + "post_processing:\n  assets:\n    - target: '*'\n      attributes: {tags: {tier: gold}}\n",
        encoding="utf-8",
    )
    return copy


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that nothing was run in."""
    return tmp_path / "home"


def dg(*arguments: str, clone: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run `dg` in a clone, as after `make run` there."""
    return subprocess.run(
        [Path(sys.executable).with_name("dg"), *arguments],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone), "LOOPLINE_HOME": str(home), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_dg_check_defs_loads_what_is_declared(clone: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It checks every file's YAML first."""
    monkeypatch.setenv(OWNER, "team:gems")
    told = dg("check", "defs", clone=clone, home=home)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "All component YAML validated successfully." in told.stdout
    assert "All definitions loaded successfully." in told.stdout


def test_dg_list_defs_shows_a_declaration_with_its_template_resolved(
    clone: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And post-processed; the resources are listed too."""
    monkeypatch.setenv(OWNER, "team:gems")
    told = dg("list", "defs", "--json", clone=clone, home=home)
    assert told.returncode == 0, told.stderr
    listed = json.loads(told.stdout)
    assets = {asset["asset_key"]: asset for asset in listed["assets"]}
    assert assets["diamond_cut/model"]["owners"] == [{"team": "gems"}]
    assert {"key": "tier", "value": "gold"} in assets["diamond_cut/model"]["tags"]
    assert assets["flight_delay/model"]["owners"] == [{"team": "operations"}]
    assert {resource["name"] for resource in listed["resources"]} == {"home", "graph"}


def test_both_command_lines_tell_a_variable_that_is_not_set(clone: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same sentence: variable, field, file and line, and what to do."""
    monkeypatch.delenv(OWNER, raising=False)
    line = next(number for number, text in enumerate(declaration(clone).read_text().splitlines(), 1) if OWNER in text)
    sentence = (
        f"diamond_cut: 'owner' names the environment variable {OWNER}, which is not set "
        f"(orchestration/defs/diamond_cut/defs.yaml:{line}). Set it, or write env('{OWNER}', 'default')."
    )
    for told in (
        loopline("run", "diamond_cut", home=home, cwd=clone),
        loopline("check", "diamond_cut", home=home, cwd=clone),
        dg("list", "defs", clone=clone, home=home),
    ):
        assert told.returncode == 1
        assert sentence in " ".join((told.stdout + told.stderr).split())


def test_dg_list_components_names_ours_with_a_sentence_each(clone: Path, home: Path) -> None:
    """What may be declared."""
    told = dg("list", "components", "--package", "orchestration", "--json", clone=clone, home=home)
    assert told.returncode == 0, told.stderr
    items = {
        item["key"].removeprefix("orchestration.components."): item["summary"] for item in json.loads(told.stdout)["items"]
    }
    assert set(items) == {"ModelProduct", "Source", "Warehouse"}
    assert all(items.values())


def test_dg_check_yaml_names_the_line_of_a_wrong_field_and_of_a_wrong_value(home: Path, tmp_path: Path) -> None:
    """Editors complete from the same schema, which allows a template wherever a single value stands."""
    spoilt = copied(tmp_path / "spoilt")
    path = declaration(spoilt)
    text = path.read_text()
    lines = text.splitlines()
    owner = next(number for number, row in enumerate(lines, 1) if row.startswith("  owner:"))
    share = next(number for number, row in enumerate(lines, 1) if "max_quarantined: 0.02" in row)
    path.write_text(text.replace("  owner:", "  ownr:").replace("max_quarantined: 0.02", "max_quarantined: much"))
    told = dg("check", "yaml", str(path.parent), clone=spoilt, home=home)
    assert told.returncode == 1
    assert f"diamond_cut/defs.yaml:{owner} - orchestration.components.ModelProduct attributes.ownr" in told.stdout
    assert "'ownr' was unexpected" in told.stdout
    assert (
        f"diamond_cut/defs.yaml:{share} - orchestration.components.ModelProduct attributes.source.max_quarantined"
        in told.stdout
    )
    assert "'much' is not of type 'number'" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr


def test_dg_scaffold_defs_declares_a_product(home: Path, tmp_path: Path) -> None:
    """`dg scaffold defs` asks the same questions as `loopline new` and writes the same file, which both command lines accept."""
    path = tmp_path / "customers.csv"
    customers(1000).to_csv(path, index=False)
    scaffolded = copied(tmp_path / "scaffolded")
    component = "orchestration.components.ModelProduct"
    done = dg("scaffold", "defs", component, "churn", "--data", str(path), "--target", "churned", clone=scaffolded, home=home)
    assert done.returncode == 0, done.stderr
    assert loopline("check", "churn", home=home, cwd=scaffolded).stdout == "✓ churn\n"
    told = dg("check", "yaml", "orchestration/defs/churn", clone=scaffolded, home=home)
    assert (told.returncode, told.stdout) == (0, "All component YAML validated successfully.\n")

"""What pages say of the repository is so: names in the textbook's map exist, the README's figures are the measured ones."""

from __future__ import annotations

import ast
import re

import pytest

from benchmarks.replay import FIRST, LAST
from orchestration.cli.main import loopline
from orchestration.definitions import defs
from tests.world import REPOSITORY

ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (REPOSITORY / "docs" / "textbook.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "`" in line
]
TARGETS = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.fixture(scope="module")
def assets() -> set[str]:
    """All keys of the repository's graph."""
    return {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}


def test_the_map_has_every_chapter() -> None:
    """It is read, and it is not empty."""
    assert len(ROWS) >= 35
    assert all(len(row) == 4 for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_name_exists(row: list[str], assets: set[str]) -> None:
    """What does not exist cannot show a topic."""
    topic, asset, command, test = (cell.strip("`") for cell in row)
    products = [name.partition("/")[0] for name in assets if name.endswith("/snapshot")]
    assert any(asset.replace("PRODUCT", product) in assets for product in products), topic
    program, name = command.split()
    assert name in (TARGETS if program == "make" else set(loopline.commands)), topic
    path, _, function = test.partition("::")
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, topic


def test_the_readme_quotes_the_measured_policies() -> None:
    """Its table is the one that `make bench-replay` wrote, and its pictures are there."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    quoted = readme.partition(FIRST)[2].partition(LAST)[0].strip()
    assert quoted.count("\n") >= 6
    assert quoted in (REPOSITORY / "docs" / "replay.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*\]\((.*)\)", readme)
    assert len(pictures) >= 4
    assert all((REPOSITORY / picture).stat().st_size > 10_000 for picture in pictures)

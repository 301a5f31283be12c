"""Each threat that docs/security.md names has a test, and the test is there."""

from __future__ import annotations

import ast
import re

import pytest

from assets.storage.home import REPOSITORY
from bentos.access_settings import VARIABLES
from orchestration.cli.main import loopline

PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
THREATS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in PAGE.partition("## Threats")[2].splitlines()
    if line.startswith("| ") and not line.startswith("| Threat ")
]


def test_the_page_has_threats() -> None:
    """It is read, and it is not empty."""
    assert len(THREATS) >= 15


@pytest.mark.parametrize("threat", THREATS, ids=[threat[0] for threat in THREATS])
def test_each_threat_has_a_defence_and_its_test(threat: list[str]) -> None:
    """By a name that exists."""
    assert len(threat) == 3
    assert threat[1]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", threat[2])
    assert named
    for path, function in named:
        tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, function


def test_each_option_and_variable_is_described() -> None:
    """What closes a service, by its name."""
    options = {
        option for parameter in loopline.commands["serve"].params for option in parameter.opts if option.startswith("--")
    }
    missing = (options - {"--port"}) | set(VARIABLES)
    assert {name for name in missing if name not in PAGE} == set()

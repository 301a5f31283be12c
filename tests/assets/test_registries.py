"""Registries: what extensions add, what is refused, and that code versions cover it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assets import registries
from assets.errors import ExtensionError, SpecificationError
from assets.evaluation.examinations import EXAMINATIONS
from assets.monitoring import retraining_triggers
from assets.promotion.gate_rule import GateRule
from assets.promotion.gate_rules import GATE_RULES
from assets.registries import REGISTRIES, Registry
from assets.spec import ProductSpec, read_declaration
from assets.storage import code_version as versions
from assets.storage.home import Home
from tests.shop import product
from tests.world import DEFS

RULE = """
from assets.monitoring import retraining_triggers
from assets.promotion.gate_rule import GateRule
{helper}
LIMIT = {limit}
GATE_RULES = (GateRule("{name}", "It asks for something.", limit="a figure"),)
"""
Extend = Callable[[str, str], None]


@pytest.fixture
def extend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Extend]:
    """Write a module of the namespace package, as a distribution would bring it, and forget what was read of it before."""

    def forget() -> None:
        registries._extensions.cache_clear()
        versions._read.cache_clear()
        for name in [name for name in sys.modules if name.startswith(registries.EXTENSIONS)]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def write(name: str, text: str) -> None:
        folder = tmp_path / registries.EXTENSIONS
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(text)
        forget()

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield write
    forget()


def rules() -> Registry[GateRule]:
    """The project's rules, and those that extensions add now."""
    return Registry("GATE_RULES", GATE_RULES.own)


def rule(name: str = "own", limit: float = 1.0, helper: str = "") -> str:
    """A module that adds a gate rule."""
    return RULE.format(name=name, limit=limit, helper=helper)


def test_every_registry_stands_where_it_is_said_to_and_says_what_its_items_do() -> None:
    """Under its own name, so that extensions and code versions find it."""
    for name in REGISTRIES:
        found = registries.registry(name)
        assert found.name == name
        assert all(item.name == key and item.description.endswith(".") for key, item in found.items())


def test_an_extension_adds_after_the_own_items(extend: Extend) -> None:
    """And is known by its module."""
    extend("mine", rule())
    assert list(rules()) == [*GATE_RULES, "own"]
    assert rules().added == {"own": "loopline_extensions.mine"}
    assert rules()["own"].declared == "gates.rules.own"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_of_the_kind", r"mine: cannot be imported \(ModuleNotFoundError: .*\)\. Mend or remove it"),
        ("GATE_RULE = ()", r"mine: adds to no registry\. Give it one of GATE_RULES, EXAMINATIONS"),
        ("GATE_RULES = ('a',)", r"mine: GATE_RULES holds 'a'\. Give a tuple of GateRule"),
        (rule("size"), r"mine: GATE_RULES has 'size' already\. Rename it"),
    ],
)
def test_an_extension_that_cannot_be_used_is_one_clear_error(extend: Extend, text: str, told: str) -> None:
    """With the module, and what to do."""
    extend("mine", text)
    with pytest.raises(ExtensionError, match=told):
        list(rules())


def test_a_module_with_an_underscore_is_for_the_others(extend: Extend) -> None:
    """It adds nothing, and need not."""
    extend("_shared", "FIGURE = 1.0")
    extend("mine", rule(helper="from loopline_extensions._shared import FIGURE"))
    assert "own" in rules()


def test_code_versions_cover_the_extensions_of_what_they_read(extend: Extend) -> None:
    """A rule, and what it imports, is in the version of the verdict and not in those of the model or of its examinations."""

    def version(module: str) -> str:
        versions._read.cache_clear()
        return versions.code_version(module)

    judged, examined, trained = "assets.promotion.verdict_asset", "assets.evaluation.leakage", "assets.training.model_asset"
    before = [version(module) for module in (judged, examined, trained)]
    extend("_shared", "FIGURE = 1.0")
    helper = "from loopline_extensions._shared import FIGURE"
    extend("mine", rule(helper=helper))
    added = version(judged)
    extend("mine", rule(limit=2.0, helper=helper))
    changed = version(judged)
    extend("_shared", "FIGURE = 2.0")
    assert len({before[0], added, changed, version(judged)}) == 4
    assert [version(module) for module in (examined, trained)] == before[1:]


@pytest.mark.parametrize("name", REGISTRIES)
def test_the_module_of_each_registry_has_extensions_in_its_version(extend: Extend, name: str) -> None:
    """And only those that add to it."""
    before = versions.code_version(REGISTRIES[name])
    extend("mine", f"{name} = ()")
    assert versions.code_version(REGISTRIES[name]) != before
    extend("mine", f"{next(other for other in REGISTRIES if other != name)} = ()")
    assert versions.code_version(REGISTRIES[name]) == before


def test_an_examination_is_in_its_own_version_and_not_in_the_verdicts(extend: Extend) -> None:
    """How a record is made changes the record; the verdict reads that."""
    before = versions.code_version("assets.promotion.verdict_asset")
    extend(
        "mine",
        "from assets.evaluation.examination import Examination\nEXAMINATIONS = (Examination('own', len, len, 'It looks.', ()),)",
    )
    assert list(Registry("EXAMINATIONS", EXAMINATIONS.own))[-1] == "own"
    assert versions.code_version("assets.promotion.verdict_asset") == before
    assert [line.split()[0] for line in versions._closure("loopline_extensions.mine")][-1] == "loopline_extensions.mine"


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (
            "rules: {unheard: {max: 1.0}}",
            r"'gates\.rules' has 'unheard', which is no gate rule that takes a limit\. There are: uncertainty\.",
        ),
        (
            "rules: {latency: {max: 1.0}}",
            r"'gates\.rules' has 'latency', whose limits are declared in 'gates\.latency'\. Move it there",
        ),
    ],
)
def test_a_limit_of_no_rule_is_one_clear_error(tmp_path: Path, declared: str, told: str) -> None:
    """With the file and the line."""
    text = (DEFS / "diamond_cut" / "defs.yaml").read_text(encoding="utf-8")
    path = tmp_path / "defs.yaml"
    path.write_text(text.replace("  gates:\n", f"  gates:\n    {declared}\n"))
    with pytest.raises(SpecificationError, match=told + r".*defs\.yaml:\d+\)"):
        read_declaration(path, ProductSpec)


def test_a_trigger_of_an_extension_is_declared_by_its_name(extend: Extend, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives events; a name that nothing adds is an error."""
    extend(
        "mine",
        "from assets.monitoring.retraining_triggers import Event, RetrainingTrigger\n"
        "event = lambda home, spec, now: Event('audit', str(now.year), 'an audit is due')\n"
        "RETRAINING_TRIGGERS = (RetrainingTrigger('audit', 'An audit is due.', event),)",
    )
    own = retraining_triggers.RETRAINING_TRIGGERS.own
    monkeypatch.setattr(retraining_triggers, "RETRAINING_TRIGGERS", Registry("RETRAINING_TRIGGERS", own))
    spec = product("churn", retrain={"triggers": ["audit"]})
    now = datetime(2024, 5, 1, tzinfo=UTC)
    assert retraining_triggers.events(home, spec, now) == [retraining_triggers.Event("audit", "2024", "an audit is due")]
    with pytest.raises(ValueError, match=r"lists 'audits', which is no retraining trigger\. .*Did you mean 'audit'\?"):
        product("churn", retrain={"triggers": ["audits"]})

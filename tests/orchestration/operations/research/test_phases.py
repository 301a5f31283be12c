"""Phases: every asset and check has its own, and a product's page says what is settled and what is open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assets.promotion.gate_rules import GATE_RULES
from assets.serving import parity
from assets.serving.ways_of_serving import WAYS_OF_SERVING
from assets.spec.phases import DM, ML_Q, PHASE, PHASES, tags_of
from assets.storage.home import Home
from orchestration.definitions import defs
from orchestration.operations.research.phases import phases, write_page
from orchestration.operations.verification.verify import verify
from tests.two_versions import churn

GRAPH = defs.resolve_asset_graph()
NAMES = [phase.name for phase in PHASES]


def test_every_asset_has_the_tags_of_its_stages_phase() -> None:
    """Those of the warehouse, which dbt's project makes, too."""
    for key in GRAPH.toposorted_asset_keys:
        tags = GRAPH.get(key).tags
        assert {name: tags[name] for name in ("stage", ML_Q, DM)} == tags_of(tags["stage"]), key


def test_every_check_names_its_phase() -> None:
    """A gate rule may belong to another phase than its asset: leaks are a matter of data engineering."""
    named = {GRAPH.get_check_spec(key).metadata.get(PHASE) for key in GRAPH.asset_check_keys}
    assert named <= {*NAMES}
    assert named >= {NAMES[1], NAMES[3], NAMES[4], NAMES[5]}
    assert {rule.phase for rule in GATE_RULES.values()} <= {*NAMES}


def test_the_page_of_a_product_says_what_is_settled_and_what_is_open(twice: Home, tmp_path: Path) -> None:
    """A missing figure is open, and so is what the gate missed; nothing that a manifest names is changed."""
    found = phases(twice, churn(), ["churn"])
    assert [phase["name"] for phase in found] == NAMES
    said = {(phase["number"], item["what"]): item for phase in found for item in phase["statements"]}
    assert said[1, "For whom, and what for"]["is_open"]
    assert "card.use" in said[1, "For whom, and what for"]["told"]
    assert not said[1, "What the raw data of churn hold"]["is_open"]
    assert not said[2, "Gate rule leakage"]["is_open"]
    assert said[5, "Who serves"]["told"].startswith("version 2")
    assert said[6, "What starts a training"]["is_open"]
    assert all(phase["open"] == sum(item["is_open"] for item in phase["statements"]) for phase in found)
    json.dumps(found)
    page = write_page(Home(tmp_path / "home").prepare(), churn(), found, "2026-11-29 00:00 UTC").read_text(encoding="utf-8")
    assert all(name in page for name in NAMES)
    assert verify(Home(tmp_path / "home")).problems == []
    empty = phases(Home(tmp_path / "home"), churn(), ["churn"])
    assert {(phase["number"], item["what"]) for phase in empty for item in phase["statements"] if item["is_open"]} >= {
        (1, "What the raw data of churn hold"),
        (2, "The rows"),
        (3, "Made again"),
        (4, "The verdict"),
        (5, "Who serves"),
        (5, "Answers on request"),
        (5, "Answers ahead"),
        (6, "The champion's course"),
    }


@pytest.mark.parametrize("mode", ["on request", "ahead"])
def test_both_modes_of_serving_are_made_of_the_champion_and_agree(mode: str, twice: Home) -> None:
    """Service and operating mode were asked the same rows by the run."""
    ways = {name for name, way in WAYS_OF_SERVING.items() if way.mode == mode}
    record = parity.recorded(twice, "churn")
    assert record is not None
    asked = {name: told for name, told in record["ways"].items() if name in ways}
    assert len(asked) == 2
    assert all(told["agrees"] and told["different_decisions"] == 0 for told in asked.values())
    found = phases(twice, churn(), [])[4]["statements"]
    assert next(item for item in found if item["what"] == f"Answers {mode}")["told"] == ", ".join(asked)

"""Real tables that nobody here chose, by the commands that a stranger types, without an edit.

The tables come with packages that are installed anyway. Targets are drawn by the benchmark's rule, and what can be learnt was
judged apart from the product: `python -m benchmarks.tables.installed tests/e2e/installed_tables.json` writes the list anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.tables import installed, runner
from tests.clones import ForkedCheckout

Question = dict[str, Any]
QUESTIONS: list[Question] = json.loads((Path(__file__).parent / "installed_tables.json").read_text(encoding="utf-8"))
LEARNABLE = [item for item in QUESTIONS if item["learnable"]]
TOLERANCE = 1e-9
SERVED_SHARE = 0.95


def called(item: Question) -> str:
    """The name of a table with its target."""
    return f"{item['name']}:{item['target']}"


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """The tables by name."""
    return dict(installed.tables())


@pytest.fixture(scope="module")
def ran(tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of each question: each is declared by `loopline new`, and one `loopline run` makes them all."""
    folder = tmp_path_factory.mktemp("tables")
    asked: dict[str, tuple[Path, Question]] = {}
    for number, item in enumerate(QUESTIONS):
        file = folder / f"table_{number}.csv"
        tables[item["name"]].to_csv(file, index=False)
        asked[f"table_{number}"] = (file, item)
    found = runner.run_together(ForkedCheckout(folder / "checkout"), asked)
    return {called(item): found[product] for product, (_, item) in asked.items()}


def test_the_list_is_of_many_shapes_and_of_targets_that_the_rule_draws(tables: dict[str, pd.DataFrame]) -> None:
    """Nobody chose them: each is what the hash of the table's name draws."""
    drawn = {
        (name, asked.target, asked.kind, asked.time) for name, frame in tables.items() for asked in installed.drawn(name, frame)
    }
    assert {(item["name"], item["target"], item["kind"], item["time"]) for item in QUESTIONS} == drawn
    assert len(QUESTIONS) >= 25
    assert {item["kind"] for item in QUESTIONS} == {"binary", "multiclass", "regression"}
    assert sum(item["time"] is not None for item in QUESTIONS) >= 3
    assert max(item["columns"] for item in QUESTIONS) >= 60


@pytest.mark.parametrize("item", QUESTIONS, ids=called)
def test_a_table_ends_served_or_refused_and_all_ways_answer_alike(ran: dict[str, dict[str, Any]], item: Question) -> None:
    """Never in an error; a refusal says by which findings."""
    found = ran[called(item)]
    assert found["outcome"] != runner.FAILED, f"at {found['at']}: {found['error']}"
    assert found["outcome"] == runner.SERVED or found["refused_by"]
    assert max(found.get("differences", {}).values(), default=0.0) <= TOLERANCE, found["differences"]
    if found["outcome"] == runner.SERVED:
        assert set(found["differences"]) == {"onnx", "precomputed", "embedded", "sql", "service"}


def test_what_can_be_learnt_is_served(ran: dict[str, dict[str, Any]]) -> None:
    """At the first run, of at least 95 % of the tables."""
    refused = {called(item): found for item in LEARNABLE if (found := ran[called(item)])["outcome"] != runner.SERVED}
    told = {name: found.get("reasons") or found.get("error") for name, found in refused.items()}
    assert len(refused) <= (1 - SERVED_SHARE) * len(LEARNABLE), json.dumps(told, indent=1)

"""The page of faults: a row is written as its trial ends, and what was tried on a day or later is not tried again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from assets.spec import ProductSpec
from benchmarks.faults import full_disk, kills, power_cut, table
from benchmarks.faults.killed_experiments import VERBS
from benchmarks.faults.small_product import DECLARED
from benchmarks.faults.table import Row


def test_a_row_takes_the_place_of_the_one_of_before_and_others_stay(tmp_path: Path) -> None:
    """Each says when it was tried."""
    page = tmp_path / "faults.md"
    table.write(page, [Row("kill -9", "`run`", 9, 9), Row("disk full", "`run`", 8, 8)], "2026-01-01", "a machine")
    table.write(page, [Row("kill -9", "`run`", 3, 4, "a note")], "2026-02-01", "a machine")
    text = page.read_text(encoding="utf-8")
    assert "| kill -9 | `run` | 3 of 4 | a note | 2026-02-01 |" in text
    assert "| disk full | `run` | 8 of 8 |  | 2026-01-01 |" in text
    assert text.count("`run`") == 2
    assert table.tried_since(page, "2026-01-15") == {("kill -9", "`run`")}
    assert table.tried_since(page, "2026-01-01") == {("kill -9", "`run`"), ("disk full", "`run`")}
    assert table.tried_since(page, "9999-12-31") == table.tried_since(tmp_path / "none.md", "2026-01-01") == frozenset()


def test_a_problem_that_shows_only_at_the_end_costs_a_try(capsys: pytest.CaptureFixture[str]) -> None:
    """And is printed."""
    row = Row.of("kill -9", "`run`", 5, 5, problems=Counter({"a draft stays": 2}))
    assert (row.survived, row.tried) == (4, 5)
    assert "2 x a draft stays" in capsys.readouterr().out


def test_what_is_tried_has_names_of_its_own_and_rows_that_are_there_are_left_out() -> None:
    """Else a row would take another's place, and a break would begin anew."""
    names = [command.name for command in kills.COMMANDS]
    assert len(set(names)) == len(names)
    assert power_cut.TIMES.keys() <= set(names)
    every = {(kills.FAULT, name) for name in names} | {("disk full", item.name) for item in full_disk.COMMANDS}
    world = None  # nothing is tried, so that nobody asks for it
    assert list(kills.rows(world, every)) == list(full_disk.rows(world, every, files=False)) == []  # type: ignore[arg-type]


def test_the_small_product_declares_the_experiments_that_are_killed() -> None:
    """It is a product as any other."""
    spec = ProductSpec.model_validate(DECLARED)
    assert {item.name for item in spec.experiments} == VERBS.keys()

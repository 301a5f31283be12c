"""Kinds of target: a stated rule, what a user says instead, and what becomes of classes of too few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import UnlearnableError
from assets.scaffolding.profiling import profile
from assets.scaffolding.question import Question
from assets.scaffolding.target_kinds import Target, target_of
from assets.storage.home import Home

ROWS = 300
RANDOM = np.random.default_rng(0)


def target(home: Home, values: Any, **asked: Any) -> Target:
    """What a column of these values is as a target."""
    path = Path(home.root) / "rows.csv"
    pd.DataFrame({"y": values, "x": np.arange(len(values)) % 7}).to_csv(path, index=False)
    found = profile(home, path)
    return target_of(found, found.columns[0], Question("rows", "y", **asked), None)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["yes", "no"] * 150, "binary"),
        (["ja!", "nein!"] * 150, "binary"),
        ([3, 7] * 150, "binary"),
        ([0.5, 2.5] * 150, "binary"),
        ([True, False] * 150, "binary"),
        (["a", "b", "c"] * 100, "multiclass"),
        ([1, 2, 3, 4, 5] * 60, "multiclass"),
        (list(range(10)) * 30, "multiclass"),
        (list(range(11)) * 30, "regression"),
        ([0] * 150 + [1] * 100 + [2] * 40 + [3] * 8 + [4] * 2, "regression"),
        (list(range(ROWS)), "regression"),
        ([0.5, 1.5, 2.5] * 100, "regression"),
    ],
    ids=[
        "boolean words", "two words", "two integers", "two decimals", "true and false", "three texts", "a scale of five",
        "ten digits", "eleven integers", "a count with a thin tail", "many integers", "three decimals",
    ],
)  # fmt: skip
def test_the_kind_follows_from_the_values(home: Home, values: list[Any], kind: str) -> None:
    """Two values are binary, texts and few whole numbers classes, other numbers a quantity; the reason is told."""
    found = target(home, values)
    assert found.kind == kind
    assert found.why


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3, 4, 5] * 60, "regression"),
        (list(range(30)) * 10, "multiclass"),
        ([0.5, 1.5, 2.5] * 100, "multiclass"),
        ([3, 7] * 150, "regression"),
    ],
)
def test_a_user_says_otherwise(home: Home, values: list[Any], kind: str) -> None:
    """And what can be said otherwise is told with the guess."""
    guessed = target(home, values)
    assert f"--kind {kind}" in guessed.changes
    said = target(home, values, kind=kind)
    assert said.kind == kind
    assert said.why == "you said so"


def test_decimals_as_classes_are_declared_as_text(home: Home) -> None:
    """As the file spells them, so that labels do not depend on who writes a number."""
    found = target(home, [0.5, 2.5] * 150)
    assert found.column.type == "text"
    assert found.block["positive"] in ("0.5", "2.5")


def test_rare_classes_are_merged_where_they_are_enough_together(home: Home) -> None:
    """The declaration says which; the name is none that is there."""
    found = target(home, ["a"] * 100 + ["other"] * 100 + ["b"] * 88 + ["d"] * 7 + ["e"] * 5)
    assert found.block["classes"] == ["a", "b", "other", "other_2"]
    assert found.block["merge"] == {"other_2": ["d", "e"]}
    assert found.notes == ("classes of fewer than 10 rows count as one class, 'other_2' (12 rows): 'd' (7), 'e' (5)",)


@pytest.mark.parametrize("rare", [["d"] * 9, ["d"] * 4 + ["e"] * 5], ids=["one", "two that are too few together"])
def test_rare_classes_are_left_out_else(home: Home, rare: list[str]) -> None:
    """Their rows are predicted, and train nothing."""
    found = target(home, ["a"] * 100 + ["b"] * 90 + ["c"] * 80 + rare)
    assert found.block["classes"] == ["a", "b", "c"]
    assert found.block["leave_out"] == sorted(set(rare))
    assert "train nothing" in found.notes[0]


def test_two_classes_that_are_left_are_binary(home: Home) -> None:
    """Beside a class that is left out, or one that is merged."""
    found = target(home, ["a"] * 200 + ["b"] * 95 + ["c"] * 5)
    assert (found.kind, found.block["positive"], found.block["leave_out"]) == ("binary", "b", ["c"])
    merged = target(home, ["a"] * 280 + ["b"] * 8 + ["c"] * 8)
    assert (merged.kind, merged.block["positive"], merged.block["merge"]) == ("binary", "other", {"other": ["b", "c"]})


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_too_many_values_are_told_with_the_kind_that_was_asked_for(home: Home, kind: str) -> None:
    """Leaving that one out is the remedy."""
    with pytest.raises(UnlearnableError, match=rf"300 different values .* Leave out --kind {kind} for a regression"):
        target(home, list(range(ROWS)), kind=kind)


def test_rows_without_a_value_are_told(home: Home) -> None:
    """They are predicted, and train nothing."""
    found = target(home, [*(["yes", "no"] * 100), *[None] * 50])
    assert found.notes == ("50 rows have no value of the target 'y': they are predicted, and train nothing",)

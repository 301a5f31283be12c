"""Edits of a declaration change what was asked, and leave every other character as it stands."""

from __future__ import annotations

import difflib
from typing import Any

import pytest
import yaml

from assets.errors import SpecificationError
from assets.scaffolding.yaml_edit import edited
from assets.storage.home import REPOSITORY

FLIGHTS = (REPOSITORY / "orchestration" / "defs" / "flight_delay" / "defs.yaml").read_text(encoding="utf-8")
BLOCK = """# ours
attributes:
  features:
    groups:
      all:
        age: {type: number}  # in years
        # what they pay
        plan: {type: category}
      flow: {visits: {type: number}, spend: {type: number}}
  model:
    estimator: a.B  # the best
    parameters:
      C: 1.0  # tried 2
      depth: 3
    seed: 3
  cost: {missed: 1.0}
"""


def changed_lines(before: str, after: str) -> list[str]:
    """The lines of a difference."""
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[:1] in "+-"]


def test_parameters_within_brackets_are_replaced_and_comments_stay() -> None:
    """One line of the repository's own declaration differs."""
    given = {"learning_rate": 0.05, "max_iter": 60}
    after = edited(FLIGHTS, parameters=given)
    assert yaml.safe_load(after)["attributes"]["model"]["parameters"] == given
    assert changed_lines(FLIGHTS, after) == [
        "-     parameters: {learning_rate: 0.1, max_iter: 120, max_leaf_nodes: 31, min_samples_leaf: 200, l2_regularization: 1.0}",
        "+     parameters: {learning_rate: 0.05, max_iter: 60}",
    ]


def test_features_go_with_their_lines_and_an_empty_group_goes_too() -> None:
    """Nothing else is touched."""
    after = edited(FLIGHTS, without={"plane_seats", "plane_age_years", "carrier"})
    groups = yaml.safe_load(after)["attributes"]["features"]["groups"]
    assert "plane" not in groups
    assert "carrier" not in groups["schedule"]
    assert len(changed_lines(FLIGHTS, after)) == 4


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ({"parameters": {"C": 2.0, "depth": 3}}, ["-       C: 1.0  # tried 2", "+       C: 2.0  # tried 2"]),
        ({"parameters": {"C": 1.0}}, ["-       depth: 3"]),
        ({"parameters": {"C": 1.0, "depth": 3, "rate": 0.5}}, ["+       rate: 0.5"]),
        ({"parameters": {}}, ["-     parameters:", "-       C: 1.0  # tried 2", "-       depth: 3"]),
        ({"estimator": "c.D"}, ["-     estimator: a.B  # the best", "+     estimator: c.D  # the best"]),
        ({"without": ["age"]}, ["-         age: {type: number}  # in years"]),
        (
            {"without": ["visits"]},
            ["-       flow: {visits: {type: number}, spend: {type: number}}", "+       flow: {spend: {type: number}}"],
        ),
    ],
)
def test_each_edit_changes_its_own_lines(asked: dict[str, Any], lines: list[str]) -> None:
    """Over several lines and within brackets, with the comments beside what stays."""
    after = edited(BLOCK, **asked)
    found = [line for line in changed_lines(BLOCK, after) if not line.startswith("?")]
    assert [line[:2] + line[2:] for line in found] == lines
    yaml.safe_load(after)


def test_parameters_are_added_where_none_are_declared() -> None:
    """After the estimator."""
    text = "attributes:\n  model:\n    estimator: a.B\n    seed: 3\n"
    assert (
        edited(text, parameters={"C": 1}) == "attributes:\n  model:\n    estimator: a.B\n    parameters: {C: 1}\n    seed: 3\n"
    )


def test_what_cannot_be_edited_is_told() -> None:
    """A value over several lines, or a declaration without a model."""
    with pytest.raises(SpecificationError, match="has no 'model'"):
        edited("attributes: {name: x}\n", estimator="a.B")
    nested = "attributes:\n  model:\n    estimator: a.B\n    parameters:\n      C:\n        - 1\n"
    with pytest.raises(SpecificationError, match="line 6 begins a value over several lines"):
        edited(nested, parameters={"C": [2]})

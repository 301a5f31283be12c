"""The declaration of an experiment: its defaults, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from assets.spec.experiments import ExperimentSpec
from assets.storage.home import Home
from tests.shop import definitions, product

DECLARED: dict[str, Any] = {
    "name": "cheaper_threshold",
    "arms": {"control": "champion", "treatment": 2},
    "unit": "customer_id",
    "minimal_effect": 0.05,
}


def test_the_first_arm_is_the_control_and_shares_are_equal_unless_declared() -> None:
    """Lower costs are better without a word."""
    spec = ExperimentSpec.model_validate(DECLARED)
    assert (spec.control, spec.shares, spec.better) == ("control", {"control": 0.5, "treatment": 0.5}, "lower")
    uneven = ExperimentSpec.model_validate({**DECLARED, "allocation": {"treatment": 0.1, "control": 0.9}})
    assert list(uneven.shares.items()) == [("control", 0.9), ("treatment", 0.1)]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"arms": {"control": "champion"}}, "at least 2 items"),
        (
            {"arms": {"a": "champion", "b": "champion"}},
            r"arms that are the same: a: champion, b: champion\. Give each arm another",
        ),
        ({"arms": {"a": "champion", "b": "newest"}}, "'champion' or 'challenger'"),
        ({"arms": {"a": "champion", "b": 0}}, "greater than or equal to 1"),
        ({"allocation": {"control": 0.5}}, r"allocates \['control'\], but has arms \['control', 'treatment'\]"),
        ({"allocation": {"control": 0.5, "treatment": 0.4}}, r"allocates 0\.9 of the units\. Make the shares add up to 1"),
        ({"metric": "latency_ms"}, "'cost', 'outcome' or 'decision'"),
        ({"metric": "outcome"}, r"measures outcome, of which nobody knows what is better\. Give 'direction'"),
        ({"direction": "higher"}, r"calls a higher cost better\. Remove 'direction'"),
        ({"guardrails": [{"metric": "cost", "max_harm": 0.1}]}, r"names a metric twice: \['cost', 'cost'\]"),
        ({"guardrails": [{"metric": "decision", "max_harm": 0.1}]}, "measures decision, of which nobody knows"),
        ({"minimal_effect": 0.0}, "greater than 0"),
        ({"max_weeks": 0}, "greater than or equal to 1"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(more: dict[str, Any], message: str) -> None:
    """Before anything is asked of a service."""
    with pytest.raises(ValidationError, match=message):
        ExperimentSpec.model_validate({**DECLARED, **more})


def test_a_product_names_each_experiment_once_and_averages_no_classes() -> None:
    """The mean of classes says nothing."""
    with pytest.raises(ValidationError, match=r"declares an experiment twice: \['cheaper_threshold', 'cheaper_threshold'\]"):
        product("churn", experiments=[DECLARED, DECLARED])
    with pytest.raises(ValidationError, match=r"averages \['outcome'\] in experiment 'cheaper_threshold', which are classes"):
        product("tier", experiments=[{**DECLARED, "metric": "outcome", "direction": "higher"}])


def test_an_experiment_makes_nothing_stale(home: Home, tmp_path: Path) -> None:
    """Every code version stays as it is; what looks at experiments comes on demand."""
    before, after = (
        {
            node.key: node.code_version
            for node in definitions(home, tmp_path, product("churn", **more)).resolve_asset_graph().asset_nodes
        }
        for more in ({}, {"experiments": [DECLARED]})
    )
    assert {key.path[-1] for key in after.keys() - before.keys()} == {"experiment", "shadow", "off_policy"}
    assert before.items() <= after.items()
    assert len({version for version in before.values() if version}) >= 10

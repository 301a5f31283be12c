"""Declared fallbacks: what is no answer of the product's kind is refused when the declaration is read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shop import product

THIRDS = {"bronze": 0.5, "silver": 0.25, "gold": 0.25}


@pytest.mark.parametrize(
    ("name", "fallback"),
    [("churn", 0.2), ("churn", 1), ("churn", "baseline"), ("tier", THIRDS), ("tier", "baseline"), ("spend", -3.5)],
)
def test_what_is_an_answer_is_taken(name: str, fallback: Any) -> None:
    """A probability, one for each class, a value, or the table; with a breaker that takes all defaults."""
    serving = product(name, serving={"fallback": fallback, "breaker": {}}).serving
    assert serving.fallback == fallback
    assert serving.breaker is not None
    assert not {"fallback", "breaker"} & serving.limits.keys()


@pytest.mark.parametrize(
    ("name", "fallback", "told"),
    [
        ("churn", 1.5, "must be the probability that the customer leaves, from 0 to 1"),
        ("churn", THIRDS, "a binary target has no classes. Give baseline or a number"),
        ("churn", "base", "must be baseline, a number, or a probability for each class, got 'base'"),
        ("churn", True, "must be baseline, a number, or a probability for each class, got True"),
        ("churn", float("inf"), "finite number"),
        ("tier", 0.5, "needs baseline or a probability for each. Classes"),
        ("tier", {"bronze": 1.0}, "it must name each class once"),
        ("tier", {**THIRDS, "gold": 0.5}, "must be probabilities that add up to 1"),
        ("tier", {**THIRDS, "gold": -0.25, "silver": 0.75}, "must be probabilities that add up to 1"),
        ("spend", THIRDS, "a regression target has no classes"),
    ],
)
def test_what_is_none_is_refused(name: str, fallback: Any, told: str) -> None:
    """By what is allowed."""
    with pytest.raises(ValueError, match=told):
        product(name, serving={"fallback": fallback})


def test_a_breaker_needs_a_fallback() -> None:
    """It could answer nothing."""
    with pytest.raises(ValueError, match=r"has serving.breaker without serving.fallback"):
        product("churn", serving={"breaker": {}})


@pytest.mark.parametrize("width", [0, 0.0, -10])
def test_a_table_has_bins_of_some_width(width: float) -> None:
    """No value can be divided by none: a service that falls back on such a table could not even start."""
    with pytest.raises(ValueError, match="greater than 0"):
        product("churn", baseline={"by": {"age": width}}, serving={"fallback": "baseline"})

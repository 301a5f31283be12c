"""Several hypotheses: Holm keeps the chance of any error, e-BH the share of errors, however they depend on each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from assets.methods.several_hypotheses import e_bh, holm


@given(some.lists(some.floats(0, 1), min_size=1, max_size=5))
def test_holm_is_the_closed_test_of_bonferronis(values: list[float]) -> None:
    """A hypothesis is found if each set of them that it is in is found; ties, zeros and ones included."""
    members = range(len(values))
    sets = [chosen for size in range(1, len(values) + 1) for chosen in combinations(members, size)]
    worst = [max(min(1.0, len(one) * min(values[i] for i in one)) for one in sets if member in one) for member in members]
    np.testing.assert_allclose(holm(values), worst, atol=1e-12)


@given(some.lists(some.floats(0, 1e6), min_size=1, max_size=12), some.floats(0.01, 0.5))
def test_e_bh_finds_just_the_largest_set_that_supports_itself(values: list[float], alpha: float) -> None:
    """Wang and Ramdas (2022): each found is at least K / (alpha k), and no larger set has that."""
    found, total = e_bh(values, alpha), len(values)
    size = int(found.sum())
    ordered = sorted(values, reverse=True)
    assert sorted((value for value, is_found in zip(values, found, strict=True) if is_found), reverse=True) == ordered[:size]
    supported = [count for count in range(1, total + 1) if ordered[count - 1] * count >= total / alpha]
    assert size == max(supported, default=0)


def test_e_bh_keeps_the_share_of_errors_where_all_depend_on_each_other() -> None:
    """Ten hypotheses, three false, one shared noise."""
    random = np.random.default_rng(1)
    shared = random.normal(0, 1, (4000, 1))
    scores = 0.8 * shared + 0.6 * random.normal(0, 1, (4000, 10)) + 4.0 * (np.arange(10) < 3)
    evidence = np.exp(3.0 * scores - 4.5)
    found = np.array([e_bh(values, 0.1) for values in evidence])
    share = found[:, 3:].sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    assert share.mean() <= 0.1
    assert found[:, :3].mean() > 0.5


def test_none_at_all_finds_nothing() -> None:
    """Empty lists stay empty."""
    assert holm([]).tolist() == []
    assert e_bh([], 0.05).tolist() == []


def test_what_is_no_p_value_or_e_value_is_refused() -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match="each must lie from 0 to 1"):
        holm([0.5, 1.5])
    with pytest.raises(ValueError, match="none may be negative"):
        e_bh([-1.0], 0.05)
    with pytest.raises(ValueError, match="alpha is 2"):
        e_bh([1.0], 2)

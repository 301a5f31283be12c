"""The best course in hindsight is the cheapest of all courses there are, tried one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assets.methods.hindsight import best_courses
from assets.methods.ranking import Array


def tried(costs: Array, price: float, most: int) -> tuple[float, tuple[int, ...]]:
    """The cheapest of all courses with at most so many trainings, by trying each."""
    spans = len(costs)
    found = []
    for taken in itertools.product((False, True), repeat=spans - 1):
        if sum(taken) > most:
            continue
        course = [0]
        for span, is_taken in enumerate(taken, start=1):
            course.append(span if is_taken else course[-1])
        spent = sum(costs[span, model] for span, model in enumerate(course))
        found.append((float(spent + price * sum(taken)), tuple(course)))
    return min(found)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("price", [0.0, 0.7, 5.0])
def test_it_is_the_cheapest_of_all_courses(seed: int, price: float) -> None:
    """Of eight spans there are 128 courses; for each number of trainings the cheapest is found, with its cost."""
    costs = np.random.default_rng(seed).uniform(0, 4, (3, 8, 8))
    found = best_courses(costs, price, most=7)
    for most in range(8):
        for draw in range(3):
            assert found.totals[draw, most] == pytest.approx(tried(costs[draw], price, most)[0])
        assert found.courses[most] == tried(costs[0], price, most)[1]


def test_a_model_that_was_not_trained_is_never_served() -> None:
    """However dear the others are."""
    costs = np.full((1, 4, 4), 100.0)
    costs[:, :, 2] = np.inf
    costs[:, :, 3] = 1.0
    found = best_courses(costs, price=10.0, most=3)
    assert found.courses[-1] == (0, 0, 0, 3)
    assert found.totals[0].tolist() == [400.0, 311.0, 311.0, 311.0]


def test_without_a_training_the_first_model_serves() -> None:
    """That is the policy which never trains."""
    costs = np.random.default_rng(1).uniform(0, 4, (1, 5, 5))
    found = best_courses(costs, price=0.0, most=0)
    assert found.courses == ((0, 0, 0, 0, 0),)
    assert found.totals[0, 0] == pytest.approx(costs[0, :, 0].sum())

"""Online control of false discoveries: the levels are those of the papers, and false discoveries stay within the budget."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assets.methods.error_budget import Spent, e_lond_level, left, lord_level, spent


def javanmard(number: int) -> float:
    """The series of Javanmard and Montanari (2018), equation 31, as the R package onlineFDR takes it."""
    return 0.07720838 * math.log(max(number, 2)) / (number * math.exp(math.sqrt(math.log(number))))


def test_levels_of_lord_are_those_of_ramdas_and_others() -> None:
    """Equation 7 by hand, for the four p-values and settings of onlineFDR's own test: it rejects the first and the third."""
    past: list[Spent] = []
    for p_value in (1e-07, 0.1, 0.00025, 0.07):
        level = lord_level(past, 0.05, initial_share=0.1, series=javanmard)
        past.append(Spent(level, p_value <= level))
    initial, first, second, third, fourth = 0.005, *(javanmard(number) for number in (1, 2, 3, 4))
    assert [item.level for item in past] == pytest.approx(
        [
            first * initial,
            second * initial + 0.045 * first,
            third * initial + 0.045 * second,
            fourth * initial + 0.045 * third + 0.05 * first,
        ]
    )
    assert [item.is_rejected for item in past] == [True, False, True, False]


def test_what_lord_spends_is_never_more_than_promotions_earn() -> None:
    """Whatever is rejected, for 300 decisions; something is always left for the next."""
    random = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.9):
        past: list[Spent] = []
        for _ in range(300):
            past.append(Spent(lord_level(past, 0.1), bool(random.random() < share)))
            assert left(past, 0.1) >= -1e-12
            assert past[-1].level > 0
    assert spent([Spent(0.05, is_rejected=False), Spent(0.01, is_rejected=True)]) == pytest.approx(0.06)


def test_false_discoveries_stay_within_the_budget_by_both_rules() -> None:
    """800 products of 40 decisions each, one in seven of a challenger that is better: at a fixed level it is far more."""
    random = np.random.default_rng(1)
    shares: dict[str, list[float]] = {"lord": [], "e-lond": [], "fixed": []}
    for _ in range(800):
        is_better = random.random(40) < 0.15
        signal = random.normal(np.where(is_better, 3.0, 0.0))
        p_values = 0.5 * np.vectorize(math.erfc)(signal / math.sqrt(2))
        e_values = np.exp(2.5 * signal - 2.5**2 / 2)  # the likelihood ratio of a gain of 2.5
        for name, found_shares in shares.items():
            past: list[Spent] = []
            for p_value, e_value in zip(p_values, e_values, strict=True):
                level = {"lord": lord_level(past, 0.1), "e-lond": e_lond_level(past, 0.1), "fixed": 0.05}[name]
                past.append(Spent(level, bool(e_value >= 1 / level if name == "e-lond" else p_value <= level)))
            rejected = np.array([item.is_rejected for item in past])
            found_shares.append(float((rejected & ~is_better).sum() / max(1, rejected.sum())))
    found = {name: float(np.mean(values)) for name, values in shares.items()}
    assert found["lord"] <= 0.1
    assert found["e-lond"] <= 0.1
    assert found["fixed"] > 0.2


def test_e_lond_holds_however_e_values_depend() -> None:
    """One e-value for all decisions, of a true hypothesis: nothing could depend more."""
    random = np.random.default_rng(2)
    false = 0
    for e_value in np.exp(2.0 * random.normal(size=4000) - 2.0):
        past: list[Spent] = []
        for _ in range(20):
            level = e_lond_level(past, 0.1)
            past.append(Spent(level, bool(e_value >= 1 / level)))
        false += any(item.is_rejected for item in past)
    assert 0 < false / 4000 <= 0.1

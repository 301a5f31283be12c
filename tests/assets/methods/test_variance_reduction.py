"""CUPED: the same from aggregates as by regression, narrower by what the covariates explain, and never biased by them."""

from __future__ import annotations

import numpy as np
import pytest

from assets.methods import effects
from assets.methods.moments import Moments
from assets.methods.variance_reduction import cuped


def arms(seed: int, effect: float, count: int = 500) -> tuple[Moments, Moments]:
    """An outcome that a covariate explains by 64 %, and one that explains nothing."""
    random = np.random.default_rng(seed)
    found = []
    for shift in (effect, 0.0):
        before, noise = random.normal(5, 1, count), random.normal(0, 1, count)
        found.append(Moments.of(np.stack([shift + 0.8 * before + 0.6 * random.normal(0, 1, count), before, noise], axis=-1)))
    return found[0], found[1]


def test_the_covariates_take_off_what_they_explain() -> None:
    """64 % of the variance, so that 0.36 of the units do."""
    found = cuped(*arms(1, 0.2, 20_000))
    assert float(found.share) == pytest.approx(0.36, abs=0.02)
    assert found.coefficients == pytest.approx([0.8, 0.0], abs=0.02)
    plain = effects.difference(*arms(1, 0.2, 20_000))
    assert float(found.effect.error / plain.error) == pytest.approx(0.6, abs=0.02)
    assert float(found.effect.value) == pytest.approx(0.2, abs=4 * float(found.effect.error))


def test_the_interval_holds_the_effect_as_often_as_it_says() -> None:
    """In simulations, by the error that it tells."""
    found = [cuped(*arms(seed, 0.2)).effect for seed in range(300)]
    scores = np.array([(float(one.value) - 0.2) / float(one.error) for one in found])
    assert abs(scores.mean()) < 0.25
    assert scores.std() == pytest.approx(1, abs=0.12)


def test_a_covariate_without_variance_or_twice_the_same_changes_nothing() -> None:
    """The first has no coefficient, and two that are the same share theirs."""
    random = np.random.default_rng(3)
    before, outcome = random.normal(0, 1, (2, 200, 1)), random.normal(0, 1, (2, 200, 1))
    outcome = outcome + before
    one, constant, twice = (
        cuped(*(Moments.of(np.concatenate([rows, *parts], axis=-1)) for rows, parts in zip(outcome, covariates, strict=True)))
        for covariates in (
            [(part,) for part in before],
            [(part, np.ones((200, 1))) for part in before],
            [(part, part) for part in before],
        )
    )
    for other in (constant, twice):
        assert float(other.effect.value) == pytest.approx(float(one.effect.value))
        assert float(other.effect.error) == pytest.approx(float(one.effect.error))


def test_looks_and_simulations_are_done_at_once() -> None:
    """Leading axes stay."""
    pairs = [arms(seed, 0.2) for seed in range(4)]
    stacked = [
        Moments(*(np.array([getattr(pair[side], name) for pair in pairs]) for name in ("count", "mean", "scatter")))
        for side in (0, 1)
    ]
    found = cuped(*stacked).effect.value
    assert found == pytest.approx([float(cuped(*pair).effect.value) for pair in pairs])


def test_no_covariate_is_refused() -> None:
    """It would be the plain difference."""
    plain = Moments.of(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="there is no covariate"):
        cuped(plain, plain)

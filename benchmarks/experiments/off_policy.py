"""Off-policy estimates against the truth: bias and coverage over simulated logs of an experiment and of a random rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.methods.bootstrap import Array
from assets.methods.decision_propensity import decision_propensity
from assets.methods.off_policy import OffPolicyEvaluation, PolicyValue, evaluate

Booleans = np.ndarray[Any, np.dtype[np.bool_]]

SIMULATIONS, TRUTH_ROWS = 1000, 4_000_000
BIAS_ERRORS = 2.576
"""The bias must lie within so many of its standard errors: 99 %, as several figures are looked at."""
COVERAGE = 0.93
HALVES = np.array([0.5, 0.5])
MISSED, FALSE_ALARM, CURED = 5.0, 1.0, 0.4
"""A warning costs 1 if it is needless; what is missed costs 5; a warning leaves four in ten of the harm."""


def rows(simulations: int = SIMULATIONS) -> list[tuple[str, str, str]]:
    """Each figure with what was measured and what is asked."""
    found: list[tuple[str, str, str]] = []
    logs = (("two thresholds", _two_thresholds, _truth_of_threshold()), ("random rule", _random, _truth()))
    for name, simulate, truth in logs:
        drawn = [simulate(np.random.default_rng([7, number])) for number in range(simulations)]
        for estimator in drawn[0].values:
            found += _told(f"{name}: {estimator}", [item.values[estimator] for item in drawn], truth)
    found.append(_refused())
    return found


def _told(name: str, values: Sequence[PolicyValue], truth: float) -> Iterator[tuple[str, str, str]]:
    """Bias with its interval, and coverage with its standard error."""
    estimates = np.array([item.value for item in values])
    bias, error = estimates.mean() - truth, estimates.std(ddof=1) / np.sqrt(len(values))
    covered = np.mean([item.low <= truth <= item.high for item in values])
    spread = np.sqrt(covered * (1 - covered) / len(values))
    yield (
        f"{name}, bias of {len(values):,} estimates (truth {truth:.4f})",
        f"{bias:+.5f} ± {BIAS_ERRORS * error:.5f}",
        "within its interval" + ("" if abs(bias) <= BIAS_ERRORS * error else ": missed"),
    )
    yield (
        f"{name}, coverage of 95 % intervals",
        f"{covered:.1%} ± {1.96 * spread:.1%}",
        f"at least {COVERAGE:.0%}" + ("" if covered >= COVERAGE else ": missed"),
    )


def _chance(score: Array) -> Array:
    """Of harm, where the score is a model's probability that is somewhat too bold."""
    return np.asarray(0.1 + 0.7 * score)


def _cost(score: Array, warned: Booleans) -> Array:
    """What a decision costs on average."""
    harm = _chance(score)
    return np.asarray(np.where(warned, FALSE_ALARM * (1 - harm) + CURED * MISSED * harm, MISSED * harm))


def _two_thresholds(random: np.random.Generator) -> OffPolicyEvaluation:
    """An experiment of two thresholds, units dealt half and half, three rows a unit; a third threshold between is evaluated.

    The decision changes what comes, so a log of one threshold alone could not tell.
    """
    low, high, new = 0.15, 0.45, 0.3
    units = np.repeat(np.arange(700), 3)
    score = np.clip(random.beta(1.5, 4, 700)[units] + random.normal(0, 0.05, len(units)), 0, 1)
    is_bold = (random.random(700) < 0.5)[units]
    decided = np.column_stack([score >= low, score >= high])
    warned = np.where(is_bold, decided[:, 0], decided[:, 1])
    harmed = random.random(len(units)) < _chance(score)
    cost = np.where(warned, np.where(harmed, CURED * MISSED, FALSE_ALARM), np.where(harmed, MISSED, 0.0))
    propensity = decision_propensity(HALVES, decided, warned)
    says = score >= new
    return evaluate(cost, propensity, 1.0 * (warned == says), expected=_fitted(score, warned, cost, says, units), units=units)


def _truth_of_threshold() -> float:
    random = np.random.default_rng(0)
    score = np.clip(random.beta(1.5, 4, TRUTH_ROWS) + random.normal(0, 0.05, TRUTH_ROWS), 0, 1)
    return float(_cost(score, score >= 0.3).mean())


def _random(random: np.random.Generator) -> OffPolicyEvaluation:
    """A rule that warned by chance, more often where the score is high; one that warns from 0.3 is evaluated.

    The expectations are wrong on purpose: the same for every row.
    """
    score = random.beta(1.5, 4, 2000)
    likely = 0.1 + 0.8 * score
    warned = random.random(2000) < likely
    harmed = random.random(2000) < _chance(score)
    cost = np.where(warned, np.where(harmed, CURED * MISSED, FALSE_ALARM), np.where(harmed, MISSED, 0.0))
    says = score >= 0.3
    wrong = np.full(2000, 1.0)
    return evaluate(cost, np.where(warned, likely, 1 - likely), 1.0 * (warned == says), expected=(wrong, wrong))


def _truth() -> float:
    score = np.random.default_rng(1).beta(1.5, 4, TRUTH_ROWS)
    return float(_cost(score, score >= 0.3).mean())


def _fitted(score: Array, warned: Booleans, cost: Array, says: Booleans, units: Any) -> tuple[Array, Array]:
    """Expected costs by least squares on the score, for each decision, fitted on the other half of the units."""
    found = np.zeros((2, len(score)))
    design = np.column_stack([np.ones_like(score), score, score**2])
    for fold in (0, 1):
        own = units % 2 == fold
        fitted: dict[bool, Array] = {
            action: np.linalg.lstsq(design[~own & (warned == action)], cost[~own & (warned == action)], rcond=None)[0]
            for action in (False, True)
        }
        for place, decided in enumerate((warned, says)):
            found[place, own] = np.where(decided, design @ fitted[True], design @ fitted[False])[own]
    return found[0], found[1]


def _refused() -> tuple[str, str, str]:
    """A threshold far outside those that were served."""
    random = np.random.default_rng(3)
    score = random.beta(1.5, 4, 5000)
    decided = np.column_stack([score >= 0.15, score >= 0.45])
    warned = np.where(random.random(5000) < 0.5, decided[:, 0], decided[:, 1])
    says = score >= 0.02
    propensity, never = decision_propensity(HALVES, decided, warned), 1.0 * (decision_propensity(HALVES, decided, says) == 0)
    try:
        evaluate(np.ones(5000), propensity, 1.0 * (warned == says), never_taken=never)
    except DataError as error:
        return "a threshold far below both that were served", f"refused: {str(error).partition(',')[0]}", "refused"
    return "a threshold far below both that were served", "evaluated", "refused: missed"


if __name__ == "__main__":
    for figure in rows():
        print(" | ".join(figure))

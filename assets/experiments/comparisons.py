"""Comparisons: an arm against the control in one metric, at each look, and what may be said of it however often one looks.

All intervals are confidence sequences (`assets.methods.confidence_sequences`, `rate_sequences`): they hold at all looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.experiments.arm_moments import ArmMoments
from assets.methods import always_valid, confidence_sequences, effects, rate_sequences, ratio_metrics
from assets.methods.always_valid import Verdict
from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds
from assets.methods.variance_reduction import cuped

LEAST_RATE = 0.01
"""Of errors, a control with fewer counts as having this rate: a share of nothing could never be kept."""
LEAST_UNITS = 30.0
"""From how many units in the smallest arm on a mean may be taken to be normal, at the earliest."""


@dataclass(frozen=True)
class Comparison:
    """An arm against the control in one metric.

    Parameters
    ----------
    arm, metric : str
        Which.
    better : str
        ``lower`` or ``higher``.
    control, value, low, high : list of float or None
        At each look the control's mean, the difference from it, and the ends of its interval; None where nothing is known.
    margin : float
        By how much the arm may be worse, in units of the difference.
    verdict : str
        What may be said at the last look: see `assets.methods.always_valid`.
    variance_left : float or None
        The share of the variance that the units' past leaves.
    """

    arm: str
    metric: str
    better: str
    control: list[float | None]
    value: list[float | None]
    low: list[float | None]
    high: list[float | None]
    margin: float
    verdict: str
    variance_left: float | None = None


@dataclass(frozen=True)
class Question:
    """What is asked of an arm.

    Parameters
    ----------
    metric, better : str
        In which metric, and which direction of it is better.
    max_harm : float
        By which share of the control's mean the arm may be worse.
    alpha : float
        The chance that the interval ever leaves the truth out.
    planned : float
        The units at which it should be narrowest.
    """

    metric: str
    better: str
    max_harm: float
    alpha: float
    planned: float


def compare(found: ArmMoments, arm: str, control: str, question: Question, share: float) -> Comparison:
    """Compare an arm with the control.

    Parameters
    ----------
    found : ArmMoments
        The units of the arms.
    arm, control : str
        Which.
    question : Question
        What is asked.
    share : float
        The arm's share of the units of both.
    """
    compared = _rates if question.metric == "error" else _means
    base, value, bounds, left = compared(found, arm, control, question, share)
    floor = LEAST_RATE if question.metric == "error" else 0.0
    margin = question.max_harm * max(abs(float(base[-1])), floor) if np.isfinite(base[-1]) else 0.0
    low, high = float(bounds.low[-1]), float(bounds.high[-1])
    verdict = always_valid.verdict(low, high, margin=margin, is_larger_worse=question.better == "lower")
    if verdict is Verdict.WORSE and (low if question.better == "lower" else -high) <= margin:
        verdict = Verdict.UNDECIDED  # worse, but perhaps not by more than it may be
    return Comparison(
        arm,
        question.metric,
        question.better,
        control=_numbers(base),
        value=_numbers(value),
        low=_numbers(bounds.low),
        high=_numbers(bounds.high),
        margin=margin,
        verdict=verdict.value,
        variance_left=left,
    )


def is_within(comparison: Comparison, effect: float) -> bool:
    """Whether the difference is surely smaller than an effect, as a share of the control's mean."""
    base, low, high = comparison.control[-1], comparison.low[-1], comparison.high[-1]
    if base is None or low is None or high is None:
        return False
    return max(abs(low), abs(high)) < effect * abs(base)


def decided(comparison: Comparison) -> Verdict:
    """What may be said at the last look."""
    return Verdict(comparison.verdict)


def _rates(
    found: ArmMoments, arm: str, control: str, question: Question, share: float
) -> tuple[Array, Array, Bounds, float | None]:
    """The share of units with an error: exact also where there are few."""
    treated, other = (rate_sequences.Counts(found.arms[name].count, found.positive[name]) for name in (arm, control))
    bounds = rate_sequences.difference(
        treated, other, probability=share, expected=LEAST_RATE, planned=question.planned, alpha=question.alpha
    )
    rates = [np.where(item.rows > 0, item.ones / np.maximum(item.rows, 1), np.nan) for item in (treated, other)]
    return rates[1], rates[0] - rates[1], bounds, None


def _means(
    found: ArmMoments, arm: str, control: str, question: Question, share: float
) -> tuple[Array, Array, Bounds, float | None]:
    """The mean of rows, whose error is that of units; what the units' past explains is taken off."""
    del share
    treated, other = (ratio_metrics.linearized(found.arms[name]) for name in (arm, control))
    effect, left = effects.difference(treated, other), None
    if found.has_past:
        adjusted = cuped(treated, other)
        effect, left = adjusted.effect, float(adjusted.share[-1])
    least = max(LEAST_UNITS, confidence_sequences.normal_after(found.skewness))
    bounds = confidence_sequences.asymptotic(effect, alpha=question.alpha, planned=question.planned, least=least)
    base = np.where(other.count > 0, other.mean[..., 0], np.nan)
    return base, np.where(np.minimum(treated.count, other.count) > 0, effect.value, np.nan), bounds, left


def _numbers(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]

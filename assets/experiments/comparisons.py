"""Comparisons: an arm against the control in one metric, at each look, and what may be said of it however often one looks.

All intervals are confidence sequences (`assets.methods.confidence_sequences`, `rate_sequences`): they hold at all looks.

The margin of a guardrail is a share of the control's mean, which is estimated like the arm's. So a guardrail is judged by the
interval of one statistic, ``arm - (1 + max_harm) * control``, with the errors of both in it (the test of a ratio of means by a
linear contrast: Fieller 1954; of non-inferiority: Hauschke, Kieser, Diletti and Burke 1999). To be shown beside the difference
it is moved by the margin as it was estimated at the look, and lies below the margin exactly where the contrast lies below 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from assets.experiments.arm_moments import ArmMoments
from assets.methods import always_valid, confidence_sequences, effects, rate_sequences, ratio_metrics
from assets.methods.always_valid import Verdict
from assets.methods.bootstrap import Array
from assets.methods.confidence_sequences import Bounds
from assets.methods.moments import Moments
from assets.methods.rate_sequences import Counts
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
        At each look the control's mean, the difference from it, and the ends of its interval; None where nothing is known. The
        interval of a guardrail is that of the harm beyond the margin, moved by the margin.
    margin : float
        By how much the arm may be worse, in units of the difference, by the control's mean at the last look.
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
    margins = question.max_harm * np.maximum(np.abs(np.nan_to_num(base)), floor)
    shift = margins if question.better == "lower" else -margins
    bounds = Bounds(bounds.low + shift, bounds.high + shift)
    margin, low, high = float(margins[-1]), float(bounds.low[-1]), float(bounds.high[-1])
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


def harm_of_rates(treated: Counts, control: Counts, question: Question, share: float) -> Bounds:
    """By how much more the arm's rate of errors is than it may be, at each look, exact also where there are few.

    It may be ``max_harm`` of the control's rate more, or of the least rate, if that is larger: the harm is the lesser of two.
    Which of them it is, is not known: the upper end needs the intervals of both, the lower end only that of the one that it is.

    Parameters
    ----------
    treated, control : Counts of shape (...)
        The units of the arms, and those of them with an error.
    question, share
        As in `compare`.

    Returns
    -------
    Bounds of shape (...)
        Below 0 where the arm is surely not worse by more than it may be.
    """
    harm, floor = question.max_harm, question.max_harm * LEAST_RATE
    beyond = partial(
        rate_sequences.difference,
        treated,
        control,
        probability=share,
        expected=LEAST_RATE,
        planned=question.planned,
    )
    if not harm:
        return beyond(alpha=question.alpha)
    low = [beyond(alpha=question.alpha, control_weight=weight).low for weight in (1.0, 1 + harm)]
    high = [beyond(alpha=question.alpha / 2, control_weight=weight).high for weight in (1.0, 1 + harm)]
    return Bounds(np.minimum(low[0] - floor, low[1]), np.minimum(high[0] - floor, high[1]))


def _rates(
    found: ArmMoments, arm: str, control: str, question: Question, share: float
) -> tuple[Array, Array, Bounds, float | None]:
    """The share of units with an error, of which more is worse."""
    treated, other = (Counts(found.arms[name].count, found.positive[name]) for name in (arm, control))
    rates = [np.where(item.rows > 0, item.ones / np.maximum(item.rows, 1), np.nan) for item in (treated, other)]
    return rates[1], rates[0] - rates[1], harm_of_rates(treated, other, question, share), None


def _means(
    found: ArmMoments, arm: str, control: str, question: Question, share: float
) -> tuple[Array, Array, Bounds, float | None]:
    """The mean of rows, whose error is that of units; what the units' past explains is taken off."""
    del share
    treated, other = (ratio_metrics.linearized(found.arms[name]) for name in (arm, control))
    allowed = _allowed(other, question)
    effect, left = effects.difference(treated, allowed), None
    if found.has_past:
        effect, left = cuped(treated, allowed).effect, float(cuped(treated, other).share[-1])
    least = max(LEAST_UNITS, confidence_sequences.normal_after(found.skewness))
    bounds = confidence_sequences.asymptotic(effect, alpha=question.alpha, planned=question.planned, least=least)
    base = np.where(other.count > 0, other.mean[..., 0], np.nan)
    # the difference itself, which what is taken off may have changed
    value = effect.value + allowed.mean[..., 0] - other.mean[..., 0]
    return base, np.where(np.minimum(treated.count, other.count) > 0, value, np.nan), bounds, left


def _allowed(control: Moments, question: Question) -> Moments:
    """The control with its mean made worse by as much as an arm may be worse."""
    worse = 1.0 if question.better == "lower" else -1.0
    return control.times(1 + worse * question.max_harm * np.sign(control.mean[..., 0]))


def _numbers(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]

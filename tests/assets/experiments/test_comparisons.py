"""Comparisons of an arm with the control: a guardrail's margin is a share of a mean that is itself estimated."""

from __future__ import annotations

import numpy as np
import pytest

from assets.experiments.arm_moments import ArmMoments
from assets.experiments.comparisons import Comparison, Question, compare, harm_of_rates
from assets.methods.moments import Moments
from assets.methods.rate_sequences import Counts

LOOKS, ARMS = 20, ("treatment", "control")


def _found(random: np.random.Generator, means: tuple[float, float], share: float, units: int = 500) -> ArmMoments:
    """Units with one row each and normal values, or, where means are below 1, with an error or none."""
    arms, positive = {}, {}
    for name, mean, part in zip(ARMS, means, (share, 1 - share), strict=True):
        drawn = max(1, round(units * part))
        values = random.random((LOOKS, drawn)) < mean if mean < 1 else random.normal(mean, 3.0, (LOOKS, drawn))
        batches = [Moments.of(np.stack([look.astype(float), np.ones(drawn)], axis=-1)) for look in values]
        arms[name] = Moments(
            *(np.stack([getattr(batch, part) for batch in batches]) for part in ("count", "mean", "scatter"))
        ).running()
        positive[name] = (values > 0).sum(axis=1).cumsum().astype(float)
    return ArmMoments(arms, positive, 0.0, 0, 0)


def _compared(found: ArmMoments, metric: str, harm: float, share: float, better: str = "lower") -> Comparison:
    return compare(found, *ARMS, Question(metric, better, harm, 0.05, 5000.0), share)


def _is_rare(wrong: int, runs: int) -> bool:
    """Each end of an interval of 95 % may be wrong in 2.5 % of experiments, give or take what so few of them say."""
    return wrong / runs <= 0.025 + 2 * np.sqrt(0.025 * 0.975 / runs)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_arm_exactly_at_the_margin_is_rarely_called_not_worse_however_units_are_shared(share: float) -> None:
    """A mean: the arm's and the control's are both estimated."""
    random, runs, wrong = np.random.default_rng(3), 150, 0
    for _ in range(runs):
        found = _compared(_found(random, (15.0, 10.0), share), "latency_ms", 0.5, share)
        known = [(high, 0.5 * base) for high, base in zip(found.high, found.control, strict=True) if high is not None and base]
        wrong += any(high < margin for high, margin in known)
    assert _is_rare(wrong, runs)


@pytest.mark.parametrize("rate", [0.005, 0.04])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_errors_exactly_at_the_margin_are_rarely_called_not_worse_however_units_are_shared(share: float, rate: float) -> None:
    """Also where the margin is that of the least rate. With the control's rate taken for known it was up to 15 %."""
    random, runs, looks = np.random.default_rng(7), 400, 10
    treated = random.binomial(1000, share, (looks, runs))
    margin = 0.5 * max(rate, 0.01)
    counts = [
        Counts(units.cumsum(axis=0).astype(float), random.binomial(units, mean).cumsum(axis=0).astype(float))
        for units, mean in ((treated, rate + margin), (1000 - treated, rate))
    ]
    found = harm_of_rates(counts[0], counts[1], Question("error", "lower", 0.5, 0.05, 5000.0), share)
    assert _is_rare(int((found.high < 0).any(axis=0).sum()), runs)
    assert _is_rare(int((found.low > 0).any(axis=0).sum()), runs)


@pytest.mark.parametrize(("metric", "control"), [("latency_ms", 10.0), ("error", 0.04)])
def test_the_verdict_is_where_the_interval_lies_against_the_margin(metric: str, control: float) -> None:
    """Below it all is fine, above it the arm is harmful."""
    random = np.random.default_rng(4)
    fine, harmful = (_compared(_found(random, (times * control, control), 0.5, 5000), metric, 0.5, 0.5) for times in (1.0, 2.5))
    assert (fine.verdict, harmful.verdict) == ("not worse", "worse")
    assert fine.high[-1] is not None
    assert fine.high[-1] < fine.margin
    assert harmful.low[-1] is not None
    assert harmful.low[-1] > harmful.margin


def test_where_more_is_better_and_where_means_are_negative_the_margin_is_on_the_worse_side() -> None:
    """A tenth less of what is earned is the most; a tenth more of what is owed."""
    random = np.random.default_rng(5)
    higher = _compared(_found(random, (9.9, 10.0), 0.5, 5000), "outcome", 0.1, 0.5, better="higher")
    lower = _compared(_found(random, (8.0, 10.0), 0.5, 5000), "outcome", 0.1, 0.5, better="higher")
    assert (higher.verdict, lower.verdict) == ("not worse", "worse")
    arms = _found(random, (10.0, 10.0), 0.5, 5000)
    debts = ArmMoments({name: item.times(-1.0) for name, item in arms.arms.items()}, arms.positive, 0.0, 0, 0)
    assert _compared(debts, "outcome", 0.1, 0.5).verdict == "not worse"


def test_errors_of_a_control_that_has_hardly_any_count_as_one_percent() -> None:
    """A share of nothing could never be kept, so a quarter of a percent is within half of one percent."""
    found = _compared(_found(np.random.default_rng(6), (0.0025, 0.0001), 0.5, 20_000), "error", 0.5, 0.5)
    assert found.verdict == "not worse"
    assert found.margin == pytest.approx(0.005)

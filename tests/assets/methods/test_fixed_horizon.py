"""One planned look: the same as tea-tasting says of its documented examples, and tests that keep their error rate."""

from __future__ import annotations

import numpy as np
import pytest
import tea_tasting

from assets.methods import effects, fixed_horizon, ratio_metrics
from assets.methods.effects import Effect
from assets.methods.moments import Moments
from assets.methods.several_hypotheses import holm
from assets.methods.variance_reduction import cuped

USERS = tea_tasting.make_users_data(rng=42, covariates=True)
COLUMNS = {name: USERS[name].to_numpy() for name in USERS.column_names}


def arms(*columns: str) -> tuple[Moments, Moments]:
    """The moments of the treated and of the control users."""
    rows = np.stack([COLUMNS[column].astype(float) for column in columns], axis=-1)
    return Moments.of(rows[COLUMNS["variant"] == 1]), Moments.of(rows[COLUMNS["variant"] == 0])


def same(effect: Effect, told: object) -> None:
    """Effect, interval and p-value are the same to nine digits."""
    bounds = fixed_horizon.interval(effect, alpha=0.05)
    ours = [float(part) for part in (effect.value, bounds.low, bounds.high, fixed_horizon.p_value(effect))]
    names = ("effect_size", "effect_size_ci_lower", "effect_size_ci_upper", "pvalue")
    assert ours == pytest.approx([getattr(told, name) for name in names], rel=1e-9)


def test_tea_tasting_says_the_same_of_means_ratios_and_covariates() -> None:
    """The metrics of its user guide: sessions by user, orders by session, orders and revenue by user, with covariates."""
    experiment = tea_tasting.Experiment(
        sessions=tea_tasting.Mean("sessions"),
        orders_per_session=tea_tasting.RatioOfMeans("orders", "sessions"),
        orders=tea_tasting.Mean("orders", "orders_covariate"),
        revenue=tea_tasting.Mean("revenue", "revenue_covariate"),
    )
    told = experiment.analyze(USERS)
    same(effects.difference(*arms("sessions")), told["sessions"])
    same(ratio_metrics.difference(*arms("orders", "sessions")), told["orders_per_session"])
    same(cuped(*arms("orders", "orders_covariate")).effect, told["orders"])
    same(cuped(*arms("revenue", "revenue_covariate")).effect, told["revenue"])


def test_tea_tasting_adjusts_several_p_values_alike() -> None:
    """By Holm, for hypotheses that depend on each other."""
    experiment = tea_tasting.Experiment(
        sessions=tea_tasting.Mean("sessions"), orders=tea_tasting.Mean("orders"), revenue=tea_tasting.Mean("revenue")
    )
    told = experiment.analyze(USERS)
    adjusted = tea_tasting.adjust_fwer({"only": told}, arbitrary_dependence=True, method="bonferroni").to_dicts()
    ours = holm([told[name].pvalue for name in ("sessions", "orders", "revenue")])
    assert ours.tolist() == pytest.approx([float(row["pvalue_adj"]) for row in adjusted])


def test_a_single_look_keeps_its_error_rate() -> None:
    """Two thousand tests of equal arms of different sizes and variances."""
    random = np.random.default_rng(1)
    arms = [
        Moments(
            np.full(2000, float(count)),
            random.normal(0, scale / np.sqrt(count), (2000, 1)),
            scale**2 * random.chisquare(count - 1, (2000, 1, 1)),
        )
        for count, scale in ((10, 3.0), (40, 1.0))
    ]
    assert (fixed_horizon.p_value(effects.difference(*arms)) < 0.05).mean() == pytest.approx(0.05, abs=0.015)


def test_an_unknown_error_gives_no_evidence() -> None:
    """Of one unit in an arm."""
    effect = effects.difference(Moments.of(np.array([3.0])), Moments.of(np.array([1.0, 2.0])))
    found = fixed_horizon.interval(effect, alpha=0.05)
    assert (float(found.low), float(found.high), float(fixed_horizon.p_value(effect))) == (-np.inf, np.inf, 1.0)

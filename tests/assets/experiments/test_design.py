"""The design of an experiment: what it takes is what a simulated experiment of that length needs, and what cannot be found is said."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.errors import DataError
from assets.experiments.design import Design, design
from assets.experiments.outcome_history import OutcomeHistory
from assets.spec.experiments import ExperimentSpec
from tests.assets.spec.test_experiments import DECLARED

WEEKS = 12


def experiment(**more: Any) -> ExperimentSpec:
    """An experiment, some of its fields replaced."""
    return ExperimentSpec.model_validate({**DECLARED, "minimal_effect": 0.1, **more})


def new_units(rows_a_day: int = 300, rate: float = 0.2, seed: int = 0) -> pd.DataFrame:
    """Each row is of a unit of its own, and costs 1 with a probability."""
    random = np.random.default_rng(seed)
    days = np.repeat(pd.date_range("2024-01-01", periods=7 * WEEKS), rows_a_day)
    values = (random.random(len(days)) < rate).astype(float)
    return pd.DataFrame({"unit": np.arange(len(days)), "day": days, "value": values})


def returning_units(units: int = 600, seed: int = 0) -> pd.DataFrame:
    """The same units come every other day or so, and half of the variance between their weeks lasts."""
    random = np.random.default_rng(seed)
    level = random.normal(5, 1, units)
    days = pd.date_range("2024-01-01", periods=7 * WEEKS)
    unit, day = (part.ravel() for part in np.meshgrid(np.arange(units), np.arange(len(days)), indexing="ij"))
    came = random.random(len(unit)) < 0.5
    value = level[unit] + random.normal(0, np.sqrt(3.5), len(unit))
    return pd.DataFrame({"unit": unit[came], "day": days[day[came]], "value": value[came]})


def designed(frame: pd.DataFrame, **more: Any) -> Design:
    """The design by a history."""
    return design("churn", experiment(**more), OutcomeHistory(frame, "churn"))


def test_new_units_need_as_many_as_the_textbook_says() -> None:
    """A relative effect of 10.5 % on a rate of 20 %, at 5 % and 80 %: 2.8016 ** 2 * 2 * 0.8 / 0.2 / 0.105 ** 2 = 5,695 an arm."""
    found = designed(new_units(), minimal_effect=0.105, max_weeks=11)
    fixed, always = found.plans
    assert (fixed.analysis, always.analysis) == ("fixed horizon", "always valid")
    assert fixed.weeks == int(np.ceil(2 * 5695 / (7 * 300))) == 6
    assert fixed.units == 6 * 7 * 300
    assert found.correlation == 0
    # looked at every day it takes about 1.7 times as many units, but ends earlier where the effect is there
    assert always.weeks == int(np.ceil(1.68 * 2 * 5695 / (7 * 300))) == 10
    assert always.fits
    assert always.power >= 0.8
    assert always.mean_weeks is not None
    assert always.mean_weeks < 0.7 * always.weeks
    assert found.told == "10 weeks and 21,000 units find an effect of 10.5% of cost with power 83%, looked at every day."


@pytest.mark.parametrize("uses_past", [False, True])
def test_a_simulated_experiment_of_the_designed_length_has_the_designed_power(uses_past: bool) -> None:
    """Returning units are dealt to two arms 1,000 times; the effect is added to one, and a plain test is made on linearised values."""
    frame = returning_units()
    found = designed(frame, minimal_effect=0.045, max_weeks=4)
    plan = next(item for item in found.plans if (item.analysis, item.uses_past) == ("fixed horizon", uses_past))
    length = 4
    day = (frame["day"].max() - frame["day"]).dt.days
    during, before = frame[day < 7 * length], frame[(day >= 7 * length) & (day < 7 * (length + 4))]
    now, past = (
        part.groupby("unit")["value"].agg(["sum", "size"]).reindex(range(600)).to_numpy(float) for part in (during, before)
    )
    values = _linear(*now.T)
    if uses_past:
        covariate = _linear(*past.T)
        values = values - covariate * np.cov(values, covariate)[0, 1] / covariate.var(ddof=1)
    random = np.random.default_rng(1)
    arms = random.permuted(np.tile(np.arange(600) % 2, (1000, 1)), axis=1)
    difference = ((2 * arms - 1) @ values) / 300
    error = np.sqrt(values.var(ddof=1) * 4 / 600)
    effect = plan.detectable * 5.0
    assert np.mean((difference + effect) / error > 1.96) == pytest.approx(0.8, abs=0.06)


def _linear(sums: Any, rows: Any) -> Any:
    """What each unit adds to the error of the ratio (Deng, Knoblich and Lu 2018)."""
    return (sums - sums.sum() / rows.sum() * rows) / rows.mean()


def test_the_units_own_past_shortens_an_experiment() -> None:
    """Units whose level lasts: CUPED needs fewer weeks, and finds smaller effects."""
    found = designed(returning_units())
    assert 0.5 < found.correlation < 0.95
    plain, cuped = (item for item in found.plans if item.analysis == "fixed horizon")
    assert cuped.detectable == pytest.approx(plain.detectable * np.sqrt(1 - found.correlation**2), rel=1e-6)


def test_units_that_never_differ_and_never_change_are_found_at_once() -> None:
    """No variance is no error; and a past that explains all leaves a hundredth."""
    frame = returning_units(80)
    assert {plan.weeks for plan in designed(frame.assign(value=2.0)).plans} == {1}
    days = pd.date_range("2024-01-01", periods=28)
    each_day = pd.DataFrame({"unit": np.repeat(np.arange(80), 28), "day": [*days] * 80})
    found = designed(each_day.assign(value=1.0 + each_day["unit"]))
    assert found.correlation == pytest.approx(1.0)
    assert found.plans[1].detectable == pytest.approx(0.1 * found.plans[0].detectable, rel=1e-6)


def test_more_weeks_of_the_same_units_help_less_than_new_ones() -> None:
    """Beyond the history, the error falls as it fell in it: like one over the weeks for new units, more slowly for the same."""
    ends = {}
    for name, frame in (("new", new_units()), ("same", returning_units())):
        short = designed(frame[frame["day"] >= frame["day"].max() - pd.Timedelta(days=41)], max_weeks=40)
        ends[name] = short.plans[0].detectable / designed(frame, max_weeks=4).plans[0].detectable
    assert ends["new"] == pytest.approx(np.sqrt(4 / 40), rel=0.15)
    assert ends["same"] > 1.5 * ends["new"]


def test_what_cannot_be_found_in_time_is_said_with_what_can() -> None:
    """And with what would do."""
    found = designed(new_units(), minimal_effect=0.02)
    assert not found.recommended.fits
    assert found.recommended.mean_weeks is None
    assert "An effect of 2.0% of cost cannot be found in 8 weeks" in found.told
    assert f"In 8 weeks an effect of {found.recommended.detectable:.1%} can be found." in found.told
    assert "more than 520 weeks are needed" in designed(new_units(30), minimal_effect=0.002).told


def test_less_of_the_error_budget_takes_longer_and_is_said() -> None:
    """The level is that of the experiment, which its arms share."""
    frame = new_units()
    whole, less = (design("churn", experiment(), OutcomeHistory(frame, "churn"), level) for level in (None, 0.005))
    assert (whole.level, less.level, less.declared_level) == (0.05, 0.005, 0.05)
    assert "error budget" not in whole.told
    assert (
        "The error budget leaves 0.0050 of the declared 0.05, and it is designed for that. See `loopline budget churn`."
        in less.told
    )
    assert less.plans[0].weeks is not None
    assert whole.plans[0].weeks is not None
    assert less.plans[0].weeks > whole.plans[0].weeks


def test_several_arms_and_small_shares_need_more() -> None:
    """Each comparison has its part of the errors, and the smallest arm decides."""
    two = designed(new_units()).plans[0].detectable
    three = designed(new_units(), arms={"a": "champion", "b": 2, "c": 3}).plans[0]
    assert three.detectable > two * np.sqrt(1.5)
    tilted = designed(new_units(), allocation={"control": 0.9, "treatment": 0.1}).plans[0]
    assert tilted.detectable == pytest.approx(two * np.sqrt((1 / 0.9 + 1 / 0.1) / 4), rel=0.01)


def test_weekdays_are_counted_whole() -> None:
    """A history that begins within a week is cut to whole ones; what weekdays do is told."""
    frame = new_units()
    frame["value"] = np.where(frame["day"].dt.dayofweek >= 5, 2.0, 1.0)
    history = OutcomeHistory(frame[frame["day"] >= "2024-01-04"], "churn")
    assert (history.weeks, history.first, history.last) == (11, "2024-01-08", "2024-03-24")
    assert history.whole.ratio == pytest.approx(9 / 7)
    assert history.seasonality()["weekday_metric"] == pytest.approx({"low": 7 / 9, "high": 14 / 9})
    assert history.seasonality()["rows_per_day"] == {"mean": 300, "min": 300, "max": 300}


def test_lines_may_stand_for_several_rows() -> None:
    """So ten million rows are given as units' days."""
    frame = returning_units()
    summed = frame.groupby(["unit", "day"], as_index=False).agg(value=("value", "sum"), rows=("value", "size"))
    assert designed(summed).history == designed(frame).history | {"rows": pytest.approx(len(frame))}
    for ours, theirs in zip(designed(summed).plans, designed(frame).plans, strict=True):
        assert asdict(ours) == pytest.approx(asdict(theirs))


def test_weeks_without_a_row_are_no_zero_of_the_metric() -> None:
    """A history with a gap of two weeks is designed by the others; the gap counts as traffic only."""
    frame = new_units()
    gap = frame[(frame["day"] < "2024-02-26") | (frame["day"] >= "2024-03-11")]
    plans = designed(gap, max_weeks=2).plans, designed(frame, max_weeks=2).plans
    assert plans[0][0].detectable == pytest.approx(plans[1][0].detectable, rel=0.1)
    assert plans[0][0].units == pytest.approx(plans[1][0].units * 2 / 3, rel=0.01)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda frame: frame.drop(columns="day"), r"the history lacks day\. It needs the columns unit, day, value"),
        (lambda frame: frame.assign(value="dear"), r"the history's 'value' holds \w+, not numbers"),
        (lambda frame: frame.assign(day="Tuesday"), r"the history's 'day' holds no dates"),
        (lambda frame: frame[frame["day"] < "2024-01-10"], r"holds 9 days, and needs two whole weeks"),
        (lambda frame: frame[:0], r"holds 0 days"),
        (lambda frame: frame.assign(value=0.0), r"cost is 0 on all 25,200 units of the history, so a share of it is no effect"),
        (
            lambda frame: frame.assign(value=frame["value"].where(frame["day"] < "2024-01-08", 0.0)),
            r"cost is 0 in the last weeks of the history, so nothing says how much it varies",
        ),
        (
            lambda frame: frame.assign(unit=frame["unit"] % 20),
            r"in 8 weeks an arm of the experiment 'cheaper_threshold' would have 10 units of 'customer_id', and needs 30",
        ),
    ],
)
def test_a_history_that_says_nothing_is_one_clear_error(spoilt: Any, message: str) -> None:
    """With what to do."""
    with pytest.raises(DataError, match=message):
        designed(spoilt(new_units()))

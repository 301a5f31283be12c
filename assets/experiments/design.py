"""Design: how many whole weeks an experiment must take, and what it can find, by the product's own history.

Four analyses are designed: at a fixed horizon, and always valid (looked at every day); each as it is, and with the variance
that the units' own past explains removed (CUPED).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assets.errors import DataError
from assets.experiments.outcome_history import DAYS, OutcomeHistory
from assets.experiments.precision import Precision
from assets.methods.sample_size import noncentrality, power_of
from assets.methods.sequential_power import always_valid_noncentrality, always_valid_power, mean_duration
from assets.spec.experiments import ExperimentSpec

FEWEST_UNITS = 30
"""Of fewer units in an arm no standard error can be trusted."""
MOST_WEEKS = 520
"""Beyond so many weeks nobody waits: it is told as more than that."""
MOST_LOOKED_AT = 52
"""The weeks whose looks are drawn; further looks change the power by less than the draws do."""
WORTHWHILE = 0.01
"""The share of the variance that CUPED must remove to be named, and that it leaves at least."""


@dataclass(frozen=True)
class Plan:
    """One way of analysing an experiment, and what it takes.

    Parameters
    ----------
    analysis : {"fixed horizon", "always valid"}
        When it may be looked at: once, at the end; or every day.
    uses_past : bool
        Whether the units' own past is used (CUPED).
    weeks : int or None
        The whole weeks that it takes; None where it is more than `MOST_WEEKS`.
    fits : bool
        Whether that is at most the declared ``max_weeks``.
    units : int
        The units that come in these weeks, or in ``max_weeks`` where it does not fit.
    power : float
        With which it finds the minimal effect in these weeks, or in ``max_weeks``.
    detectable : float
        The relative effect that it finds with the asked power in ``max_weeks``.
    mean_weeks : float or None
        After how many weeks it ends on average where the effect is the minimal one; None where it does not fit.
    """

    analysis: str
    uses_past: bool
    weeks: int | None
    fits: bool
    units: int
    power: float
    detectable: float
    mean_weeks: float | None


@dataclass(frozen=True)
class Design:
    """What a history says of an experiment.

    Parameters
    ----------
    product, experiment, metric, unit : str
        What is designed.
    minimal_effect, false_positive, power, max_weeks
        As declared; ``false_positive`` is that of each comparison with the control (Bonferroni).
    baseline : float
        The metric in the history.
    history : dict
        ``first`` and ``last`` day, ``weeks``, ``units``, ``rows``, and how weekdays and weeks differ.
    correlation : float
        Of the metric with the units' own past.
    plans : tuple of Plan
        See the module.
    level, declared_level : float
        The probability of an error of the whole experiment, with which it is designed; and the declared one, of which the error
        budget may leave less.
    """

    product: str
    experiment: str
    metric: str
    unit: str
    minimal_effect: float
    false_positive: float
    power: float
    max_weeks: int
    baseline: float
    history: dict[str, Any]
    correlation: float
    plans: tuple[Plan, ...]
    level: float
    declared_level: float

    @property
    def recommended(self) -> Plan:
        """The always-valid plan that takes least."""
        found = [plan for plan in self.plans if plan.analysis == "always valid"]
        return min(found, key=lambda plan: (plan.weeks or MOST_WEEKS + 1, plan.uses_past))

    @property
    def told(self) -> str:
        """The design in a sentence or two."""
        if self.level < self.declared_level:
            left = f"leaves {self.level:.4f} of the declared {self.declared_level:g}, and it is designed for that"
            return f"{self._found} The error budget {left}. See `loopline budget {self.product}`."
        return self._found

    @property
    def _found(self) -> str:
        plan, effect = self.recommended, f"an effect of {self.minimal_effect:.1%} of {self.metric}"
        if plan.fits:
            weeks = f"{plan.weeks} week{'s' * (plan.weeks != 1)}"
            return f"{weeks} and {plan.units:,} units find {effect} with power {plan.power:.0%}, looked at every day."
        needed = f"{plan.weeks} weeks are needed" if plan.weeks else f"more than {MOST_WEEKS} weeks are needed"
        return (
            f"{effect.capitalize()} cannot be found in {self.max_weeks} weeks: {needed}, and the power would be "
            f"{plan.power:.0%}. In {self.max_weeks} weeks an effect of {plan.detectable:.1%} can be found. Raise "
            "'minimal_effect' or 'max_weeks', give the arms equal shares, or bring more traffic."
        )

    def as_json(self) -> dict[str, Any]:
        """The documented record."""
        return {
            **asdict(self),
            "plans": [asdict(plan) for plan in self.plans],
            "fits": self.recommended.fits,
            "told": self.told,
        }


def design(product: str, spec: ExperimentSpec, history: OutcomeHistory, level: float | None = None) -> Design:
    """Design an experiment.

    Parameters
    ----------
    product : str
        The product.
    spec : ExperimentSpec
        The experiment.
    history : OutcomeHistory
        The metric by unit and day, before the experiment.
    level : float, optional
        What the product's error budget leaves for it; None, what it declares.

    Raises
    ------
    DataError
        If the metric is zero throughout, or an arm would have too few units.
    """
    whole = history.whole
    if whole.ratio == 0 or not np.isfinite(whole.relative):
        raise DataError(
            f"{product}: {spec.metric} is {whole.ratio:g} on all {whole.units:,} units of the history, so a share of it is no "
            f"effect. Choose another metric for the experiment '{spec.name}'."
        )
    precision = Precision(history, spec)
    smallest = precision.units(spec.max_weeks) * min(precision.shares)
    if smallest < FEWEST_UNITS:
        raise DataError(
            f"{product}: in {spec.max_weeks} weeks an arm of the experiment '{spec.name}' would have {smallest:.0f} units of "
            f"'{spec.unit}', and needs {FEWEST_UNITS} at least. Choose a unit that has more, raise 'max_weeks', or give it a "
            "larger share."
        )
    if not np.isfinite(precision.error(spec.max_weeks, 1.0)):
        raise DataError(
            f"{product}: {spec.metric} is 0 in the last weeks of the history, so nothing says how much it varies. Wait for "
            f"more outcomes, or choose another metric for the experiment '{spec.name}'."
        )
    whole_level = spec.false_positive if level is None else level
    level = whole_level / (len(spec.arms) - 1)
    correlation = precision.correlation
    kept = {False: 1.0, True: max(1 - correlation**2, WORTHWHILE)}
    ways = [False, True] if 1 - kept[True] >= WORTHWHILE else [False]
    plans = [
        _plan(spec, precision, analysis, level=level, kept=kept[past], uses_past=past)
        for analysis in _ANALYSES
        for past in ways
    ]
    about = {"first": history.first, "last": history.last, "weeks": history.weeks, "units": whole.units, "rows": whole.rows}
    return Design(
        product,
        spec.name,
        spec.metric,
        spec.unit,
        spec.minimal_effect,
        level,
        spec.power,
        spec.max_weeks,
        whole.ratio,
        {**about, **history.seasonality()},
        correlation,
        tuple(plans),
        whole_level,
        spec.false_positive,
    )


def _fixed(weeks: int, degrees: float, level: float, power: float) -> float:  # noqa: ARG001 - every analysis takes the same
    return noncentrality(level, power, degrees)


def _always_valid(weeks: int, degrees: float, level: float, power: float) -> float:  # noqa: ARG001
    return always_valid_noncentrality(level, power, _looks(weeks))


def _looks(weeks: int) -> int:
    """A look a day; more than a year of them are as many."""
    return min(weeks, MOST_LOOKED_AT) * DAYS


_ANALYSES: dict[str, Callable[[int, float, float, float], float]] = {
    "fixed horizon": _fixed,
    "always valid": _always_valid,
}
"""By analysis, the effect in standard errors that it finds, by weeks, degrees of freedom, level and power."""


def _plan(spec: ExperimentSpec, precision: Precision, analysis: str, *, level: float, kept: float, uses_past: bool) -> Plan:
    needs = _ANALYSES[analysis]

    def degrees(weeks: int) -> float:
        return max(1.0, precision.units(weeks) * sum(precision.shares) - 2)

    def effect_of(weeks: int) -> float:
        error = precision.error(weeks, kept)
        return spec.minimal_effect / error if error else float("inf")

    def found(weeks: int) -> bool:
        effect = effect_of(weeks)
        # nothing is found always valid that would not be found at a fixed horizon: that is cheaper to know
        return effect >= _fixed(weeks, degrees(weeks), level, spec.power) and effect >= needs(
            weeks, degrees(weeks), level, spec.power
        )

    weeks = next((number for number in range(1, MOST_WEEKS + 1) if found(number)), None)
    fits = weeks is not None and weeks <= spec.max_weeks
    length = weeks if weeks is not None and fits else spec.max_weeks
    effect, looks = effect_of(length), _looks(length)
    is_fixed = analysis == "fixed horizon"
    share = 1.0 if is_fixed else mean_duration(effect, level, looks)
    return Plan(
        analysis,
        uses_past,
        weeks,
        fits,
        int(precision.units(length)),
        power_of(effect, level, degrees(length)) if is_fixed else always_valid_power(effect, level, looks),
        precision.error(spec.max_weeks, kept) * needs(spec.max_weeks, degrees(spec.max_weeks), level, spec.power),
        share * length if fits else None,
    )

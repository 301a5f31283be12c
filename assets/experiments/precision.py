"""Precision: how exactly an experiment of some weeks would know the difference of two arms, by a history and beyond it."""

from __future__ import annotations

import numpy as np

from assets.experiments.outcome_history import OutcomeHistory, Period
from assets.methods.sample_size import relative_error
from assets.spec.experiments import ExperimentSpec


class Precision:
    """The relative error of the difference of two arms, and the units, by weeks; beyond the history it is extrapolated.

    Where all units are new each week, the squared error falls as one over the weeks; where the same units come again, more
    slowly. How it fell over the second half of the history, on the logarithms, is taken to go on.
    """

    def __init__(self, history: OutcomeHistory, spec: ExperimentSpec) -> None:
        self.known: dict[int, Period] = {}
        control = spec.shares[spec.control]
        self.shares = (control, min(share for name, share in spec.shares.items() if name != spec.control))
        self.most = min(history.longest, spec.max_weeks)
        for weeks in range(1, self.most + 1):
            self.known[weeks] = history.period(weeks)
        half = self.known[max(1, self.most // 2)], self.known[self.most]
        length = self.most / max(1, self.most // 2)
        self.slopes = (
            _slope(length, half[0].relative, half[1].relative, -1.0),
            _slope(length, half[0].units, half[1].units, 1.0),
        )

    def units(self, weeks: int) -> float:
        """The units that come in so many weeks, in all arms."""
        last = self.known[min(weeks, self.most)].units
        return float(last * max(1.0, weeks / self.most) ** self.slopes[1])

    def error(self, weeks: int, kept: float) -> float:
        """The standard error of the relative difference after so many weeks, where a share of the variance is kept."""
        relative = self.known[min(weeks, self.most)].relative * max(1.0, weeks / self.most) ** self.slopes[0]
        return relative_error(relative * kept, self.shares)

    @property
    def correlation(self) -> float:
        """Of the metric with the units' own past: the median over the lengths that have one."""
        found = [item.correlation for item in self.known.values() if item.correlation is not None]
        return float(np.median(found)) if found else 0.0


def _slope(length: float, before: float, after: float, of_new_units: float) -> float:
    """By which power of the weeks something goes on; as if all units were new where the history is too short to tell."""
    if length == 1 or not (0 < before < np.inf and 0 < after < np.inf):
        return of_new_units
    return float(np.clip(np.log(after / before) / np.log(length), min(0.0, of_new_units), max(0.0, of_new_units)))

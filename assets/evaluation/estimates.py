"""Estimates: the metrics of judged rows, and their gains over the baselines, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from assets.evaluation.judged_rows import JudgedRows
from assets.methods.bootstrap import centred, interval, replicate, widened
from assets.methods.kinds import sign_of
from assets.methods.ranking import Array
from assets.spec import ProductSpec


class Estimates:
    """Metrics of the judged rows with their intervals; the same draws for model and baselines make gains comparable."""

    def __init__(self, spec: ProductSpec, rows: JudgedRows, weights: Array) -> None:
        self.spec, self.rows, self.weights = spec, rows, weights
        ones = np.ones_like(rows.labels)
        self.points = {
            name: {metric: function(ones) for metric, function in given.items()} for name, given in rows.functions.items()
        }
        self.draws = {name: replicate(given, rows.clusters, weights) for name, given in rows.functions.items()}

    def metrics(self, name: str) -> dict[str, Any]:
        """The metrics of the model or of a baseline, with their intervals."""
        found = {metric: self._interval(value, self.draws[name][metric]) for metric, value in self.points[name].items()}
        return found | self._calibration_error(name)

    def gains(self, baseline: str) -> dict[str, Any]:
        """How much better the model is than a baseline on the same rows; positive is better for every metric."""
        found = {}
        for metric, value in self.points["model"].items():
            if metric in self.points[baseline]:
                sign = sign_of(self.spec.kind, metric)
                drawn = sign * (self.draws["model"][metric] - self.draws[baseline][metric])
                found[metric] = self._interval(sign * (value - self.points[baseline][metric]), drawn)
        return found

    def _interval(self, value: float, drawn: Array) -> dict[str, float]:
        found = interval(value, widened(value, drawn, self.rows.widening), self.spec.evaluation.confidence)
        return vars(found)

    def _calibration_error(self, name: str) -> dict[str, Any]:
        """The calibration error with an interval of its square, whose bootstrap replicates are biased."""
        squared = self.rows.squared[name]
        if squared is None:
            return {}
        value = squared(np.ones_like(self.rows.labels))
        drawn = replicate({"squared": squared}, self.rows.clusters, self.weights)["squared"]
        found = centred(value, widened(value, drawn, self.rows.widening), self.spec.evaluation.confidence)
        return {"calibration_error": {end: float(np.sqrt(max(item, 0.0))) for end, item in vars(found).items()}}

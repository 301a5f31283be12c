"""The three kinds of target, each with its metrics and its way to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from assets.methods import binary, multiclass, regression
from assets.methods.ranking import Array


class KindOfTarget(Protocol):
    """What the statistics of one kind of target give; each kind is a module."""

    LOWER_IS_BETTER: frozenset[str]

    def metric_functions(
        self, labels: Array, outputs: Array, decision: Mapping[str, Any], cost: Mapping[str, Any]
    ) -> dict[str, Callable[[Array], float]]:
        """All metrics of one set of outputs, each a function of the rows' weights."""

    def choose(self, labels: Array, outputs: Array, cost: Mapping[str, Any], coverage: float = ...) -> dict[str, Any]:
        """The decision rule that costs least on these rows; for values with the margin of an interval of this coverage."""

    def indifferent(self, cost: Mapping[str, Any]) -> dict[str, Any]:
        """The decision rule of outputs that can be taken at their word."""

    def squared_calibration(self, labels: Array, outputs: Array) -> Callable[[Array], float] | None:
        """The squared calibration error as a function of the rows' weights; None where outputs are no probabilities."""

    def row_losses(self, labels: Array, outputs: Array) -> Array:
        """What each row costs the model, shape (n_samples,): log loss in nats, or absolute error."""

    def drawn(self, outputs: Array, random: np.random.Generator) -> Array:
        """Labels as they would come if the outputs meant what they say, shape (n_samples,)."""

    def indicators(self, labels: Array, classes: int) -> Array:
        """What a table of means averages, of shape (n_samples,) or (n_samples, n_classes)."""


KINDS: dict[str, KindOfTarget] = {"binary": binary, "multiclass": multiclass, "regression": regression}


def sign_of(kind: str, metric: str) -> float:
    """By what differences of a metric are multiplied so that positive is better."""
    return -1.0 if metric in KINDS[kind].LOWER_IS_BETTER else 1.0
